package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.tersor.ir.spi.ModelProgram;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Plan;
import org.tersor.runtime.Script;

/**
 * C text of a script: a function for each block, over pointers that stand for registers. Registers
 * that something is written into have a place in the arena each; an If hands pointers on. To {@code
 * library.c} a script is one step, which runs on one thread, after the load steps of its segments.
 */
final class ScriptC implements LibraryCode {
  private final ModelProgram model;
  private final Script script;
  private final String prefix;
  private final List<ProgramC> segments = new ArrayList<>();
  private final List<Integer> constantBase = new ArrayList<>();
  private final List<Long> packedBase = new ArrayList<>();
  private final List<Integer> slotOf = new ArrayList<>();
  private final Map<Integer, Integer> secondSlot = new LinkedHashMap<>();
  private final ScriptLayout layout;
  private final DimC dims;
  private final Plan facade;
  private final StringBuilder blocks = new StringBuilder();
  private int constantCount;
  private long packedBytes;
  private int slots;
  private int blockCount;

  ScriptC(ModelProgram model, Script script, String prefix) {
    this.model = model;
    this.script = script;
    this.prefix = prefix;
    this.facade = facade(model, script).plan();
    for (Program segment : model.segments()) {
      ProgramC code = new ProgramC(segment, prefix + "_s" + segments.size());
      constantBase.add(constantCount);
      packedBase.add(packedBytes);
      constantCount += segment.constants().size();
      packedBytes += code.packedBytes();
      segments.add(code);
    }
    this.dims = new DimC(facade.dims());
    this.layout = new ScriptLayout(model, script, new TreeSet<>(facade.dims()));
    for (int register = 0; register < script.registers().size(); register++) {
      slotOf.add(layout.owned().containsKey(register) ? slots++ : -1);
    }
    for (int register : layout.twice()) {
      secondSlot.put(register, slots++);
    }
  }

  /** What a library tells about a model: dimensions, ports, constants. It has no code. */
  static Program facade(ModelProgram model, Script script) {
    TreeSet<String> symbols = new TreeSet<>();
    script.inputs().forEach(port -> port.shape().forEach(dim -> symbols.addAll(dim.symbols())));
    Plan plan =
        new Plan(
            script.name(),
            List.copyOf(symbols),
            script.inputs(),
            script.outputs(),
            List.of(),
            List.of(),
            List.of(),
            List.of());
    List<org.tersor.ir.graph.Constant> constants = new ArrayList<>();
    model.segments().forEach(segment -> constants.addAll(segment.constants()));
    constants.addAll(model.constants());
    return new Program(plan, List.of(), constants, model.target(), model.facts());
  }

  @Override
  public Isa isa() {
    return Isa.of(model.target());
  }

  @Override
  public String prefix() {
    return prefix;
  }

  @Override
  public long packedBytes() {
    return packedBytes;
  }

  /** Registers, then the arena of segments, then the status. */
  @Override
  public int slots() {
    return slots + 2;
  }

  @Override
  public int loadSteps() {
    return segments.stream().mapToInt(ProgramC::loadSteps).sum();
  }

  @Override
  public int runSteps() {
    return 1;
  }

  @Override
  public Map<String, String> files() {
    Map<String, String> files = new LinkedHashMap<>();
    segments.forEach(segment -> files.putAll(segment.files()));
    files.put(prefix + "_steps.c", text());
    return files;
  }

  private String text() {
    String main = block(script.main(), true);
    StringBuilder out =
        new StringBuilder(
            """
            #include <stdint.h>
            #include <stddef.h>
            #define TSR_DIM static inline __attribute__((unused))
            #define TSR_API __attribute__((visibility("hidden")))
            """);
    out.append(ProgramC.CALL_TYPE).append(DimC.HELPERS).append(CRuntime.resource("script.c"));
    for (ProgramC segment : segments) {
      String p = segment.prefix();
      out.append("int64_t " + p + "_layout(const int64_t *, int64_t *);\n");
      out.append("int64_t " + p + "_scratch(const int64_t *);\n");
      out.append("void " + p + "_steps(const tsr_call *, int32_t, int32_t);\n");
    }
    for (int i = 0; i < blockCount; i++) {
      out.append("static int32_t block" + i + "(const tsr_call *c, unsigned char **r);\n");
    }
    out.append(blocks);
    sizes(out);
    steps(out, main);
    return out.toString();
  }

  private String segmentDims(int segment) {
    List<String> values =
        model.segments().get(segment).plan().dims().stream()
            .map(name -> dims.text(DimExpr.symbol(name), false))
            .toList();
    return "const int64_t ds[] = {"
        + String.join(", ", values)
        + (values.isEmpty() ? "0" : "")
        + "};";
  }

