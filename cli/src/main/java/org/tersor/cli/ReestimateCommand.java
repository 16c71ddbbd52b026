package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.NormStatistics;
import org.tersor.passes.quant.SampleSet;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tersor reestimate}: {@link NormStatistics} is its Java API. */
@Command(
    name = "reestimate",
    description = {
      "Measures the means and variances of a model's batch norms anew and writes the model with them.",
      "For weights that changed after training (pruned, coded), or for other data. 'quantize' and 'compile' fold the norms afterwards."
    })
final class ReestimateCommand implements Callable<Integer> {
  @Mixin ModelOptions options;

  @Option(
      names = "--calibrate",
      paramLabel = "DIR|FILE.npz",
      required = true,
      description = "Samples, as of quantize.")
  Path calibrate = Path.of("");

  @Option(
      names = "--samples",
      paramLabel = "N",
      defaultValue = "100",
      description = "Use at most the last N samples (default: ${DEFAULT-VALUE}).")
  int samples;

  @Option(names = "--task", description = "mnist or images: what the data is.")
  Optional<String> task = Optional.empty();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT.onnx",
      required = true,
      description = "The file to write.")
  Path output = Path.of("");

  @Override
  public Integer call() throws IOException {
    Compiler compiler = options.common.compiler();
    Graph model = options.read(compiler);
    CompileOptions compile = options.compileOptions(Optional.empty());
    SampleSet used = new SampleSet();
    NormStatistics.Measured measured =
        NormStatistics.measure(
            compiler,
            model,
            used.watching(
                CalibrationData.samples(
                    compiler.prepare(model, compile.withNote(note -> {})),
                    options,
                    calibrate,
                    samples,
                    task)),
            options.backend,
            compile);
    if (measured.reports().isEmpty()) {
      throw new TersorException("TSR-0432", "the model has no batch norms");
    }
    compiler.write(measured.graph(), output, Map.of());
    if (options.common.json) {
      Map<String, Object> json = new LinkedHashMap<>();
      json.put("output", output.toString());
      json.put("norms", measured.reports());
      json.put("sha256", used.sha256());
      options.common.sayJson(json);
    } else {
      List<String> lines = measured.reports();
      lines.forEach(line -> options.common.say("%s", line));
      options.common.say("wrote %s", output);
    }
    return Exit.OK;
  }
}
