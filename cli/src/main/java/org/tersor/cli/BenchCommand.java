package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tersor.conformance.Duel;
import org.tersor.conformance.LoadedModel;
import org.tersor.conformance.RandomInputs;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ReferenceModels;
import org.tersor.conformance.kernels.KernelBench;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.schedule.Target;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.CostTable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code tersor bench}: run time, alone or in alternating rounds against ONNX Runtime; {@link Duel}
 * is its Java API.
 */
@Command(
    name = "bench",
    description = {
      "Measures a model's run time.",
      "With --kernels the generated kernels of each family are measured against hand-written ones; exit code 3 if one is below 0.9 (--min-ratio).",
      "With --against ort both are warmed up and take turns, with 20 ms of quiet between; medians. A ratio above 1 means that Tersor is faster."
    })
final class BenchCommand implements Callable<Integer> {
  /** A generated kernel slower than this fraction of a hand-written one is a fault. */
  private static final double KERNEL_RATIO = .9;

  /** Opponents. */
  enum Opponent {
    ORT
  }

  @Mixin ModelOptions options;

  @Option(names = "--against", description = "ort: ONNX Runtime with the same number of threads.")
  Optional<Opponent> against = Optional.empty();

  @Option(
      names = "--reference",
      paramLabel = "X.onnx",
      description = "The model that ONNX Runtime runs, if it is not MODEL itself.")
  Optional<Path> reference = Optional.empty();

  @Option(
      names = "--rounds",
      defaultValue = "15",
      description = "Rounds (default: ${DEFAULT-VALUE}).")
  int rounds;

  @Option(
      names = "--warmup",
      paramLabel = "SECONDS",
      defaultValue = "2",
      description =
          "Least warm-up (default: ${DEFAULT-VALUE}); it goes on while runs still become faster or HotSpot compiles.")
  double warmup;

  @Option(
      names = "--min-ratio",
      paramLabel = "R",
      description = "Exit with 3 if ort/tersor, or hand-written/generated, is below this.")
  Optional<Double> minRatio = Optional.empty();

  @Option(
      names = "--widths",
      description =
          "Of a .jar: run every vector width and the plain loops, each in a JVM of its own; exit with 3 if a width is slower than the plain loops (by --min-ratio, default 0.95).")
  boolean widths;

  @Option(
      names = "--profile",
      description =
          "Print each step, a fused kernel with the nodes that it computes: its time, its share, operations a second, counted in its loops, in percent of a peak that is measured first, and the bytes of its operands a second.")
  boolean profile;

  @Option(
      names = "--kernels",
      paramLabel = "BACKEND[,BACKEND]",
      arity = "0..1",
      split = ",",
      fallbackValue = "jvm,native",
      help = true, // takes no MODEL
      description = "Measure kernels instead of a model, by default of jvm and native.")
  List<String> kernels = List.of();

  @Option(
      names = "--costs",
      paramLabel = "BACKEND[,BACKEND]",
      arity = "0..1",
      split = ",",
      fallbackValue = "jvm,native",
      help = true, // takes no MODEL
      description =
          "Measure what layers of several sizes cost in float32 and in int8 on this processor, and keep it: 'quantize' predicts from it.")
  List<String> costs = List.of();

  @Override
  public Integer call() throws IOException {
    if (widths) {
      return WidthBench.run(options, rounds, warmup, minRatio.orElse(.95));
    }
    Compiler compiler = options.common.compiler();
    if (!kernels.isEmpty()) {
      return measureKernels(compiler);
    }
    if (!costs.isEmpty()) {
      return measureCosts(compiler);
    }
    if (options.isArtifact() && against.isPresent() && reference.isEmpty()) {
      throw new TersorException(
          "TSR-0906", "ONNX Runtime cannot run an artifact: give --reference X.onnx");
    }
    long begin = System.nanoTime();
    LoadedModel loaded = options.load(compiler, reference);
    double loadMs = (System.nanoTime() - begin) / 1e6;
    Map<String, RandomInputs.Drawn> drawn = options.inputs(loaded);
    Map<String, Tensor> inputs = ModelOptions.tensors(drawn);
    Duel.Settings settings =
        new Duel.Settings(warmup, Math.max(1, rounds), Duel.Settings.DEFAULT.roundSeconds());
    if (profile) {
      Profile.print(
          options.common, compiler, loaded, inputs, options.threads, warmup, Math.max(1, rounds));
      return Exit.OK;
    }
    if (against.isEmpty()) {
      print(Duel.alone(loaded.executable(), inputs, settings), loadMs, loaded, drawn);
      return Exit.OK;
    }
    try (Reference ort = new OrtWorker();
        Reference.Session session =
            ReferenceModels.open(
                ort,
                reference.orElse(options.model),
                new Reference.Options(Reference.Optimization.ALL, options.threads),
                !options.contradictions().isEmpty(),
                options.common::warn)) {
      Duel.Result result = Duel.run(loaded.executable(), session, inputs, settings);
      print(result, loadMs, loaded, drawn);
      return minRatio.isPresent() && result.ratio() < minRatio.get() ? Exit.TOO_SLOW : Exit.OK;
    }
  }

