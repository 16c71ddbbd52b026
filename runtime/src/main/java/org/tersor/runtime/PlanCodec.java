package org.tersor.runtime;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Text form of a {@link Plan}: one line each, fields separated by tabs, lists after their length.
 * In names, backslash escapes backslash, tab and line ends.
 */
public final class PlanCodec {
  private static final String HEADER = "tersor-plan 3";

  private PlanCodec() {}

  public static String write(Plan plan) {
    StringBuilder out = new StringBuilder(HEADER).append('\n');
    new CodecLine("name").text(plan.name()).end(out);
    CodecLine dims = new CodecLine("dims").number(plan.dims().size());
    plan.dims().forEach(dims::text);
    dims.end(out);
    plan.inputs().forEach(p -> port("input", p, out));
    plan.outputs().forEach(p -> port("output", p, out));
    plan.buffers()
        .forEach(b ->
            new CodecLine("buffer")
                .text(b.name())
                .text(b.dtype().text())
                .text(b.elements().toString())
                .text(b.storage().name())
                .number(b.index())
                .end(out));
    plan.kernels().forEach(k -> new CodecLine("kernel").text(k).end(out));
    plan.loadSteps().forEach(c -> call("load", c, out));
    plan.runSteps().forEach(c -> call("run", c, out));
    plan.checks()
        .forEach(c ->
            new CodecLine("check")
                .text(c.is().toString())
                .text(c.least().toString())
                .text(c.origin())
                .text(c.fault())
                .end(out));
    return out.toString();
  }

  private static void port(String word, Executable.Port port, StringBuilder out) {
    new CodecLine(word).text(port.name()).text(port.dtype().text()).dims(port.shape()).end(out);
  }

  private static void call(String word, Plan.Call call, StringBuilder out) {
    CodecLine line = new CodecLine(word).number(call.kernel()).number(call.buffers().size());
    call.buffers().forEach(line::number);
    line.dims(call.dims()).text(call.tasks().toString()).text(call.origin());
    line.number(call.demand().isPresent() ? 1 : 0);
    call.demand()
        .ifPresent(demand ->
            line.number(demand.buffer())
                .dims(List.of(demand.least(), demand.most(), demand.count())));
    line.flag(call.carries()).end(out);
  }

  /** Reads {@link #write}'s text; anything else is a {@link TersorException}. */
  public static Plan read(String text) {
    List<String> lines = text.lines().toList();
    if (lines.isEmpty() || !lines.getFirst().equals(HEADER)) {
      throw new TersorException(
          "TSR-0707",
          "not a plan of this version: it starts with '"
              + text.substring(0, Math.min(20, text.length()))
              + "'");
    }
    String name = "";
    List<String> dims = new ArrayList<>();
    List<Executable.Port> inputs = new ArrayList<>();
    List<Executable.Port> outputs = new ArrayList<>();
    List<Plan.Buffer> buffers = new ArrayList<>();
    List<String> kernels = new ArrayList<>();
    List<Plan.Call> load = new ArrayList<>();
    List<Plan.Call> run = new ArrayList<>();
    List<Plan.Check> checks = new ArrayList<>();
    for (int i = 1; i < lines.size(); i++) {
      CodecFields fields = new CodecFields(lines.get(i));
      try {
        switch (fields.next()) {
          case "name" -> name = fields.next();
          case "dims" -> {
            for (int n = fields.number(); n > 0; n--) {
              dims.add(fields.next());
            }
          }
          case "input" -> inputs.add(port(fields));
          case "output" -> outputs.add(port(fields));
          case "buffer" ->
              buffers.add(
                  new Plan.Buffer(
                      fields.next(),
                      DType.of(fields.next()),
                      DimExpr.parse(fields.next()),
                      Plan.Storage.valueOf(fields.next()),
                      fields.number()));
          case "kernel" -> kernels.add(fields.next());
          case "load" -> load.add(call(fields));
          case "run" -> run.add(call(fields));
          case "check" ->
              checks.add(
                  new Plan.Check(
                      DimExpr.parse(fields.next()),
                      DimExpr.parse(fields.next()),
                      fields.next(),
                      fields.next()));
          default -> throw new IllegalArgumentException("unknown word");
        }
        fields.end();
      } catch (IllegalArgumentException | IndexOutOfBoundsException | ArithmeticException e) {
        throw new TersorException(
            "TSR-0707", "the plan is damaged in line " + (i + 1) + ": " + e.getMessage(), e);
      }
    }
    return new Plan(
        name,
        List.copyOf(dims),
        List.copyOf(inputs),
        List.copyOf(outputs),
        List.copyOf(buffers),
        List.copyOf(kernels),
        List.copyOf(load),
        List.copyOf(run),
        List.copyOf(checks));
  }

  private static Executable.Port port(CodecFields fields) {
    return new Executable.Port(fields.next(), DType.of(fields.next()), fields.dims());
  }

  private static Plan.Call call(CodecFields fields) {
    int kernel = fields.number();
    List<Integer> buffers = new ArrayList<>();
    for (int n = fields.number(); n > 0; n--) {
      buffers.add(fields.number());
    }
    List<DimExpr> dims = fields.dims();
    DimExpr tasks = DimExpr.parse(fields.next());
    String origin = fields.next();
    Optional<Plan.Demand> demand = Optional.empty();
    if (fields.number() != 0) {
      int buffer = fields.number();
      List<DimExpr> range = fields.dims();
      demand = Optional.of(new Plan.Demand(buffer, range.get(0), range.get(1), range.get(2)));
    }
    return new Plan.Call(kernel, List.copyOf(buffers), dims, tasks, origin, demand, fields.flag());
  }
}
