package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Plan;
import org.tersor.runtime.machine.PackedWeights;

/**
 * The plan of a program as C, see {@link ProgramC}. Its functions stay small however many steps
 * there are: compilers take more than linear time for a long one.
 */
final class StepsC {
  /** Calls of kernels in one function. */
  private static final int STEPS_TOGETHER = 128;

  /**
   * A step on one thread. Where somebody may cancel the call, tile by tile: a caller waits for a
   * tile at most.
   */
  private static final String WHOLE =
      """
      static void whole(const tsr_call *c, int32_t step, int64_t tasks) {
        if (!c->cancel) {
          PREFIX_step(c, step, 0, tasks, 0);
          return;
        }
        for (int64_t i = 0; i < tasks && !TSR_CANCELLED(c); i++) PREFIX_step(c, step, i, i + 1, 0);
      }
      TSR_API void PREFIX_steps(const tsr_call *c, int32_t from, int32_t to) {
        for (int32_t step = from; step < to; step++) {
          whole(c, step, tasks_of(c->d, step));
          if (c->fault && TSR_FAULT(c)) return;
        }
      }
      """;

  /**
   * Several threads run this at once, each with its own worker number. A step's tasks from {@code
   * base} on are divided among the workers in their order, so that one finds what it wrote in the
   * step before in its own cache; who has done his share takes from the others', so a thread that
   * comes late, or never, holds up nobody. {@code counters} has a row of numbers for each worker
   * (how much of its share is claimed, by step: nobody else writes there as a rule) and one for all
   * (how much is done); they are zero before. Waiting spins for a while, then yields the processor.
   */
  private static final String WORK =
      """
      #if defined(__x86_64__)
      static void pause_cpu(void) { __builtin_ia32_pause(); }
      static void yield_cpu(void) {
        long r = 24; /* sched_yield */
        __asm__ volatile("syscall" : "+a"(r) : : "rcx", "r11", "memory");
      }
      #else
      static void pause_cpu(void) { __asm__ volatile("yield" : : : "memory"); }
      static void yield_cpu(void) {
        register long number __asm__("x8") = 124, r __asm__("x0"); /* sched_yield */
        __asm__ volatile("svc 0" : "=r"(r) : "r"(number) : "memory");
      }
      #endif
      TSR_API void PREFIX_work(const tsr_call *c, int64_t *counters, int64_t row, const int64_t *tasks, int64_t base, int32_t from, int32_t to, int32_t worker, int32_t workers) {
        for (int32_t step = from; step < to; step++) {
          int64_t n = tasks[step] - base, each = n / workers + (n % workers != 0), chunk = each / 4, mine = 0;
          int64_t *done = counters + workers * row + step;
          if (chunk < 1) chunk = 1;
          for (int32_t k = 0; k < workers; k++) {
            int32_t owner = worker + k < workers ? worker + k : worker + k - workers;
            int64_t begin = owner * each, size = n - begin < each ? n - begin : each, *next = counters + owner * row + step;
            if (size <= 0) continue;
            while (__atomic_load_n(next, __ATOMIC_RELAXED) < size) {
              int64_t i = __atomic_fetch_add(next, chunk, __ATOMIC_RELAXED);
              if (i >= size) break;
              int64_t e = base + begin + (size - i < chunk ? size : i + chunk);
              i += base + begin;
              mine += e - i;
              if (!c->cancel) {
                PREFIX_step(c, step, i, e, worker);
              } else {
                for (; i < e && !TSR_CANCELLED(c); i++) PREFIX_step(c, step, i, i + 1, worker);
              }
            }
          }
          if (mine > 0) __atomic_fetch_add(done, mine, __ATOMIC_RELEASE);
          for (int32_t spins = 0; __atomic_load_n(done, __ATOMIC_ACQUIRE) < n; spins++) {
            if (spins < 2000) pause_cpu();
            else yield_cpu();
          }
          if (TSR_FAULT(c)) return;
        }
      }
      """;

  private final Program program;
  private final Plan plan;
  private final String prefix;
  private final DimC dims;
  private final PackedWeights packed;

  StepsC(Program program, String prefix, PackedWeights packed) {
    this.program = program;
    this.plan = program.plan();
    this.prefix = prefix;
    this.dims = new DimC(plan.dims());
    this.packed = packed;
  }

  private String kernel(int k) {
    return ProgramC.kernel(prefix, k);
  }

  private List<Plan.Call> calls() {
    List<Plan.Call> calls = new ArrayList<>(plan.loadSteps());
    calls.addAll(plan.runSteps());
    return calls;
  }