  private String bytes(int register) {
    return "tsr_dim_mul(bad, "
        + dims.text(DimExpr.product(layout.dims(register)), true)
        + ", "
        + layout.type(register).memoryBytes()
        + ")";
  }

  private void sizes(StringBuilder out) {
    out.append("TSR_API int64_t " + prefix + "_layout(const int64_t *d, int64_t *offsets) {\n");
    out.append(
        "  int32_t bad_ = 0, *bad = &bad_; int64_t total = 0, size, most = 0;\n  (void)d;\n");
    layout.owned().keySet().forEach(register -> place(slotOf.get(register), register, out));
    secondSlot.forEach((register, slot) -> place(slot, register, out));
    for (int i = 0; i < segments.size(); i++) {
      out.append("  { " + segmentDims(i) + " int64_t o[" + (segments.get(i).slots() + 1) + "];\n");
      out.append(
          "    size = "
              + segments.get(i).prefix()
              + "_layout(ds, o); if (size < 0) return -1; if (size > most) most = size; }\n");
    }
    out.append(
        "  offsets["
            + slots
            + "] = total; total = tsr_dim_add(bad, total, tsr_dim_add(bad, most, 127) / 64 * 64);\n");
    out.append("  offsets[" + (slots + 1) + "] = total; total = tsr_dim_add(bad, total, 64);\n");
    out.append("  return bad_ ? -1 : total;\n}\n");
    out.append(
        "TSR_API int64_t "
            + prefix
            + "_scratch(const int64_t *d) {\n  int64_t most = 64, size; (void)d;\n");
    for (int i = 0; i < segments.size(); i++) {
      out.append(
          "  { "
              + segmentDims(i)
              + " size = "
              + segments.get(i).prefix()
              + "_scratch(ds); if (size > most) most = size; }\n");
    }
    out.append("  return most;\n}\n");
    out.append(
        "TSR_API void " + prefix + "_tasks(const int64_t *d, int64_t *tasks) {\n  (void)d;\n");
    out.append("  for (int32_t i = 0; i < " + (loadSteps() + 1) + "; i++) tasks[i] = 1;\n}\n");
  }

  private void steps(StringBuilder out, String main) {
    out.append(
        "TSR_API void "
            + prefix
            + "_step(const tsr_call *c, int32_t step, int64_t from, int64_t to, int32_t worker) {\n");
    out.append("  (void)from; (void)to; (void)worker;\n");
    int first = 0;
    for (int i = 0; i < segments.size(); i++) {
      int count = segments.get(i).loadSteps();
      if (count > 0) {
        out.append("  if (step >= " + first + " && step < " + (first + count) + ") {\n");
        out.append(
            "    static const int64_t ds[1]; tsr_call k = {0, 0, c->constants + "
                + constantBase.get(i)
                + ", c->packed + "
                + packedBase.get(i)
                + ", c->arena, c->offsets, c->scratch, c->scratch_bytes, ds, c->cancel, c->fault};\n");
        out.append(
            "    "
                + segments.get(i).prefix()
                + "_steps(&k, step - "
                + first
                + ", step - "
                + first
                + " + 1);\n    return;\n  }\n");
      }
      first += count;
    }
    out.append("  unsigned char *r[" + (script.registers().size() + 1) + "];\n");
    for (int i = 0; i < script.inputs().size(); i++) {
      out.append(
          "  r["
              + script.main().parameters().get(i)
              + "] = (unsigned char *)c->inputs["
              + i
              + "];\n");
    }
    for (int i = 0; i < script.constants().size(); i++) {
      out.append(
          "  r["
              + script.constants().get(i)
              + "] = (unsigned char *)c->constants["
              + (constantCount + i)
              + "];\n");
    }
    out.append(
        "  *(int64_t *)(c->arena + c->offsets[" + (slots + 1) + "]) = " + main + "(c, r);\n}\n");
    out.append(
        "TSR_API void " + prefix + "_steps(const tsr_call *c, int32_t from, int32_t to) {\n");
    out.append("  for (int32_t i = from; i < to; i++) " + prefix + "_step(c, i, 0, 1, 0);\n}\n");
    // The result of a call, for library.c.
    out.append(
        "TSR_API int64_t "
            + prefix
            + "_status(const tsr_call *c) { return *(int64_t *)(c->arena + c->offsets["
            + (slots + 1)
            + "]); }\n");
  }

  private void place(int slot, int register, StringBuilder out) {
    out.append("  offsets[" + slot + "] = total; size = " + bytes(register) + ";\n");
    out.append("  if (size < 0) return -1;\n");
    out.append("  total = tsr_dim_add(bad, total, tsr_dim_add(bad, size, 127) / 64 * 64);\n");
  }

