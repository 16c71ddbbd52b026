package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tersor.conformance.zoo.Zoo;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.runtime.DType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code tersor zoo}: writes a model with random weights; {@link Zoo} is its Java API. */
@Command(
    name = "zoo",
    description = {
      "Writes a published architecture with seeded random weights, for timing.",
      "NAME: mobilenetv2, squeezenet11, resnet18, resnet50, bert-base, decoder-768x12, matmul-MxNxK, conv-CxHxW-OxKxK[-sS][-pP][-gG]."
    })
final class ZooCommand implements Callable<Integer> {
  /** Element types of quantized activations. */
  enum Quantized {
    S8,
    U8
  }

  /** Element types of matmul and conv. */
  enum Elements {
    F32,
    INT8
  }

  @Mixin Common common;

  @Parameters(paramLabel = "NAME", description = "The model.")
  String name;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "X.onnx",
      required = true,
      description = "The file to write.")
  Path output = Path.of("");

  @Option(
      names = "--batch",
      defaultValue = "1",
      description = "Batch size (default: ${DEFAULT-VALUE}).")
  int batch;

  @Option(
      names = "--seed",
      defaultValue = "1",
      description = "Seed of the weights (default: ${DEFAULT-VALUE}).")
  long seed;

  @Option(
      names = "--qdq",
      description =
          "A quantized network: s8 or u8 activations, int8 weights per channel, as Q and DQ nodes.")
  Optional<Quantized> qdq = Optional.empty();

  @Option(
      names = "--dtype",
      defaultValue = "F32",
      description =
          "Of matmul and conv: f32, or int8 (MatMulInteger, ConvInteger; u8 input, s8 weights) (default: f32).")
  Elements dtype = Elements.F32;

  @Option(
      names = "--zero-point",
      defaultValue = "128",
      description = "Zero point of the u8 input of int8 (default: ${DEFAULT-VALUE}).")
  int zeroPoint;

  @Option(
      names = "--column-zero-points",
      description = "A zero point for every column of B (matmul, int8).")
  boolean columnZeroPoints;

  @Option(
      names = {"--sequence", "--prefill"},
      paramLabel = "N",
      description =
          "Tokens of a call of a transformer (default: 128; with --past 1). bert-base takes up to 512.")
  Optional<Integer> sequence = Optional.empty();

  @Option(
      names = "--past",
      paramLabel = "N",
      description = "Tokens that a decoder has seen before: decodes the next one (e.g. 127).")
  Optional<Integer> past = Optional.empty();

  @Option(
      names = "--dynamic",
      description =
          "Products of a transformer on int8 weights, activations quantized when they are known.")
  boolean dynamic;

  @Option(
      names = "--matmulnbits",
      paramLabel = "2|4|8",
      description = "Weights of a transformer in blocks of 32, as com.microsoft MatMulNBits.")
  Optional<Integer> bits = Optional.empty();

  @Option(
      names = "--accuracy-level",
      defaultValue = "0",
      paramLabel = "0..4",
      description = "accuracy_level of these: 0 and 1 float32, 4 int8 (default: 0).")
  int accuracy;

  @Override
  public Integer call() throws IOException {
    Optional<DType> activations = qdq.map(q -> q == Quantized.S8 ? DType.I8 : DType.U8);
    Graph graph =
        Zoo.build(
            name,
            new Zoo.Options(
                batch,
                seed,
                activations,
                dtype == Elements.INT8,
                zeroPoint,
                columnZeroPoints,
                new Zoo.Text(
                    sequence.orElse(past.isPresent() ? 1 : 128),
                    past.orElse(0),
                    dynamic,
                    bits.orElse(0),
                    accuracy)));
    common.compiler().write(graph, output, Map.of());
    long parameters = graph.constants().values().stream().mapToLong(Constant::elements).sum();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", name.toLowerCase(Locale.ROOT));
    json.put("file", output.toString());
    json.put("nodes", graph.nodes().size());
    json.put("parameters", parameters);
    json.put("bytes", Files.size(output));
    common.sayJson(json);
    common.say(
        "%s: %d nodes, %s parameters, %s (%s)",
        name,
        graph.nodes().size(),
        Common.count(parameters),
        output,
        Common.bytes(Files.size(output)));
    return Exit.OK;
  }
}
