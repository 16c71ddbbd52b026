package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
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
    Quantization result =
        Quantization.of(compiler, imported, options, quantize, options.targets(compiler));
    compiler.write(
        compiler.exportable(
            result.quantized().graph(),
            quantize.compileOptions(options.compileOptions(Optional.empty()))),
        output,
        Map.of());
    new QuantizeReport(compiler, options, quantize, imported, result, output)
        .print(options.backend, Optional.of(output));
    return Exit.OK;
  }

  /** Size of the weights as float32, of those in bodies, too. */
  static long floatBytes(Graph base) {
    return base.constants().values().stream().mapToLong(Constant::elements).sum() * 4
        + base.nodes().stream()
            .flatMap(node -> Graph.bodies(node).stream())
            .mapToLong(QuantizeCommand::floatBytes)
            .sum();
  }
}
