package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.passes.quant.Quantizer;

/** What {@code tersor quantize} tells at its end: layers, noise, and the model before and after. */
final class QuantizeReport {
  private final Compiler compiler;
  private final ModelOptions options;
  private final QuantizeOptions quantize;
  private final Graph imported;
  private final Quantization result;
  private final Path output;

  QuantizeReport(
      Compiler compiler,
      ModelOptions options,
      QuantizeOptions quantize,
      Graph imported,
      Quantization result,
      Path output) {
    this.compiler = compiler;
    this.options = options;
    this.quantize = quantize;
    this.imported = imported;
    this.result = result;
    this.output = output;
  }

  /**
   * Measures and prints.
   *
   * @param backend that the result is for
   * @param exported the result as a file that ONNX Runtime can read
   */
  void print(String backend, Optional<Path> exported) throws IOException {
    Quantizer.Quantized quantized = result.quantized();
    long floatBytes = QuantizeCommand.floatBytes(quantized.base());
    BeforeAfter judged =
        BeforeAfter.measure(compiler, options, quantize, imported, result, backend, exported);
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("file", output.toString());
    json.put("bytes", Files.size(output));
    json.put("float32Bytes", floatBytes);
    json.put("weights", quantized.plan().weights().size());
    json.put("activations", quantized.plan().activations().size());
    json.put("plan", quantized.plan().hash());
    json.put("samples", result.samples());
    Map<String, Double> sqnr = new LinkedHashMap<>();
    result.errors().forEach(e -> sqnr.put(e.node(), e.sqnr()));
    json.put("sqnrDb", sqnr);
    json.put("layers", result.layers().stream().map(layer -> json(layer, sqnr)).toList());
    json.put("choices", result.choices());
    json.put("summary", judged.json(Files.size(output), floatBytes));
    json.put("notes", options.notes());
    options.common.sayJson(json);
    options.common.say(
        "%s: %s (weights as float32: %s), %d layers and %d activations quantized, %d calibration samples",
        output,
        Common.bytes(Files.size(output)),
        Common.bytes(floatBytes),
        quantized.plan().weights().size(),
        quantized.plan().activations().size(),
        result.samples());
    explain(sqnr);
    if (quantize.explain) {
      result.choices().forEach(choice -> options.common.say("    %s", choice));
    }
    noise();
    options.common.notes(options.notes());
    judged.lines(Files.size(output), floatBytes).forEach(line -> options.common.say("%s", line));
    if (quantize.report.isPresent() && result.diagnosis().isPresent()) {
      HtmlReport.write(
          quantize.report.get(),
          options.model.getFileName().toString(),
          quantized.plan().hash(),
          facts(judged, Files.size(output), floatBytes),
          result.diagnosis().get(),
          result.layers(),
          Optional.empty());
      options.common.say("report: %s", quantize.report.get());
    }
  }

  private void noise() {
    if (result.errors().isEmpty()) {
      return;
    }
    options.common.say(
        "  signal to quantization noise of the layers' results as they are executed, worst first:");
    result.errors().stream()
        .limit(8)
        .forEach(e -> options.common.say("    %6.1f dB  %s", e.sqnr(), e.node()));
    if (result.errors().size() > 8) {
      options.common.say(
          "    ... %d more, all above %.1f dB (--explain and --json list them)",
          result.errors().size() - 8, result.errors().get(7).sqnr());
    }
  }

  private Map<String, String> facts(BeforeAfter judged, long bytes, long floatBytes) {
    QuantPlan plan = result.quantized().plan();
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("layers quantized", Integer.toString(plan.weights().size()));
    facts.put("activations quantized", Integer.toString(plan.activations().size()));
    facts.put("calibration samples", Integer.toString(result.samples()));
    facts.put("samples measured here", Integer.toString(result.few().size()));
    plan.header()
        .forEach((key, value) -> {
          if (!key.endsWith("marks")) {
            facts.put(key, value);
          }
        });
    facts.putAll(judged.facts(bytes, floatBytes));
    return facts;
  }

  private static Map<String, Object> json(Quantizer.Layer layer, Map<String, Double> sqnr) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", layer.node());
    json.put("operator", layer.operator());
    json.put("weights", layer.format().orElse("float"));
    json.put("computes", layer.kernel().isPresent() ? "integer" : "float");
    layer.kernel().ifPresent(kernel -> json.put("kernel", kernel));
    if (!layer.why().isEmpty()) {
      json.put("why", layer.why());
    }
    Double noise = sqnr.get(layer.node());
    if (noise != null) {
      json.put("sqnrDb", noise);
    }
    return json;
  }

  /** Which layers compute with integers, and why the others do not. */
  private void explain(Map<String, Double> sqnr) {
    List<Quantizer.Layer> layers = result.layers();
    long integer = layers.stream().filter(l -> l.kernel().isPresent()).count();
    long left = layers.stream().filter(l -> l.format().isEmpty()).count();
    options.common.say(
        "  %d layers compute with integers, %d decode their weights and compute in float, %d keep float weights",
        integer, layers.size() - integer - left, left);
    for (Quantizer.Layer layer : layers) {
      boolean plain = layer.format().isPresent() && layer.why().equals(Quantizer.FLOAT_ACTIVATIONS);
      if (quantize.explain || (layer.kernel().isEmpty() && !plain)) {
        Double noise = sqnr.get(layer.node());
        options.common.say(
            "    %-7s %s: %s, weights %s%s%s",
            layer.kernel().isPresent() ? "integer" : "float",
            layer.node(),
            layer.kernel().orElse(layer.operator()),
            layer.format().orElse("float"),
            layer.why().isEmpty() ? "" : ", because " + layer.why(),
            noise == null ? "" : String.format(Locale.ROOT, ", %.1f dB", noise));
      }
    }
  }
}
