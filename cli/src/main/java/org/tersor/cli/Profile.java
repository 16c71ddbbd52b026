package org.tersor.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.tersor.conformance.Duel;
import org.tersor.conformance.LoadedModel;
import org.tersor.conformance.PeakRate;
import org.tersor.ir.loop.LoopWork;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.Program;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Executable;
import org.tersor.runtime.StepClock;
import org.tersor.runtime.Tensor;

/**
 * {@code tersor bench --profile}: which kernel a run spends its time in, and how much of the
 * machine's arithmetic it uses there. Operations are counted in the loops that were compiled, so an
 * artifact, which does not carry them, shows times and bytes only.
 */
final class Profile {
  private static final int ORIGIN = 60;

  private final LoadedModel model;
  private final int rounds;
  private final PeakRate peak;

  private Profile(LoadedModel model, int rounds, PeakRate peak) {
    this.model = model;
    this.rounds = rounds;
    this.peak = peak;
  }

  /** A step with what it computes in one launch. */
  private record Row(StepClock.Step step, Optional<LoopWork> work) {
    double seconds() {
      return Math.max(1, step.nanos()) / 1e9;
    }

    double gigaOperations() {
      return work.map(w -> w.operations() / seconds() / 1e9).orElse(Double.NaN);
    }

    double gigaBytes() {
      return step.bytes() / seconds() / 1e9;
    }
  }

  static void print(
      Common common,
      Compiler compiler,
      LoadedModel model,
      Map<String, Tensor> inputs,
      int threads,
      double warmupSeconds,
      int rounds) {
    PeakRate peak =
        !model.programs().isEmpty()
                && compiler.registry().backend(model.backend()) instanceof Backend.OfProgram backend
            ? PeakRate.measure(backend, model.programs().getFirst().target(), threads)
            : PeakRate.UNKNOWN;
    Executable executable = model.executable();
    Map<String, Tensor> outputs = executable.run(inputs);
    Duel.steady(executable, inputs, outputs, warmupSeconds);
    StepClock clock = new StepClock();
    for (int round = 0; round < rounds; round++) {
      clock.during(() -> executable.run(inputs, outputs));
    }
    new Profile(model, rounds, peak).print(common, clock.steps());
  }

  private void print(Common common, List<StepClock.Step> steps) {
    List<Row> rows =
        steps.stream()
            .map(step -> new Row(step, work(step)))
            .sorted(Comparator.comparingDouble(row -> -micros(row)))
            .toList();
    double all = rows.stream().mapToDouble(this::micros).sum();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("microsPerRun", all);
    Map<String, Object> peaks = new LinkedHashMap<>();
    peak.floats().ifPresent(rate -> peaks.put("flopsPerSecond", rate));
    peak.byteProducts().ifPresent(rate -> peaks.put("byteOperationsPerSecond", rate));
    json.put("peak", peaks);
    json.put("steps", rows.stream().map(this::json).toList());
    common.sayJson(json);
    peak.floats()
        .ifPresent(rate -> {
          String bytes =
              peak.byteProducts().isPresent()
                  ? ", %.0f Gop/s of byte products"
                      .formatted(peak.byteProducts().getAsDouble() / 1e9)
                  : "";
          common.say("peak, measured: %.0f GFLOP/s%s", rate / 1e9, bytes);
        });
    common.say(
        "%9s %6s %9s %6s %8s  %-24s %s",
        "us", "share", "GFLOP/s", "peak", "GB/s", "kernel", "computes");
    for (Row row : rows) {
      common.say(
          "%9.1f %5.1f%% %9s %6s %8.2f  %-24s %s",
          micros(row),
          100 * micros(row) / all,
          row.work()
              .map(w -> (w.isExact() ? "" : "~") + "%.1f".formatted(row.gigaOperations()))
              .orElse("-"),
          fraction(row).stream().mapToObj(f -> "%.0f%%".formatted(100 * f)).findFirst().orElse("-"),
          row.gigaBytes(),
          row.step().kernel(),
          shortened(row.step().origin()));
    }
    common.say("%9.1f us a run in %d steps (medians)", all, rows.size());
    if (model.programs().isEmpty()) {
      common.say(
          "  note: operations are counted in the loops of the compiler, which this does not carry; profile the model that it was compiled from");
    }
  }

  /** What one launch of a step computes, if its loops are known. */
  @SuppressWarnings("ReferenceEquality") // parts of a model may be equal and yet different ones
  private Optional<LoopWork> work(StepClock.Step step) {
    List<Program> programs = new ArrayList<>(model.programs());
    programs.removeIf(program -> program.plan() != step.plan());
    return programs.stream()
        .findFirst()
        .map(program -> LoopWork.of(program.kernels().get(step.call().kernel()), step.arguments()));
  }

  private OptionalDouble fraction(Row row) {
    return row.work()
        .map(work -> peak.fraction(work, row.seconds()))
        .orElse(OptionalDouble.empty());
  }

  /** Time in one run of the model. */
  private double micros(Row row) {
    return row.step().nanos() / 1e3 * row.step().runs() / rounds;
  }

  private Map<String, Object> json(Row row) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("kernel", row.step().kernel());
    json.put("computes", row.step().origin());
    json.put("micros", micros(row));
    json.put("runs", row.step().runs() / (double) rounds);
    json.put("bytes", row.step().bytes());
    json.put("bytesPerSecond", row.step().bytes() / row.seconds());
    row.work()
        .ifPresent(work -> {
          json.put("flops", work.floats());
          json.put("byteOperations", work.byteProducts());
          json.put("exact", work.isExact());
          json.put("operationsPerSecond", work.operations() / row.seconds());
        });
    fraction(row).ifPresent(fraction -> json.put("ofPeak", fraction));
    return json;
  }

  private static String shortened(String origin) {
    return origin.length() > ORIGIN ? origin.substring(0, ORIGIN) + "..." : origin;
  }
}
