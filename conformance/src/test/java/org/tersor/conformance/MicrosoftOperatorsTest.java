package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Operators of com.microsoft, by evaluation and compiled, against ONNX Runtime. */
class MicrosoftOperatorsTest {
  private static final Compiler COMPILER = Compiler.standard();
  private static Optional<Reference> ort = Optional.empty();

  @BeforeAll
  static void start() {
    ort = Optional.of(new OrtWorker());
  }

  @AfterAll
  static void stop() {
    ort.ifPresent(Reference::close);
  }

  /** One node; constants become initializers. */
  private static final class Node {
    final String name;
    final String type;
    final List<Optional<Tensor>> inputs = new ArrayList<>();
    final List<Boolean> constant = new ArrayList<>();
    final Map<String, Attribute> attributes = new LinkedHashMap<>();
    final List<Boolean> outputs = new ArrayList<>(List.of(true));
    String domain = "com.microsoft";

    Node(String name, String type) {
      this.name = name;
      this.type = type;
    }

    Node in(Tensor tensor) {
      inputs.add(Optional.of(tensor));
      constant.add(false);
      return this;
    }

    Node weight(Tensor tensor) {
      inputs.add(Optional.of(tensor));
      constant.add(true);
      return this;
    }

    Node none() {
      inputs.add(Optional.empty());
      constant.add(false);
      return this;
    }

    Node attr(String key, long value) {
      attributes.put(key, new Attribute.IntAttr(value));
      return this;
    }

    Node attr(String key, float value) {
      attributes.put(key, new Attribute.FloatAttr(value));
      return this;
    }

    Node out(boolean used) {
      outputs.add(used);
      return this;
    }

    Graph graph() {
      GraphBuilder b = new GraphBuilder(Map.of("", 17, "com.microsoft", 1), 0);
      List<Value> operands = new ArrayList<>();
      for (int i = 0; i < inputs.size(); i++) {
        String operand = "in" + i;
        boolean weight = constant.get(i);
        operands.add(
            inputs
                .get(i)
                .map(t ->
                    weight
                        ? b.constant(operand, Constant.of(t))
                        : b.input(operand, TensorType.of(t.dtype(), t.shape())))
                .orElse(Value.NONE));
      }
      List<Value> results = new ArrayList<>();
      for (int i = 0; i < outputs.size(); i++) {
        results.add(outputs.get(i) ? b.value("out" + i, ValueType.UNKNOWN) : Value.NONE);
      }
      b.addNode(domain, type, attributes, operands, results);
      results.stream().filter(Value::isPresent).forEach(b::output);
      return b.build(name, Map.of());
    }

    Map<String, Tensor> data() {
      Map<String, Tensor> data = new LinkedHashMap<>();
      for (int i = 0; i < inputs.size(); i++) {
        if (inputs.get(i).isPresent() && !constant.get(i)) {
          data.put("in" + i, inputs.get(i).get());
        }
      }
      return data;
    }
  }

  private static Tensor reals(long seed, long... shape) {
    SeededRandom random = new SeededRandom(seed);
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return tensor;
  }

  private static Tensor positive(long seed, long... shape) {
    Tensor tensor = reals(seed, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = .01f + .1f * Math.abs(tensor.floats()[i]);
    }
    return tensor;
  }

  private static Tensor bytes(DType dtype, long seed, long... shape) {
    SeededRandom random = new SeededRandom(seed);
    Tensor tensor = Tensor.zeros(dtype, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setLong(i, random.between(dtype.minValue(), dtype.maxValue()));
    }
    return tensor;
  }

  private static Tensor scale(float value) {
    return Tensor.of(new float[] {value});
  }

  private static Tensor zero(DType dtype, long value) {
    Tensor tensor = Tensor.zeros(dtype);
    tensor.setLong(0, value);
    return tensor;
  }

  private static Tensor ints(int... values) {
    return Tensor.of(values, values.length);
  }

