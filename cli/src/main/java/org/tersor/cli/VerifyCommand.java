package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tersor.conformance.Comparison;
import org.tersor.conformance.LoadedModel;
import org.tersor.conformance.RandomInputs;
import org.tersor.conformance.Reference;
import org.tersor.conformance.Verifier;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.passes.Compiler;
import org.tersor.runtime.TersorException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code tersor verify}: the same inputs through Tersor and ONNX Runtime; {@link Verifier} is its
 * Java API.
 */
@Command(
    name = "verify",
    description = {
      "Compares a model's results with ONNX Runtime's on the same inputs.",
      "float32: rtol 1e-3, atol 1e-5. float16: same top 5, cosine 0.9999, error at most twice ONNX Runtime's. Integers: equal, or one quantization step apart."
    })
final class VerifyCommand implements Callable<Integer> {
  @Mixin ModelOptions options;

  @Option(
      names = "--reference",
      paramLabel = "X.onnx",
      description = "The model that ONNX Runtime runs, if it is not MODEL itself.")
  Optional<Path> reference = Optional.empty();

  @Option(
      names = "--reference-timeout",
      paramLabel = "SECONDS",
      defaultValue = "300",
      description = "Time limit of ONNX Runtime (default: ${DEFAULT-VALUE}).")
  long timeout;

  @Override
  public Integer call() throws IOException {
    Compiler compiler = options.common.compiler();
    if (options.isArtifact() && reference.isEmpty()) {
      throw new TersorException(
          "TSR-0906", "an artifact is judged against its model: give --reference X.onnx");
    }
    LoadedModel loaded = options.load(compiler, reference);
    Map<String, RandomInputs.Drawn> inputs = options.inputs(loaded);
    try (Reference ort = new OrtWorker(Duration.ofSeconds(timeout))) {
      Path judge = reference.orElse(options.model);
      Verifier.Report report =
          new Verifier(ort, compiler)
              .verify(judge, loaded.graph(), loaded.executable(), ModelOptions.data(inputs));
      print(report, ort.name(), loaded, inputs);
      return report.passed() ? Exit.OK : Exit.CHECK_FAILED;
    }
  }

  private void print(
      Verifier.Report report,
      String judge,
      LoadedModel loaded,
      Map<String, RandomInputs.Drawn> inputs) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("passed", report.passed());
    json.put("maxAbs", report.maxAbs());
    json.put("maxRel", report.maxRel());
    json.put("cosine", report.cosine());
    json.put("backend", loaded.backend());
    json.put("reference", judge);
    json.put("rule", report.rule());
    json.put("seed", options.seed);
    json.put("inputs", ModelOptions.describe(inputs));
    List<Map<String, Object>> outputs = new ArrayList<>();
    for (Comparison c : report.outputs()) {
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("name", c.name());
      entry.put("dtype", c.dtype().text());
      entry.put("shape", c.shape());
      entry.put("passed", c.passed());
      entry.put("maxAbs", c.maxAbs());
      entry.put("maxRel", c.maxRel());
      entry.put("cosine", c.cosine());
      entry.put("differing", c.differing());
      entry.put("note", c.note());
      outputs.add(entry);
    }
    json.put("outputs", outputs);
    json.put("notes", options.notes());
    options.common.sayJson(json);
    options.common.say(
        "%s: %s on %s against %s (%s)",
        report.passed() ? "passed" : "FAILED",
        options.model.getFileName(),
        options.backend,
        judge,
        report.rule());
    for (Comparison c : report.outputs()) {
      options.common.say(
          "  %s %s%s: max abs %.3g, max rel %.3g, cosine %.8f%s",
          c.name(),
          c.dtype().text(),
          java.util.Arrays.toString(c.shape()),
          c.maxAbs(),
          c.maxRel(),
          c.cosine(),
          c.note().isEmpty() ? "" : "; " + c.note());
    }
    options.notes().forEach(note -> options.common.say("  note: %s", note));
  }
}