  private int measureKernels(Compiler compiler) throws IOException {
    double least = minRatio.orElse(KERNEL_RATIO);
    KernelBench bench = new KernelBench(compiler, warmup);
    List<Map<String, Object>> rows = new ArrayList<>();
    boolean slow = false;
    options.common.say(
        "%-28s %-8s %12s %12s %7s", "kernel", "backend", "generated us", "by hand us", "ratio");
    for (String backend : kernels) {
      for (KernelBench.Result result : bench.run(backend)) {
        boolean below = result.ratio() < least;
        slow |= below;
        rows.add(
            Map.of(
                "kernel", result.kernel(),
                "backend", result.backend(),
                "generatedMicros", result.generatedMicros(),
                "handMicros", result.handMicros(),
                "ratio", result.ratio()));
        options.common.say(
            "%-28s %-8s %12.1f %12.1f %7.2f%s",
            result.kernel(),
            result.backend(),
            result.generatedMicros(),
            result.handMicros(),
            result.ratio(),
            below ? " SLOW" : "");
      }
    }
    options.common.sayJson(Map.of("kernels", rows, "leastRatio", least, "passed", !slow));
    return slow ? Exit.TOO_SLOW : Exit.OK;
  }

  private int measureCosts(Compiler compiler) throws IOException {
    List<Map<String, Object>> tables = new ArrayList<>();
    for (String backend : costs) {
      for (Target target : Costs.here(compiler, backend, options.compileOptions())) {
        CostTable table = Costs.measured(compiler, options, backend, target);
        options.common.say("%s on %s, one thread:", table.target(), table.processor());
        options.common.say("  %-32s %12s %12s %8s", "layer", "float us", "int8 us", "speedup");
        for (CostTable.Row row : table.rows()) {
          options.common.say(
              "  %-32s %12.2f %12.2f %8.2f",
              row.name(),
              row.floatNanos() / 1e3,
              row.integerNanos() / 1e3,
              row.floatNanos() / row.integerNanos());
        }
        options.common.say("  kept in %s", Costs.file(target));
        tables.add(
            Map.of(
                "target", table.target(),
                "processor", table.processor(),
                "file", Costs.file(target).toString(),
                "rows", table.rows()));
      }
    }
    options.common.sayJson(Map.of("costs", tables));
    return Exit.OK;
  }

  private void print(
      Duel.Result result,
      double loadMs,
      LoadedModel loaded,
      Map<String, RandomInputs.Drawn> drawn) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("tersorMs", result.tersorMs());
    if (against.isPresent()) {
      json.put("ortMs", result.ortMs());
      json.put("ratio", result.ratio());
    }
    json.put("spread", result.spread());
    json.put("rounds", result.rounds());
    json.put("runsPerRound", result.runsPerRound());
    json.put("loadMs", loadMs);
    json.put("firstMs", result.firstMs());
    json.put("warmupSeconds", result.warmupSeconds());
    json.put("threads", options.threads);
    json.put("backend", loaded.backend());
    loaded
        .executable()
        .describe()
        .lines()
        .filter(line -> line.startsWith(WidthBench.VARIANT))
        .findFirst()
        .ifPresent(line -> json.put("variant", line.substring(WidthBench.VARIANT.length())));
    json.put("inputs", ModelOptions.describe(drawn));
    json.put("notes", options.notes());
    options.common.sayJson(json);
    options.common.say(
        "%s on %s, %d thread(s): %s",
        options.model.getFileName(),
        loaded.backend(),
        options.threads,
        Common.millis(result.tersorMs()));
    if (against.isPresent()) {
      options.common.say(
          "ONNX Runtime: %s; Tersor is %.2f times as fast (%d rounds, spread %.0f %%)",
          Common.millis(result.ortMs()), result.ratio(), result.rounds(), 100 * result.spread());
    }
    options.common.say(
        "%s in %s; first call %s; as fast as it becomes after %.1f s",
        options.isArtifact() ? "loaded" : "compiled and loaded",
        Common.millis(loadMs),
        Common.millis(result.firstMs()),
        result.warmupSeconds());
    options.common.notes(options.notes());
  }
}
