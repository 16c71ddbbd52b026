package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Plan;
import org.tersor.runtime.machine.PackedWeights;

/**
 * The C files of a program for one target. Kernels are spread over files, so that they compile side
 * by side; {@code steps.c} has the plan:
 *
 * <pre>
 * int64_t P_layout(const int64_t *d, int64_t *offsets)   fills offsets of the slots, gives the bytes of the arena or -1 (too large)
 * int64_t P_scratch(const int64_t *d)                    bytes that one worker needs beside the arena
 * void P_tasks(const int64_t *d, int64_t *tasks)         extent of each step's parallel loop
 * void P_step(const tsr_call *c, int32_t step, int64_t from, int64_t to, int32_t worker)
 * void P_steps(const tsr_call *c, int32_t from, int32_t to)
 * void P_direct(const tsr_call *c, int32_t from, int32_t to, void *input0, ..., void *output0, ...)
 * void P_work(const tsr_call *c, int64_t *counters, const int64_t *tasks, int32_t from, int32_t to, int32_t worker, int32_t workers)
 * </pre>
 *
 * Steps are numbered through: first those of the load, then those of a call.
 */
final class ProgramC implements LibraryCode {
  /** Kernels in one file: a constant, so that the files depend on nothing but the program. */
  private static final int KERNELS_PER_FILE = 6;