  private String own(int register) {
    return "(c->arena + c->offsets[" + slotOf.get(register) + "])";
  }

  private String block(Script.Block block) {
    return block(block, false);
  }

  /** Writes the function of a block; returns its name. The main block delivers the outputs. */
  private String block(Script.Block block, boolean main) {
    StringBuilder out = new StringBuilder();
    block.steps().forEach(step -> step(step, out));
    if (main) {
      deliver(out);
    }
    String name = "block" + blockCount++;
    blocks.append("static int32_t " + name + "(const tsr_call *c, unsigned char **r) {\n");
    blocks.append(
        "  const int64_t *d = c->d; int32_t bad_ = 0, *bad = &bad_, failed; (void)d; (void)bad; (void)failed; (void)r;\n");
    blocks.append(out).append("  return 0;\n}\n");
    return name;
  }

  private void deliver(StringBuilder out) {
    List<Integer> results = script.main().results();
    for (int result : results) {
      out.append(
          "  for (int32_t i = 0; i < "
              + script.inputs().size()
              + "; i++) if (r["
              + result
              + "] == c->inputs[i]) { tsr_copy("
              + own(result)
              + ", r["
              + result
              + "], "
              + bytes(result)
              + "); r["
              + result
              + "] = "
              + own(result)
              + "; }\n");
    }
    for (int i = 0; i < results.size(); i++) {
      out.append(
          "  tsr_copy((unsigned char *)c->outputs["
              + i
              + "], r["
              + results.get(i)
              + "], "
              + bytes(results.get(i))
              + ");\n");
    }
  }

  private void step(Script.Step step, StringBuilder out) {
    switch (step) {
      case Script.Run run -> {
        run(run, out);
        out.append("  if (TSR_CANCELLED(c)) return TSR_STOPPED;\n");
      }
      case Script.Choose choose -> {
        String then = block(choose.then());
        String otherwise = block(choose.otherwise());
        out.append(
            "  if (*r["
                + choose.condition()
                + "]) {\n    if ((failed = "
                + then
                + "(c, r))) return failed;\n");
        hand(choose.then(), choose.outputs(), out);
        out.append("  } else {\n    if ((failed = " + otherwise + "(c, r))) return failed;\n");
        hand(choose.otherwise(), choose.outputs(), out);
        out.append("  }\n");
      }
      case Script.Iterate iterate -> iterate(iterate, out);
      case Script.Fail _ -> out.append("  return TSR_BRANCH;\n");
      case Script.Host host -> throw new IllegalStateException(host.origin());
    }
  }

  private static void hand(Script.Block block, List<Integer> outputs, StringBuilder out) {
    for (int i = 0; i < Math.min(outputs.size(), block.results().size()); i++) {
      if (outputs.get(i) != Script.ABSENT) {
        out.append("    r[" + outputs.get(i) + "] = r[" + block.results().get(i) + "];\n");
      }
    }
  }

  private void run(Script.Run run, StringBuilder out) {
    ProgramC segment = segments.get(run.segment());
    out.append(
        "  { " + segmentDims(run.segment()) + " int64_t o[" + (segment.slots() + 1) + "];\n");
    out.append("    if (" + segment.prefix() + "_layout(ds, o) < 0) return TSR_DIMS;\n");
    out.append(
        "    const void *in[] = {"
            + run.inputs().stream().map(i -> "r[" + i + "], ").collect(Collectors.joining())
            + "0};\n");
    out.append(
        "    void *to[] = {"
            + run.outputs().stream().map(i -> own(i) + ", ").collect(Collectors.joining())
            + "0};\n");
    out.append(
        "    tsr_call k = {in, to, c->constants + "
            + constantBase.get(run.segment())
            + ", c->packed + "
            + packedBase.get(run.segment())
            + ", c->arena + c->offsets["
            + slots
            + "], o, c->scratch, c->scratch_bytes, ds, c->cancel, c->fault};\n");
    out.append(
        "    "
            + segment.prefix()
            + "_steps(&k, "
            + segment.loadSteps()
            + ", "
            + (segment.loadSteps() + segment.runSteps())
            + ");\n    if (TSR_FAULT(c)) return TSR_INDEX;\n");
    run.outputs().forEach(i -> out.append("    r[" + i + "] = " + own(i) + ";\n"));
    out.append("  }\n");
  }

