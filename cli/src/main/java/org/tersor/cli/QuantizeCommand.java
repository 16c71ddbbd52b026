package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.Quantizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tersor quantize}: an .onnx with Q and DQ nodes; {@link Quantizer} is its Java API. */
@Command(
    name = "quantize",
    description =
        "Quantizes a model and writes it as .onnx with QuantizeLinear and DequantizeLinear, for any runtime.")
final class QuantizeCommand implements Callable<Integer> {
  @Mixin ModelOptions options;
  @Mixin QuantizeOptions quantize;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT.onnx",
      required = true,
      description = "The file to write.")
  Path output = Path.of("");

  @Override
  public Integer call() throws IOException {
    Compiler compiler = options.common.compiler();
    Graph imported = options.read(compiler);
    QuantizeOptions.Result result =
        quantize.quantize(compiler, imported, options, options.targets(compiler));
    compiler.write(
        compiler.exportable(
            result.quantized().graph(),
            quantize.compileOptions(options.compileOptions(java.util.Optional.empty()))),
        output,
        Map.of());
    report(options, quantize, result, output, floatBytes(result.quantized().base()));
    return Exit.OK;
  }

  /** Size of the weights as float32. */
  static long floatBytes(Graph base) {
    return base.constants().values().stream().mapToLong(Constant::elements).sum() * 4;
  }

  static void report(
      ModelOptions options,
      QuantizeOptions quantize,
      QuantizeOptions.Result result,
      Path output,
      long floatBytes)
      throws IOException {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("file", output.toString());
    json.put("bytes", Files.size(output));
    json.put("float32Bytes", floatBytes);
    json.put("weights", result.quantized().plan().weights().size());
    json.put("activations", result.quantized().plan().activations().size());
    json.put("plan", result.quantized().plan().hash());
    json.put("samples", result.samples());
    Map<String, Double> sqnr = new LinkedHashMap<>();
    result.errors().forEach(e -> sqnr.put(e.node(), e.sqnr()));
    json.put("sqnrDb", sqnr);
    json.put("layers", result.layers().stream().map(layer -> json(layer, sqnr)).toList());
    json.put("choices", result.choices());
    json.put("notes", options.notes());
    options.common.sayJson(json);
    options.common.say(
        "%s: %s (weights as float32: %s), %d layers and %d activations quantized, %d calibration samples",
        output,
        Common.bytes(Files.size(output)),
        Common.bytes(floatBytes),
        result.quantized().plan().weights().size(),
        result.quantized().plan().activations().size(),
        result.samples());
    explain(options, quantize.explain, result.layers(), sqnr);
    if (quantize.explain) {
      result.choices().forEach(choice -> options.common.say("    %s", choice));
    }
    if (!result.errors().isEmpty()) {
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
    options.notes().forEach(note -> options.common.say("  note: %s", note));
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
  private static void explain(
      ModelOptions options, boolean all, List<Quantizer.Layer> layers, Map<String, Double> sqnr) {
    long integer = layers.stream().filter(l -> l.kernel().isPresent()).count();
    long left = layers.stream().filter(l -> l.format().isEmpty()).count();
    options.common.say(
        "  %d layers compute with integers, %d decode their weights and compute in float, %d keep float weights",
        integer, layers.size() - integer - left, left);
    for (Quantizer.Layer layer : layers) {
      boolean plain = layer.format().isPresent() && layer.why().equals(Quantizer.FLOAT_ACTIVATIONS);
      if (all || (layer.kernel().isEmpty() && !plain)) {
        Double noise = sqnr.get(layer.node());
        options.common.say(
            "    %-7s %s: %s, weights %s%s%s",
            layer.kernel().isPresent() ? "integer" : "float",
            layer.node(),
            layer.kernel().orElse(layer.operator()),
            layer.format().orElse("float"),
            layer.why().isEmpty() ? "" : ", because " + layer.why(),
            noise == null ? "" : String.format(java.util.Locale.ROOT, ", %.1f dB", noise));
      }
    }
  }
}