  /**
   * What a step works on; the same text in the library's own main file and in {@link
   * org.tersor.runtime.machine.NativeExecutable}.
   */
  static final String CALL_TYPE =
      """
      typedef struct {
        const void *const *inputs;
        void *const *outputs;
        const void *const *constants;
        unsigned char *packed;
        unsigned char *arena;
        const int64_t *offsets;
        unsigned char *scratch;
        int64_t scratch_bytes;
        const int64_t *d;
        const int32_t *cancel;
        int64_t *fault;
      } tsr_call;
      #define TSR_FAULT(c) __atomic_load_n((c)->fault, __ATOMIC_RELAXED)
      #define TSR_CANCELLED(c) ((c)->cancel && __atomic_load_n((c)->cancel, __ATOMIC_RELAXED))
      """;

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
      """;

  /**
   * Several threads run this at once, each with its own worker number. They claim tasks of a step
   * by {@code counters[2 * step]} and go on when {@code counters[2 * step + 1]} says that all are
   * done, so a thread that comes late, or never, holds up nobody. Counters are zero before. Waiting
   * spins for a while, then yields the processor.
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
      TSR_API void PREFIX_work(const tsr_call *c, int64_t *counters, const int64_t *tasks, int32_t from, int32_t to, int32_t worker, int32_t workers) {
        for (int32_t step = from; step < to; step++) {
          int64_t n = tasks[step], *next = counters + 2 * step, *done = next + 1, chunk = n / (4 * (int64_t)workers);
          if (chunk < 1) chunk = 1;
          while (__atomic_load_n(next, __ATOMIC_RELAXED) < n) {
            int64_t i = __atomic_fetch_add(next, chunk, __ATOMIC_RELAXED);
            if (i >= n) break;
            int64_t e = n - i < chunk ? n : i + chunk;
            if (!c->cancel) {
              PREFIX_step(c, step, i, e, worker);
            } else {
              for (int64_t t = i; t < e && !TSR_CANCELLED(c); t++) PREFIX_step(c, step, t, t + 1, worker);
            }
            __atomic_fetch_add(done, e - i, __ATOMIC_RELEASE);
          }
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
  private final boolean cuda;
  private final Isa isa;
  private final DimC dims;
  private final PackedWeights packed;

  ProgramC(Program program, String prefix) {
    this.program = program;
    this.plan = program.plan();
    this.prefix = prefix;
    this.cuda = program.target().kind() == Target.Kind.CUDA;
    // The emulation is plain C: any level gives the same bits.
    this.isa = cuda ? (Cpu.supports(Isa.AVX2) ? Isa.AVX2 : Isa.SCALAR) : Isa.of(program.target());
    this.dims = new DimC(plan.dims());
    this.packed = PackedWeights.of(plan);
  }

  @Override
  public Isa isa() {
    return isa;
  }

  @Override
  public String prefix() {
    return prefix;
  }

  /** Bytes of the packed weights, a constant of the program. */
  @Override
  public long packedBytes() {
    return packed.bytes();
  }

  @Override
  public int slots() {
    return plan.arenaSlots();
  }

  @Override
  public int loadSteps() {
    return plan.loadSteps().size();
  }

  @Override
  public int runSteps() {
    return plan.runSteps().size();
  }

  /** Names and texts of the files, in a fixed order. */
  @Override
  public Map<String, String> files() {
    Map<String, String> files = new LinkedHashMap<>();
    String linkage = cuda ? "TSR_KERNEL" : "__attribute__((visibility(\"hidden\")))";
    if (cuda) {
      files.put("tersor_device.h", CRuntime.resource("tersor_device.h"));
    }
    List<LoopFunction> kernels = program.kernels();
    for (int first = 0, file = 0; first < kernels.size(); first += KERNELS_PER_FILE, file++) {
      CUnit unit = new CUnit(cuda ? Isa.SCALAR : isa, cuda);
      for (int k = first; k < Math.min(kernels.size(), first + KERNELS_PER_FILE); k++) {
        CEmitter.emit(unit, kernels.get(k), kernel(k), linkage);
        ScratchSize.emit(unit, kernels.get(k), kernel(k), linkage);
      }
      files.put(prefix + "_kernels" + file + ".c", unit.prelude() + unit.text());
    }
    files.put(prefix + "_steps.c", steps());
    return files;
  }

  private String kernel(int k) {
    return prefix + "_k" + k;
  }

  private List<Plan.Call> calls() {
    List<Plan.Call> calls = new ArrayList<>(plan.loadSteps());
    calls.addAll(plan.runSteps());
    return calls;
  }

  private String steps() {
    CUnit unit = new CUnit(Isa.SCALAR, false);
    StringBuilder out =
        new StringBuilder(
            "#include <stdint.h>\n#include <stddef.h>\n#define TSR_DIM static inline __attribute__((unused))\n");
    out.append(
        "#ifndef TSR_API\n#define TSR_API __attribute__((visibility(\"hidden\")))\n#endif\n");
    out.append(CALL_TYPE).append(DimC.HELPERS);
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
    for (int slot = 0; slot < slots(); slot++) {
      out.append("  offsets[").append(slot).append("] = total; most = 0;\n");
      for (Plan.Buffer b : slots.getOrDefault(slot, List.of())) {
        out.append("  size = ")
            .append(bytes(b))
            .append("; if (size < 0) return -1; if (size > most) most = size;\n");
      }
      // A cache line beyond the end keeps neighbours apart.
      out.append("  total = tsr_dim_add(bad, total, tsr_dim_add(bad, most, 127) / 64 * 64);\n");
    }
    out.append("  return bad_ ? -1 : total;\n}\n");
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
    out.append("TSR_API void ")
        .append(prefix)
        .append("_tasks(const int64_t *d, int64_t *tasks) {\n  (void)d; (void)tasks;\n");
    int i = 0;
    for (Plan.Call call : calls()) {
      out.append("  tasks[")
          .append(i++)
          .append("] = ")
          .append(dims.text(call.tasks(), false))
          .append(";\n");
    }
    out.append("}\n");
  }

  private void step(StringBuilder out) {
    out.append("TSR_API void ")
        .append(prefix)
        .append(
            "_step(const tsr_call *c, int32_t step, int64_t from, int64_t to, int32_t worker) {\n");
    out.append(
        "  const int64_t *d = c->d; unsigned char *scratch = c->scratch + worker * c->scratch_bytes;\n  (void)d; (void)scratch;\n  switch (step) {\n");
    StringBuilder all = new StringBuilder();
    int i = 0;
    for (Plan.Call call : calls()) {
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
      int step = i;
      call.demand().ifPresent(demand -> out.append(demand(demand, step)));
      out.append(" break;\n");
      all.append("  if (from <= ")
          .append(i)
          .append(" && ")
          .append(i)
          .append(" < to) whole(c, ")
          .append(i)
          .append(", ");
      all.append(dims.text(call.tasks(), false)).append(");\n");
      if (call.demand().isPresent()) {
        all.append("  if (TSR_FAULT(c)) return;\n");
      }
      i++;
    }
    out.append("    default: break;\n  }\n}\n");
    out.append(WHOLE.replace("PREFIX", prefix));
    out.append("TSR_API void ")
        .append(prefix)
        .append(
            "_steps(const tsr_call *c, int32_t from, int32_t to) {\n  const int64_t *d = c->d; (void)d;\n");
    out.append(all).append("}\n");
    direct(out);
    out.append(WORK.replace("PREFIX", prefix));
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