  private void iterate(Script.Iterate step, StringBuilder out) {
    String body = block(step.body());
    List<Integer> parameters = step.body().parameters();
    List<Integer> results = step.body().results();
    int first = step.counted() ? 2 : 0;
    int carried = step.initial().size();
    int head = step.counted() ? 1 : 0;
    out.append("  { int64_t trips = INT64_MAX, trip = 0; int32_t more = 1;\n");
    if (step.tripCount() != Script.ABSENT) {
      out.append("    trips = *(int64_t *)r[" + step.tripCount() + "];\n");
    }
    for (Script.Scanned scanned : step.scanned()) {
      String count = dims.text(layout.dims(scanned.register()).get(scanned.axis()), true);
      out.append(
          "    if (trips != INT64_MAX && trips != "
              + count
              + ") return TSR_DIMS; trips = "
              + count
              + ";\n");
    }
    if (step.condition() != Script.ABSENT) {
      out.append("    more = *r[" + step.condition() + "];\n");
    }
    for (int p : parameters) {
      out.append("    unsigned char *p" + p + " = " + own(p) + ";\n");
    }
    for (int i = 0; i < carried; i++) {
      int p = parameters.get(first + i);
      out.append("    tsr_copy(p" + p + ", r[" + step.initial().get(i) + "], " + bytes(p) + ");\n");
    }
    out.append("    for (; trip < trips && more; trip++) {\n");
    out.append("      if (TSR_CANCELLED(c)) return TSR_STOPPED;\n");
    if (step.counted()) {
      out.append(
          "      *(int64_t *)p"
              + parameters.get(0)
              + " = trip; *p"
              + parameters.get(1)
              + " = 1;\n");
    }
    for (int i = 0; i < step.scanned().size(); i++) {
      Script.Scanned scanned = step.scanned().get(i);
      String at = scanned.reverse() ? "trips - 1 - trip" : "trip";
      out.append(
          "      tsr_slice(p"
              + parameters.get(first + carried + i)
              + ", r["
              + scanned.register()
              + "], "
              + strides(scanned.register(), scanned.axis())
              + ", "
              + at
              + ");\n");
    }
    parameters.forEach(p -> out.append("      r[" + p + "] = p" + p + ";\n"));
    out.append("      if ((failed = " + body + "(c, r))) return failed;\n");
    for (int i = 0; i < step.stacked().size(); i++) {
      int register = step.outputs().get(carried + i);
      if (register != Script.ABSENT) {
        Script.Stacked form = step.stacked().get(i);
        String count = dims.text(layout.dims(register).get(form.axis()), true);
        out.append("      if (trip >= " + count + ") return TSR_DIMS;\n");
        String at = form.reverse() ? count + " - 1 - trip" : "trip";
        out.append(
            "      tsr_stack("
                + own(register)
                + ", r["
                + results.get(head + carried + i)
                + "], "
                + strides(register, form.axis())
                + ", "
                + at
                + ");\n");
      }
    }
    if (step.counted()) {
      out.append("      more = *r[" + results.getFirst() + "];\n");
    }
    // A result may lie in another parameter's place: none is written before all are read.
    for (int i = 0; i < carried; i++) {
      int p = parameters.get(first + i);
      String to = carried > 1 ? second(p) : "p" + p;
      out.append(
          "      tsr_copy(" + to + ", r[" + results.get(head + i) + "], " + bytes(p) + ");\n");
    }
    for (int i = 0; i < carried && carried > 1; i++) {
      int p = parameters.get(first + i);
      out.append("      tsr_copy(p" + p + ", " + second(p) + ", " + bytes(p) + ");\n");
    }
    out.append("    }\n");
    for (int i = 0; i < carried; i++) {
      if (step.outputs().get(i) != Script.ABSENT) {
        out.append("    r[" + step.outputs().get(i) + "] = p" + parameters.get(first + i) + ";\n");
      }
    }
    for (int i = 0; i < step.stacked().size(); i++) {
      int register = step.outputs().get(carried + i);
      if (register != Script.ABSENT) {
        out.append(
            "    if (trip != "
                + dims.text(layout.dims(register).get(step.stacked().get(i).axis()), true)
                + ") return TSR_DIMS;\n");
        out.append("    r[" + register + "] = " + own(register) + ";\n");
      }
    }
    out.append("  }\n");
  }

  private String second(int register) {
    return "(c->arena + c->offsets[" + secondSlot.get(register) + "])";
  }

  /** Arguments of slices: how many outer parts, slices, bytes of a slice's part. */
  private String strides(int register, int axis) {
    List<DimExpr> shape = layout.dims(register);
    return dims.text(DimExpr.product(shape.subList(0, axis)), true)
        + ", "
        + dims.text(shape.get(axis), true)
        + ", tsr_dim_mul(bad, "
        + dims.text(DimExpr.product(shape.subList(axis + 1, shape.size())), true)
        + ", "
        + layout.type(register).memoryBytes()
        + ")";
  }
}