  private static List<Node> nodes() {
    List<Node> nodes = new ArrayList<>();
    nodes.add(
        new Node("per column", "MatMulIntegerToFloat")
            .in(bytes(DType.U8, 1, 3, 8))
            .weight(bytes(DType.I8, 2, 8, 5))
            .in(scale(.02f))
            .weight(positive(3, 5))
            .in(zero(DType.U8, 120))
            .weight(bytes(DType.I8, 4, 5))
            .in(reals(5, 5)));
    nodes.add(
        new Node("plain", "MatMulIntegerToFloat")
            .in(bytes(DType.U8, 1, 2, 3, 8))
            .weight(bytes(DType.U8, 2, 8, 5))
            .in(scale(.02f))
            .in(scale(.5f)));
    nodes.add(
        new Node("matrix", "DynamicQuantizeMatMul")
            .in(reals(1, 4, 16))
            .weight(bytes(DType.I8, 2, 16, 6))
            .weight(positive(3, 6))
            .none()
            .weight(reals(4, 6)));
    nodes.add(
        new Node("gemm", "QGemm")
            .in(bytes(DType.U8, 1, 8, 3))
            .in(scale(.02f))
            .in(zero(DType.U8, 120))
            .weight(bytes(DType.I8, 2, 8, 5))
            .weight(positive(3, 5))
            .weight(Tensor.zeros(DType.I8, 5))
            .weight(ints(1, -200, 3, 400, 5))
            .attr("transA", 1));
    for (int bits : new int[] {2, 4, 8}) {
      Function<String, Node> start =
          name ->
              new Node(name + bits, "MatMulNBits")
                  .in(reals(1, 3, 70))
                  .weight(bytes(DType.U8, 2, 5, 3, 32 * bits / 8))
                  .weight(positive(3, 15))
                  .attr("K", 70)
                  .attr("N", 5)
                  .attr("block_size", 32)
                  .attr("bits", bits);
      nodes.add(start.apply("symmetric"));
      nodes.add(start.apply("zero").weight(bytes(DType.U8, 4, 5L * ((3 * bits + 7) / 8))));
    }
    for (int type : new int[] {0, 1}) {
      nodes.add(
          new Node("type" + type, "MatMulBnb4")
              .in(reals(1, 3, 32))
              .weight(bytes(DType.U8, 2, 5 * 32 / 2))
              .weight(positive(3, 10))
              .attr("K", 32)
              .attr("N", 5)
              .attr("block_size", 16)
              .attr("quant_type", type));
    }
    nodes.add(
        new Node("rows", "GatherBlockQuantized")
            .weight(bytes(DType.U4, 1, 6, 32))
            .in(Tensor.of(new long[] {5, 0, 2, 2}, 2, 2))
            .weight(positive(2, 6, 2))
            .weight(bytes(DType.U4, 3, 6, 2))
            .attr("block_size", 16)
            .attr("gather_axis", 0)
            .attr("quantize_axis", 1));
    Node simple =
        new Node("", "SimplifiedLayerNormalization").in(reals(1, 2, 3, 8)).weight(reals(2, 8));
    simple.domain = "";
    nodes.add(simple);
    nodes.add(
        new Node("bias", "SkipSimplifiedLayerNormalization")
            .in(reals(1, 2, 3, 8))
            .in(reals(2, 2, 3, 8))
            .weight(reals(3, 8))
            .weight(reals(4, 8))
            .out(false)
            .out(false)
            .out(true)
            .attr("epsilon", 1e-5f));
    nodes.add(
        new Node("bert", "EmbedLayerNormalization")
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
          new Node("u" + unidirectional, "Attention")
              .in(reals(1, 2, 3, 8))
              .weight(reals(2, 8, 24))
              .weight(reals(3, 24))
              .in(ints(3, 2))
              .attr("num_heads", 2)
              .attr("unidirectional", unidirectional));
    }
    nodes.add(
        new Node("flags and past", "Attention")
            .in(reals(1, 2, 3, 8))
            .weight(reals(2, 8, 24))
            .weight(reals(3, 24))
            .in(Tensor.of(new int[] {1, 0, 1, 1, 1, 1, 1, 1, 0, 1}, 2, 5))
            .in(reals(4, 2, 2, 2, 2, 4))
            .out(true)
            .attr("num_heads", 2)
            .attr("unidirectional", 1));
    nodes.add(
        new Node("bytes", "QAttention")
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
        new Node("cross", "MultiHeadAttention")
            .in(reals(1, 2, 3, 8))
            .in(reals(2, 2, 5, 8))
            .in(reals(3, 2, 5, 8))
            .weight(reals(4, 24))
            .in(ints(5, 3))
            .attr("num_heads", 2));
    nodes.add(
        new Node("past", "MultiHeadAttention")
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
          new Node("prompt" + rotary, "GroupQueryAttention")
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
          new Node("token" + rotary, "GroupQueryAttention")
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
    nodes.add(
        new Node("offset", "RotaryEmbedding")
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
    Node node = (Node) given;
    Path file = folder.resolve("model.onnx");
    COMPILER.write(node.graph(), file, Map.of());
    Map<String, Tensor> expected =
        ort.orElseThrow().run(file, node.data(), Reference.Options.DEFAULT);
    LoadedModel model =
        LoadedModel.of(COMPILER, COMPILER.read(file, Map.of()), backend, CompileOptions.defaults());
    Map<String, Tensor> actual = model.executable().run(node.data());
    expected.forEach((output, tensor) -> {
      Comparison comparison =
          Comparison.of(
              output,
              java.util.Objects.requireNonNull(actual.get(output)),
              tensor,
              new Comparison.Rule.Close(1e-4, 1e-4));
      assertTrue(comparison.passed(), comparison.name() + ": " + comparison.note());
    });
  }
}
