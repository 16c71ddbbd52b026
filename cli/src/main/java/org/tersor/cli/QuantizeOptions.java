package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.cli.data.Preprocess;
import org.tersor.cli.data.Samples;
import org.tersor.conformance.RandomInputs;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.Registry;
import org.tersor.passes.eval.Ports;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Option;

/** How a model is quantized, on the command line. */
final class QuantizeOptions {
  @Option(
      names = "--scheme",
      description = "int8: static, u8 activations per tensor, s8 weights per channel.")
  Optional<String> scheme = Optional.empty();

  @Option(
      names = "--calibrate",
      paramLabel = "DIR|FILE.npz",
      description =
          "Calibration data: .npz with arrays [samples, ...] by input name, or a folder of .npz, .npy, pictures, or IDX files; or the word random.")
  Optional<Path> calibrate = Optional.empty();

  @Option(
      names = "--calibrator",
      description = "minmax, or percentile:P (default: ${DEFAULT-VALUE}).")
  String calibrator = "minmax";

  @Option(
      names = "--calibration-samples",
      paramLabel = "N",
      defaultValue = "100",
      description = "Use at most the last N samples (default: ${DEFAULT-VALUE}).")
  int calibrationSamples;

  @Option(
      names = "--task",
      description =
          "mnist or images: what the calibration data is. mnist implies mean .1307, std .3081.")
  Optional<String> task = Optional.empty();

  @Option(
      names = "--plan",
      paramLabel = "FILE",
      description = "Apply this plan instead of calibrating.")
  Optional<Path> plan = Optional.empty();

  @Option(
      names = "--save-plan",
      paramLabel = "FILE",
      description = "Write every decision as a text that can be read, edited and given to --plan.")
  Optional<Path> savePlan = Optional.empty();

  /** What came out, with errors by layer where there was calibration data. */
  record Result(Quantizer.Quantized quantized, List<Quantizer.LayerError> errors, int samples) {}

  boolean wanted() {
    return scheme.isPresent() || plan.isPresent();
  }

  Result quantize(Compiler compiler, Graph imported, ModelOptions model) throws IOException {
    if (!scheme.orElse("int8").equals("int8")) {
      throw new TersorException(
          "TSR-0906", "there is no scheme '" + scheme.orElse("") + "'; there is int8");
    }
    CompileOptions compile = model.compileOptions(Optional.empty());
    Quantizer quantizer = new Quantizer(compiler);
    Graph base = quantizer.base(imported, compile);
    if (plan.isPresent()) {
      QuantPlan given = QuantPlan.parse(Files.readString(plan.get()));
      return new Result(
          new Quantizer.Quantized(quantizer.apply(base, given, compile), base, given),
          List.of(),
          0);
    }
    warnIfInterpreted(compiler, model);
    Iterable<Map<String, Tensor>> samples = samples(base, model);
    List<Map<String, Tensor>> few = new ArrayList<>();
    int[] count = {0};
    for (Map<String, Tensor> sample : samples) {
      if (count[0]++ < 8) {
        few.add(sample);
      }
    }
    Quantizer.Options options =
        new Quantizer.Options(Calibrator.parse(calibrator), model.backend, compile);
    List<Quantizer.Quantized> done = new ArrayList<>();
    model.common.withProgress(
        "calibrating",
        count[0],
        step ->
            done.add(
                quantizer.quantize(
                    imported,
                    () ->
                        java.util.stream.StreamSupport.stream(samples.spliterator(), false)
                            .peek(s -> step.run())
                            .iterator(),
                    options)));
    Quantizer.Quantized quantized = done.getFirst();
    if (savePlan.isPresent()) {
      Files.writeString(savePlan.get(), quantized.plan().text());
    }
    return new Result(quantized, quantizer.errors(quantized, few, options), count[0]);
  }

  /** Calibration by interpretation takes hours where compiled code takes seconds. */
  private static void warnIfInterpreted(Compiler compiler, ModelOptions model) {
    if (!model.backend.endsWith("interpreter")) {
      return;
    }
    List<String> compiled =
        compiler.registry().backends().stream()
            .map(Registry.Provided::provider)
            .filter(b ->
                b instanceof Backend.OfProgram p
                    && (p.artifacts().contains("jar") || p.artifacts().contains("so")))
            .filter(b -> b.unavailable().isEmpty())
            .map(Backend::id)
            .toList();
    if (!compiled.isEmpty()) {
      model.common.warn(
          "calibrating with backend '"
              + model.backend
              + "', which is slow on purpose; here --backend "
              + String.join(" or ", compiled)
              + " gives the same plan within rounding");
    }
  }

  private Iterable<Map<String, Tensor>> samples(Graph base, ModelOptions model) throws IOException {
    List<Port> ports = Ports.inputs(base);
    if (calibrate.isEmpty()) {
      throw new TersorException(
          "TSR-0413",
          "calibration data is needed: --calibrate DIR or FILE.npz (or --calibrate random, to time but not to use)");
    }
    if (calibrate.get().toString().equals("random")) {
      model.common.warn("calibrated on random inputs: good for timing, not for accuracy");
      List<Map<String, Tensor>> drawn = new ArrayList<>();
      for (int i = 0; i < Math.min(8, calibrationSamples); i++) {
        Map<String, Tensor> sample = new LinkedHashMap<>();
        RandomInputs.draw(base, ports, model.dims, model.seed + i)
            .forEach((name, d) -> sample.put(name, d.tensor()));
        drawn.add(sample);
      }
      return drawn;
    }
    Samples.Data data =
        Samples.calibration(
            calibrate.get(), task, ports, model.dims, model.preprocess.map(Preprocess::parse));
    return data.calls(Math.max(0, data.count() - calibrationSamples), data.count());
  }
}
