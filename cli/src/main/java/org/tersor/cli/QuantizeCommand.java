package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
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
    QuantizeOptions.Result result = quantize.quantize(compiler, imported, options);
    compiler.write(
        compiler.exportable(
            result.quantized().graph(), options.compileOptions(java.util.Optional.empty())),
        output,
        Map.of());
    report(options, result, output, floatBytes(result.quantized().base()));
    return Exit.OK;
  }

  /** Size of the weights as float32. */
  static long floatBytes(Graph base) {
    return base.constants().values().stream().mapToLong(Constant::elements).sum() * 4;
  }

  static void report(
      ModelOptions options, QuantizeOptions.Result result, Path output, long floatBytes)
      throws IOException {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("file", output.toString());
    json.put("bytes", Files.size(output));
    json.put("float32Bytes", floatBytes);
    json.put("weights", result.quantized().plan().weights().size());
    json.put("activations", result.quantized().plan().activations().size());
    json.put("plan", result.quantized().plan().hash());
    json.put("samples", result.samples());
    Map<String, Object> sqnr = new LinkedHashMap<>();
    result.errors().forEach(e -> sqnr.put(e.node(), e.sqnr()));
    json.put("sqnrDb", sqnr);
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
    if (!result.errors().isEmpty()) {
      options.common.say("  signal to quantization noise of the layers, worst first:");
      result.errors().stream()
          .limit(8)
          .forEach(e -> options.common.say("    %6.1f dB  %s", e.sqnr(), e.node()));
      if (result.errors().size() > 8) {
        options.common.say(
            "    ... %d more, all above %.1f dB (--json lists them)",
            result.errors().size() - 8, result.errors().get(7).sqnr());
      }
    }
    options.notes().forEach(note -> options.common.say("  note: %s", note));
  }
}
