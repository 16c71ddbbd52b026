package org.tersor.conformance;

import static org.tersor.conformance.NodeModel.bytes;
import static org.tersor.conformance.NodeModel.ints;
import static org.tersor.conformance.NodeModel.positive;
import static org.tersor.conformance.NodeModel.reals;
import static org.tersor.conformance.NodeModel.scale;
import static org.tersor.conformance.NodeModel.zero;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Operators of com.microsoft, by evaluation and compiled, against ONNX Runtime. */
class MicrosoftOperatorsTest {
  private static Optional<Reference> ort = Optional.empty();

  @BeforeAll
  static void start() {
    ort = Optional.of(new OrtWorker());
  }

  @AfterAll
  static void stop() {
    ort.ifPresent(Reference::close);
  }

  private static Tensor steps(long directions) {
    Tensor steps = Tensor.zeros(DType.F32, directions);
    java.util.Arrays.fill(steps.floats(), .003f);
    return steps;
  }

  private static List<NodeModel> nodes() {
    List<NodeModel> nodes = new ArrayList<>();
    nodes.add(
        new NodeModel("per column", "MatMulIntegerToFloat")
            .in(bytes(DType.U8, 1, 3, 8))
            .weight(bytes(DType.I8, 2, 8, 5))
            .in(scale(.02f))
            .weight(positive(3, 5))
            .in(zero(DType.U8, 120))
            .weight(bytes(DType.I8, 4, 5))
            .in(reals(5, 5)));
    nodes.add(
        new NodeModel("plain", "MatMulIntegerToFloat")
            .in(bytes(DType.U8, 1, 2, 3, 8))
            .weight(bytes(DType.U8, 2, 8, 5))
            .in(scale(.02f))
            .in(scale(.5f)));
    nodes.add(
        new NodeModel("matrix", "DynamicQuantizeMatMul")
            .in(reals(1, 4, 16))
            .weight(bytes(DType.I8, 2, 16, 6))
            .weight(positive(3, 6))
            .none()
            .weight(reals(4, 6)));
    nodes.add(
        new NodeModel("gemm", "QGemm")
            .in(bytes(DType.U8, 1, 8, 3))
            .in(scale(.02f))
            .in(zero(DType.U8, 120))
            .weight(bytes(DType.I8, 2, 8, 5))
            .weight(positive(3, 5))
            .weight(Tensor.zeros(DType.I8, 5))
            .weight(ints(1, -200, 3, 400, 5))
            .attr("transA", 1));
    for (int bits : new int[] {2, 4, 8}) {
      // With level 4 ONNX Runtime rounds the rows to 255 levels, but not for codes of 2 bits.
      for (int level : bits == 2 ? new int[] {0} : new int[] {0, 4}) {
        Function<String, NodeModel> start =
            name ->
                new NodeModel(name + bits + "level" + level, "MatMulNBits")
                    .in(reals(1, 3, 70))
                    .weight(bytes(DType.U8, 2, 21, 3, 32 * bits / 8))
                    .weight(positive(3, 63))
                    .attr("K", 70)
                    .attr("N", 21)
                    .attr("block_size", 32)
                    .attr("bits", bits)
                    .attr("accuracy_level", level);
        nodes.add(start.apply("symmetric"));
        nodes.add(start.apply("zero").weight(bytes(DType.U8, 4, 21L * ((3 * bits + 7) / 8))));
      }
    }
    for (int type : new int[] {0, 1}) {
      nodes.add(
          new NodeModel("type" + type, "MatMulBnb4")
              .in(reals(1, 3, 32))
              .weight(bytes(DType.U8, 2, 5 * 32 / 2))
              .weight(positive(3, 10))
              .attr("K", 32)
              .attr("N", 5)
              .attr("block_size", 16)
              .attr("quant_type", type));
    }
    nodes.add(
        new NodeModel("rows", "GatherBlockQuantized")
            .weight(bytes(DType.U4, 1, 6, 32))
            .in(Tensor.of(new long[] {5, 0, 2, 2}, 2, 2))
            .weight(positive(2, 6, 2))
            .weight(bytes(DType.U4, 3, 6, 2))
            .attr("block_size", 16)
            .attr("gather_axis", 0)
            .attr("quantize_axis", 1));
    NodeModel simple =
        new NodeModel("", "SimplifiedLayerNormalization").in(reals(1, 2, 3, 8)).weight(reals(2, 8));
    simple.domain = "";
    nodes.add(simple);
    nodes.add(
        new NodeModel("bias", "SkipSimplifiedLayerNormalization")
            .in(reals(1, 2, 3, 8))
            .in(reals(2, 2, 3, 8))
            .weight(reals(3, 8))
            .weight(reals(4, 8))
            .out(false)
            .out(false)
            .out(true)
            .attr("epsilon", 1e-5f));
    nodes.add(
        new NodeModel("bert", "EmbedLayerNormalization")
            .in(Tensor.of(new int[] {1, 2, 3, 0, 4, 1}, 2, 3))
            .in(Tensor.of(new int[] {0, 0, 1, 1, 0, 1}, 2, 3))
            .weight(reals(1, 6, 8))
            .weight(reals(2, 5, 8))
            .weight(reals(3, 2, 8))
            .weight(reals(4, 8))
            .weight(reals(5, 8))
            .in(Tensor.of(new int[] {1, 1, 0, 1, 1, 1}, 2, 3))
            .out(true)
            .attr("epsilon", 1e-6f));
    for (int unidirectional : new int[] {0, 1}) {
      nodes.add(
          new NodeModel("u" + unidirectional, "Attention")
              .in(reals(1, 2, 3, 8))
              .weight(reals(2, 8, 24))
              .weight(reals(3, 24))
              .in(ints(3, 2))
              .attr("num_heads", 2)
              .attr("unidirectional", unidirectional));
    }
    nodes.add(
        new NodeModel("flags and past", "Attention")
            .in(reals(1, 2, 3, 8))
            .weight(reals(2, 8, 24))
            .weight(reals(3, 24))
            .in(Tensor.of(new int[] {1, 0, 1, 1, 1, 1, 1, 1, 0, 1}, 2, 5))
            .in(reals(4, 2, 2, 2, 2, 4))
            .out(true)
            .attr("num_heads", 2)
            .attr("unidirectional", 1));
    nodes.add(
        new NodeModel("bytes", "QAttention")
            .in(bytes(DType.U8, 1, 2, 3, 8))
            .weight(bytes(DType.I8, 2, 8, 24))
            .weight(reals(3, 24))
            .in(scale(.02f))
            .weight(scale(.01f))
            .in(ints(3, 2))
            .in(zero(DType.U8, 120))
            .weight(zero(DType.I8, 0))
            .attr("num_heads", 2));
    nodes.add(
        new NodeModel("cross", "MultiHeadAttention")
            .in(reals(1, 2, 3, 8))
            .in(reals(2, 2, 5, 8))
            .in(reals(3, 2, 5, 8))
            .weight(reals(4, 24))
            .in(ints(5, 3))
            .attr("num_heads", 2));
    nodes.add(
        new NodeModel("past", "MultiHeadAttention")
            .in(reals(1, 2, 3, 8))
            .in(reals(2, 2, 3, 8))
            .in(reals(3, 2, 3, 8))
            .none()
            .none()
            .in(reals(4, 1, 2, 3, 5))
            .in(reals(5, 2, 2, 2, 4))
            .in(reals(6, 2, 2, 2, 4))
            .out(true)
            .out(true)
            .attr("num_heads", 2)
            .attr("scale", .3f));
    for (int rotary : new int[] {0, 1}) {
      nodes.add(
          new NodeModel("prompt" + rotary, "GroupQueryAttention")
              .in(reals(1, 1, 3, 64))
              .in(reals(2, 1, 3, 32))
              .in(reals(3, 1, 3, 32))
              .in(Tensor.zeros(DType.F32, 1, 2, 0, 16))
              .in(Tensor.zeros(DType.F32, 1, 2, 0, 16))
              .weight(ints(2))
              .weight(zero(DType.I32, 3))
              .weight(reals(4, 10, 8))
              .weight(reals(5, 10, 8))
              .out(true)
              .out(true)
              .attr("num_heads", 4)
              .attr("kv_num_heads", 2)
              .attr("do_rotary", rotary));
      nodes.add(
          new NodeModel("token" + rotary, "GroupQueryAttention")
              .in(reals(1, 2, 1, 64))
              .in(reals(2, 2, 1, 32))
              .in(reals(3, 2, 1, 32))
              .in(reals(6, 2, 2, 6, 16))
              .in(reals(7, 2, 2, 6, 16))
              .weight(ints(4, 2))
              .weight(zero(DType.I32, 5))
              .weight(reals(4, 10, 8))
              .weight(reals(5, 10, 8))
              .out(true)
              .out(true)
              .attr("num_heads", 4)
              .attr("kv_num_heads", 2)
              .attr("do_rotary", rotary));
    }
    for (String direction : new String[] {"forward", "reverse", "bidirectional"}) {
      long both = direction.equals("bidirectional") ? 2 : 1;
      nodes.add(
          new NodeModel(direction, "DynamicQuantizeLSTM")
              .in(reals(1, 5, 2, 4))
              .weight(bytes(DType.I8, 2, both, 4, 12))
              .weight(bytes(DType.I8, 3, both, 3, 12))
              .weight(reals(4, both, 24))
              .none()
              .in(reals(5, both, 2, 3))
              .in(reals(6, both, 2, 3))
              .none()
              .weight(steps(both))
              .weight(Tensor.zeros(DType.I8, both))
              .weight(steps(both))
              .weight(Tensor.zeros(DType.I8, both))
              .out(true)
              .out(true)
              .attr("direction", direction)
              .attr("hidden_size", 3));
    }
    nodes.add(
        new NodeModel("offset", "RotaryEmbedding")
            .in(reals(1, 2, 3, 32))
            .in(Tensor.of(new long[] {2}, 1))
            .weight(reals(2, 8, 8))
            .weight(reals(3, 8, 8)));
    return nodes;
  }

  static Stream<Arguments> cases() {
    return Stream.of("interpreter", "jvm")
        .flatMap(backend ->
            nodes().stream().map(node -> Arguments.of(backend, node.type, node.name, node)));
  }

  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("cases")
  void agrees(String backend, String type, String name, Object given, @TempDir Path folder) {
    ((NodeModel) given).agrees(ort.orElseThrow(), backend, folder);
  }
}