  /** The whole file. */
  String text() {
    CUnit unit = new CUnit(Isa.SCALAR, false);
    StringBuilder out =
        new StringBuilder(
            "#include <stdint.h>\n#include <stddef.h>\n#define TSR_DIM static inline __attribute__((unused))\n");
    out.append(
        "#ifndef TSR_API\n#define TSR_API __attribute__((visibility(\"hidden\")))\n#endif\n");
    out.append(ProgramC.CALL_TYPE).append(DimC.HELPERS);
    for (int k = 0; k < program.kernels().size(); k++) {
      out.append(CEmitter.prototype(unit, program.kernels().get(k), kernel(k)));
      int count = program.kernels().get(k).dims().size();
      out.append("int64_t ").append(kernel(k)).append("_scratch(");
      out.append(
              count == 0
                  ? "void"
                  : String.join(", ", java.util.Collections.nCopies(count, "int64_t")))
          .append(");\n");
    }
    layout(out);
    scratch(out);
    tasks(out);
    step(out);
    return out.toString();
  }

  private void layout(StringBuilder out) {
    out.append("TSR_API int64_t ")
        .append(prefix)
        .append("_layout(const int64_t *d, int64_t *offsets) {\n");
    out.append(
        "  int32_t bad_ = 0, *bad = &bad_; int64_t total = 0, most, size;\n  (void)d; (void)offsets; (void)most; (void)size;\n");
    for (Plan.Check check : plan.checks()) {
      out.append("  if (")
          .append(dims.text(check.least(), true))
          .append(" > ")
          .append(dims.text(check.is(), true))
          .append(") return -1;\n");
    }
    Map<Integer, List<Plan.Buffer>> slots = new TreeMap<>();
    for (Plan.Buffer b : plan.buffers()) {
      switch (b.storage()) {
        case ARENA -> slots.computeIfAbsent(b.index(), i -> new ArrayList<>()).add(b);
        case INPUT, OUTPUT -> {
          if (!b.elements().isConst()) {
            out.append("  size = ").append(bytes(b)).append("; if (size < 0) return -1;\n");
          }
        }
        case CONSTANT, PACKED -> {}
      }
    }
    for (int slot = 0; slot < plan.arenaSlots(); slot++) {
      out.append("  offsets[").append(slot).append("] = total; most = 0;\n");
      long most = 0;
      Set<String> sizes = new LinkedHashSet<>();
      for (Plan.Buffer b : slots.getOrDefault(slot, List.of())) {
        Optional<Long> known = constantBytes(b);
        known.ifPresentOrElse(_ -> {}, () -> sizes.add(bytes(b)));
        most = Math.max(most, known.orElse(0L));
      }
      if (most > 0) {
        out.append("  most = ").append(CConst.integer(Scalar.I64, most)).append(";\n");
      }
      sizes.forEach(size ->
          out.append("  size = ")
              .append(size)
              .append("; if (size < 0) return -1; if (size > most) most = size;\n"));
      // A cache line beyond the end keeps neighbours apart.
      out.append("  total = tsr_dim_add(bad, total, tsr_dim_add(bad, most, 127) / 64 * 64);\n");
    }
    out.append("  return bad_ ? -1 : total;\n}\n");
  }

  private static Optional<Long> constantBytes(Plan.Buffer b) {
    if (!b.elements().isConst()) {
      return Optional.empty();
    }
    try {
      return Optional.of(Math.multiplyExact(b.elements().constValue(), b.dtype().memoryBytes()));
    } catch (ArithmeticException e) {
      return Optional.empty();
    }
  }

  private String bytes(Plan.Buffer b) {
    return "tsr_dim_mul(bad, "
        + dims.text(b.elements(), true)
        + ", "
        + b.dtype().memoryBytes()
        + ")";
  }

  private void scratch(StringBuilder out) {
    out.append("TSR_API int64_t ")
        .append(prefix)
        .append(
            "_scratch(const int64_t *d) {\n  int64_t most = 0, size;\n  (void)d; (void)size;\n");
    Map<String, Boolean> seen = new HashMap<>();
    for (Plan.Call call : calls()) {
      String text =
          kernel(call.kernel())
              + "_scratch("
              + String.join(", ", call.dims().stream().map(e -> dims.text(e, false)).toList())
              + ")";
      if (seen.putIfAbsent(text, true) == null) {
        out.append("  size = ").append(text).append("; if (size > most) most = size;\n");
      }
    }
    out.append("  return (most + 63) / 64 * 64 + 64;\n}\n");
  }

  private void tasks(StringBuilder out) {
    Map<String, List<Integer>> steps = new LinkedHashMap<>();
    List<Plan.Call> calls = calls();
    for (int i = 0; i < calls.size(); i++) {
      steps
          .computeIfAbsent(dims.text(calls.get(i).tasks(), false), text -> new ArrayList<>())
          .add(i);
    }
    out.append(
        "static int64_t tasks_of(const int64_t *d, int32_t step) {\n  (void)d;\n  switch (step) {\n");
    steps.forEach((text, numbers) -> {
      numbers.forEach(i -> out.append("    case ").append(i).append(":\n"));
      out.append("      return ").append(text).append(";\n");
    });
    out.append("    default: return 0;\n  }\n}\n");
    out.append("TSR_API void ")
        .append(prefix)
        .append("_tasks(const int64_t *d, int64_t *tasks) {\n  for (int32_t step = 0; step < ")
        .append(calls.size())
        .append("; step++) tasks[step] = tasks_of(d, step);\n}\n");
  }

  private void step(StringBuilder out) {
    List<Plan.Call> calls = calls();
    int parts = Math.ceilDiv(calls.size(), STEPS_TOGETHER);
    for (int part = 0; part < parts; part++) {
      int first = part * STEPS_TOGETHER;
      part(out, part, first, calls.subList(first, Math.min(first + STEPS_TOGETHER, calls.size())));
    }
    out.append("TSR_API void ")
        .append(prefix)
        .append(
            "_step(const tsr_call *c, int32_t step, int64_t from, int64_t to, int32_t worker) {\n")
        .append("  unsigned char *scratch = c->scratch + worker * c->scratch_bytes;\n")
        .append("  (void)scratch;\n  switch (step / ")
        .append(STEPS_TOGETHER)
        .append(") {\n");
    for (int part = 0; part < parts; part++) {
      out.append("    case ")
          .append(part)
          .append(": part")
          .append(part)
          .append("(c, step, from, to, scratch); break;\n");
    }
    out.append("    default: break;\n  }\n}\n");
    out.append(WHOLE.replace("PREFIX", prefix));
    direct(out);
    out.append(WORK.replace("PREFIX", prefix));
  }

  private void part(StringBuilder out, int part, int first, List<Plan.Call> calls) {
    out.append("static void part")
        .append(part)
        .append(
            "(const tsr_call *c, int32_t step, int64_t from, int64_t to, unsigned char *scratch) {\n")
        .append("  const int64_t *d = c->d;\n  (void)d;\n  switch (step) {\n");
    int i = first;
    for (Plan.Call call : calls) {
      List<String> args = new ArrayList<>();
      LoopFunction kernel = program.kernels().get(call.kernel());
      for (int b = 0; b < call.buffers().size(); b++) {
        LoopFunction.BufferParam parameter = kernel.buffers().get(b);
        String type =
            (parameter.written() ? "" : "const ") + CUnit.scalar(parameter.element()) + " *";
        args.add("(" + type + ")" + pointer(plan.buffers().get(call.buffers().get(b))));
      }
      call.dims().forEach(e -> args.add(dims.text(e, false)));
      args.addAll(List.of("from", "to", "scratch"));
      out.append("    case ")
          .append(i)
          .append(": ")
          .append(call.carries() ? unlessSame(call) : "")
          .append(kernel(call.kernel()))
          .append("(")
          .append(String.join(", ", args))
          .append(");");
      int step = i++;
      call.demand().ifPresent(demand -> out.append(demand(demand, step)));
      out.append(" break;\n");
    }
    out.append("    default: break;\n  }\n}\n");
  }

  /** What a step that copies an input to an output depends on. */
  private String unlessSame(Plan.Call call) {
    return "if ("
        + pointer(plan.buffers().get(call.buffers().get(0)))
        + " != "
        + pointer(plan.buffers().get(call.buffers().get(1)))
        + ") ";
  }

  /** Notes a step whose number is out of its range, and the number; the range is not empty. */
  private String demand(Plan.Demand demand, int step) {
    String number = "*(const int64_t *)" + pointer(plan.buffers().get(demand.buffer()));
    return " if ("
        + number
        + " > INT64_MIN + "
        + dims.text(demand.most().minus(demand.least()), false)
        + ") { c->fault[1] = "
        + number
        + "; __atomic_store_n(c->fault, "
        + (step + 1)
        + ", __ATOMIC_RELAXED); }";
  }

  /** All steps, with the addresses of inputs and outputs as arguments. */
  private void direct(StringBuilder out) {
    List<String> parameters = new ArrayList<>();
    StringBuilder body = new StringBuilder();
    for (int i = 0; i < plan.inputs().size(); i++) {
      parameters.add("void *in" + i);
      body.append("  ((void **)c->inputs)[" + i + "] = in" + i + ";\n");
    }
    for (int i = 0; i < plan.outputs().size(); i++) {
      parameters.add("void *out" + i);
      body.append("  ((void **)c->outputs)[" + i + "] = out" + i + ";\n");
    }
    out.append("TSR_API void ")
        .append(prefix)
        .append("_direct(const tsr_call *c, int32_t from, int32_t to");
    parameters.forEach(p -> out.append(", ").append(p));
    out.append(") {\n").append(body).append("  ").append(prefix);
    out.append("_steps(c, from, to);\n}\n");
  }

  private String pointer(Plan.Buffer b) {
    return switch (b.storage()) {
      case INPUT -> "c->inputs[" + b.index() + "]";
      case OUTPUT -> "c->outputs[" + b.index() + "]";
      case CONSTANT -> "c->constants[" + b.index() + "]";
      case PACKED -> "(c->packed + " + packed.offsets().get(b.index()) + ")";
      case ARENA -> "(c->arena + c->offsets[" + b.index() + "])";
    };
  }
}
