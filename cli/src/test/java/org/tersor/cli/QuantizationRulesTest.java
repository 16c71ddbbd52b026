package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Small graphs on which quantizers are known to go wrong, quantized with the project's formats. */
class QuantizationRulesTest {
  private static final String INT8 = "s8_symmetric_channel_restricted";

  private final Compiler compiler = Compiler.standard();
  private final Quantizer quantizer = new Quantizer(compiler);
  private final List<String> notes = new ArrayList<>();
  private final CompileOptions compile = CompileOptions.defaults().withNote(notes::add);
  private final Random random = new Random(4);
  private final GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);

  private Tensor normal(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return tensor;
  }

  private Value constant(Tensor tensor) {
    return b.constant("w" + b.nextId(), Constant.of(tensor));
  }

  private Value input(long... shape) {
    return b.input("x", TensorType.of(DType.F32, shape));
  }

  private void node(String name, String type, Map<String, Attribute> attributes, Value... inputs) {
    Value output = b.value(name + "_out", org.tersor.ir.graph.ValueType.UNKNOWN);
    b.addNode(name, "", type, attributes, List.of(inputs), List.of(output));
    b.output(output);
  }

  private static Map<String, Attribute> ints(String name, long value) {
    return Map.of(name, new Attribute.IntAttr(value));
  }

  private Quantizer.Options options(String weights, Optional<String> activations) {
    return new Quantizer.Options(
        weights, activations, new Calibrator.MinMax(), "interpreter", compile);
  }

  private Quantizer.Quantized quantize(String scheme, Tensor... samples) {
    List<Map<String, Tensor>> calls = new ArrayList<>();
    for (Tensor sample : samples) {
      calls.add(Map.of("x", sample));
    }
    Graph graph = b.build("g", Map.of());
    return quantizer.quantize(
        graph, calls, quantizer.options(scheme, new Calibrator.MinMax(), "interpreter", compile));
  }

  private static List<Node> of(Graph graph, String type) {
    return graph.nodes().stream().filter(n -> n.op().type().equals(type)).toList();
  }

  private static Tensor operand(Graph graph, Node node, int index) {
    return graph.constant(node.input(index)).orElseThrow().load();
  }

  /** The weights of a float graph as another gives them to its only layer. */
  private Tensor decoded(Graph graph, int layer) {
    Graph lowered = graph;
    Value weight = lowered.nodes().get(layer).input(1);
    Graph onlyWeights =
        new Graph(
            "w",
            lowered.inputs(),
            List.of(new Value(weight.id(), "weight")),
            lowered.nodes(),
            lowered.constants(),
            lowered.types(),
            lowered.opsets(),
            Map.of());
    Tensor x = normal(((TensorType) lowered.type(lowered.inputs().getFirst())).staticShape());
    return compiler
        .executable(onlyWeights, "interpreter", compile)
        .run(Map.of("x", x))
        .values()
        .iterator()
        .next();
  }

  private static int layer(Graph graph, String type) {
    return graph.nodes().indexOf(of(graph, type).getFirst());
  }

  /** Plan line of the input when calibrated on these numbers. */
  private Map<String, Double> inputGrid(String format, float... values) {
    Value x = input(1, values.length);
    node("fc", "MatMul", Map.of(), x, constant(normal(values.length, 3)));
    QuantPlan plan =
        quantizer.plan(
            quantizer.base(b.build("g", Map.of()), compile),
            List.of(Map.of("x", Tensor.of(values, 1, values.length))),
            options(INT8, Optional.of(format)));
    QuantPlan.Activation activation = Objects.requireNonNull(plan.activations().get("x"));
    assertEquals(format, activation.format());
    return activation.parameters();
  }

  @Test
  void positiveRangesAreExtendedToZero() {
    assertEquals(
        Map.of("scale", (double) (2f / 255), "zero", 0.0),
        inputGrid("u8_affine_tensor", .5f, 1, 2));
  }

  @Test
  void negativeRangesAreExtendedToZero() {
    assertEquals(
        Map.of("scale", (double) (2f / 255), "zero", 255.0),
        inputGrid("u8_affine_tensor", -.5f, -1, -2));
  }

  @Test
  void rangesOfBothSignsHaveTheZeroPointRoundedHalfToEven() {
    assertEquals(
        Map.of("scale", (double) (float) (3.0 / 255), "zero", 85.0),
        inputGrid("u8_affine_tensor", -1, .3f, 2));
  }

  @Test
  void signedCodesHaveTheirOwnZeroPoint() {
    assertEquals(
        Map.of("scale", (double) (float) (3.0 / 255), "zero", -43.0),
        inputGrid("s8_affine_tensor", -1, .3f, 2));
  }

  @Test
  void anInputThatIsAlwaysZeroHasScaleOne() {
    assertEquals(Map.of("scale", 1.0, "zero", 0.0), inputGrid("u8_affine_tensor", 0, 0, 0));
  }

  @Test
  void symmetricActivationsHaveNoZeroPointToStore() {
    assertEquals(
        Map.of("scale", (double) (float) (2.0 / 127.5)), inputGrid("s8_symmetric_tensor", -1, 2));
  }

  @Test
  void infinitiesAndNansOfCalibrationAreLeftOutAndReported() {
    Map<String, Double> grid =
        inputGrid("u8_affine_tensor", 1, 2, Float.NaN, Float.POSITIVE_INFINITY);
    assertEquals((double) (2f / 255), grid.get("scale"));
    assertTrue(
        notes.stream().anyMatch(n -> n.contains("2 infinities or NaNs in 'x'")), notes.toString());
  }

  @Test
  void formatsWithBlocksCannotCodeActivations() {
    TersorException e = assertThrows(TersorException.class, () -> inputGrid("q4_0", 1, 2, 3));
    assertEquals("TSR-0416", e.code());
  }

  @Test
  void weightCodesAreRestrictedAndRoundHalfToEven() {
    // Row 0 fixes the scale at 1: its codes are its values, rounded half to even.
    Tensor w = Tensor.of(new float[] {127, 2.5f, 3.5f, -2.5f, -127, 0, 0, 0}, 2, 4);
    node("fc", "Gemm", ints("transB", 1), input(1, 4), constant(w));
    Graph exported = compiler.exportable(quantize(INT8, normal(1, 4)).graph(), compile);
    Node decode =
        of(exported, "DequantizeLinear").stream()
            .filter(n -> exported.constant(n.input(0)).isPresent())
            .findFirst()
            .orElseThrow();
    assertArrayEquals(
        new byte[] {127, 2, 4, -2, -127, 0, 0, 0}, operand(exported, decode, 0).bytes());
    assertArrayEquals(new float[] {1, 1}, operand(exported, decode, 1).floats());
    assertArrayEquals(new byte[] {0, 0}, operand(exported, decode, 2).bytes());
  }

  /** A channel of zeros has scale 1, one of equal values comes back, one-sided ones too. */
  @Test
  void constantAndOneSidedChannelsComeBack() {
    float[] values = new float[4 * 32];
    for (int i = 0; i < 32; i++) {
      values[32 + i] = .3f;
      values[64 + i] = 5 + i / 320f;
      values[96 + i] = -5 - i / 320f;
    }
    node("fc", "Gemm", ints("transB", 1), input(1, 32), constant(Tensor.of(values, 4, 32)));
    for (String format : List.of(INT8, "u8_affine_channel", "s8_affine_channel", "q4_0")) {
      Graph graph = quantize(format, normal(1, 32)).graph();
      Tensor back = decoded(graph, layer(graph, "Gemm"));
      double step = format.equals("q4_0") ? 5.1 / 8 : 5.1 / 127;
      for (int i = 0; i < values.length; i++) {
        double allowed = i < 64 ? .3 / (format.equals("q4_0") ? 1000 : 127) : step / 2 * 1.01;
        assertEquals(values[i], back.getDouble(i), allowed, format + " element " + i);
      }
    }
  }

  @Test
  void biasesAreIntegersOfTheProductOfTheScales() {
    Tensor w = Tensor.of(new float[] {1.27f, 0, 0, 2.54f}, 2, 2);
    Tensor bias = Tensor.of(new float[] {.5f, -.25f}, 2);
    node("fc", "Gemm", ints("transB", 1), input(1, 2), constant(w), constant(bias));
    Graph graph = quantize("int8", Tensor.of(new float[] {0, 2.55f}, 1, 2)).graph();
    Node decode = of(graph, "DequantizeLinear").getFirst();
    float x = 2.55f / 255;
    Tensor scales = operand(graph, decode, 1);
    assertEquals((float) ((double) x * (float) (1.27f / 127.0)), scales.floats()[0], 1e-12);
    assertEquals((float) ((double) x * (float) (2.54f / 127.0)), scales.floats()[1], 1e-12);
    Tensor codes = operand(graph, decode, 0);
    assertEquals(DType.I32, codes.dtype());
    assertEquals((int) Math.rint(.5f / scales.getDouble(0)), codes.ints()[0]);
    assertEquals((int) Math.rint(-.25f / scales.getDouble(1)), codes.ints()[1]);
  }

  /** 1e6 / (1e-4/127 * 1/255) is far beyond int32: the scale of that row alone is raised. */
  @Test
  void aBiasThatWouldOverflowRaisesTheScaleOfItsRow() {
    Tensor w = Tensor.of(new float[] {1e-4f, -1e-4f, 1, -1}, 2, 2);
    Tensor bias = Tensor.of(new float[] {1e6f, 1}, 2);
    node("fc", "Gemm", ints("transB", 1), input(1, 2), constant(w), constant(bias));
    Graph exported =
        compiler.exportable(quantize("int8", Tensor.of(new float[] {0, 1}, 1, 2)).graph(), compile);
    Map<DType, Node> decodes = new LinkedHashMap<>();
    of(exported, "DequantizeLinear").stream()
        .filter(n -> exported.constant(n.input(0)).isPresent())
        .forEach(n -> decodes.put(operand(exported, n, 0).dtype(), n));
    Tensor scales = operand(exported, Objects.requireNonNull(decodes.get(DType.I8)), 1);
    double x = 1 / 255.0;
    assertTrue(scales.getDouble(0) >= 2e6 / 4294967294.0 / x, "raised: " + scales.getDouble(0));
    assertEquals((float) (1 / 127.0), scales.floats()[1], "untouched");
    Tensor codes = operand(exported, Objects.requireNonNull(decodes.get(DType.I32)), 0);
    double back =
        codes.ints()[0]
            * operand(exported, Objects.requireNonNull(decodes.get(DType.I32)), 1).getDouble(0);
    assertEquals(1e6, back, 1, "the bias comes back");
  }

  @Test
  void aSharedWeightIsEncodedOnce() {
    Value x = input(1, 64);
    Value w = constant(normal(64, 64));
    node("a", "MatMul", Map.of(), x, w);
    node("b", "MatMul", Map.of(), x, w);
    node("c", "Gemm", ints("transB", 1), x, w);
    for (String format : List.of(INT8, "q4_0")) {
      Graph graph = quantize(format, normal(1, 64)).graph();
      // The Gemm sums over the other dimension: its rows are other rows.
      assertEquals(2, of(graph, "decode").size(), format);
    }
  }

  @Test
  void weightsThatAreNotFiniteStayFloat() {
    Tensor bad = normal(64, 4);
    bad.setDouble(3, Double.NaN);
    Value x = input(1, 64);
    node("bad", "MatMul", Map.of(), x, constant(bad));
    node("good", "MatMul", Map.of(), x, constant(normal(64, 4)));
    Quantizer.Quantized quantized = quantize("q4_0");
    assertEquals(Map.of("good", "q4_0"), quantized.plan().weights());
    Quantizer.Layer layer = quantizer.layers(quantized, compile).getFirst();
    assertEquals("bad", layer.node());
    assertTrue(layer.why().contains("NaN"), layer.why());
  }

  @Test
  void layersSayWhatComputesThem() {
    Value x = input(1, 64);
    Value relu = b.add("Relu", b.add("MatMul", x, constant(normal(64, 64))));
    node("last", "MatMul", Map.of(), relu, constant(normal(64, 4)));
    Map<String, Attribute> alpha = Map.of("alpha", new Attribute.FloatAttr(.5f));
    node("scaled", "Gemm", alpha, relu, constant(normal(64, 4)));
    Tensor sample = normal(1, 64);
    Quantizer.Quantized quantized = quantize("int8", sample);
    List<Quantizer.Layer> layers = quantizer.layers(quantized, compile);
    assertEquals(3, layers.size());
    assertEquals(Optional.of("QLinearMatMul"), layers.get(0).kernel());
    assertEquals("", layers.get(0).why());
    assertEquals(Optional.empty(), layers.get(1).kernel());
    assertEquals("its result leaves the model as floats", layers.get(1).why());
    assertTrue(layers.get(2).why().contains("alpha"), layers.get(2).why());
    List<Quantizer.LayerError> errors =
        quantizer.errors(
            quantized,
            List.of(Map.of("x", sample)),
            options(INT8, Optional.of("u8_affine_tensor")));
    assertEquals(3, errors.size());
    assertTrue(errors.stream().allMatch(e -> e.sqnr() > 30 && e.sqnr() < 70), errors.toString());
  }

  /** Weights of every operator that has some; dimensions that are no multiple of a block. */
  private Map<String, Integer> everyLayout() {
    Value x = input(2, 6, 5, 7);
    node("conv", "Conv", Map.of(), x, constant(normal(5, 6, 3, 3)));
    node("grouped", "Conv", ints("group", 2), x, constant(normal(4, 3, 3, 3)));
    node("transposed", "ConvTranspose", Map.of(), x, constant(normal(6, 5, 3, 3)));
    node("transposedGroups", "ConvTranspose", ints("group", 2), x, constant(normal(6, 5, 3, 3)));
    Value rows = b.add("Reshape", x, b.longs(-1, 35));
    node("matmul", "MatMul", Map.of(), rows, constant(normal(35, 9)));
    node("gemm", "Gemm", Map.of(), rows, constant(normal(35, 9)));
    node("gemmB", "Gemm", ints("transB", 1), rows, constant(normal(9, 35)));
    node("batch", "MatMul", Map.of(), x, constant(normal(6, 7, 40)));
    Value indices = b.add("ArgMax", ints("axis", 1), x);
    node("gather", "Gather", Map.of(), constant(normal(6, 45)), indices);
    return Map.of("conv", 0, "transposed", 1, "matmul", 1, "gemm", 1, "gemmB", 0, "gather", 0);
  }

  /** What is exported has the values of the decode nodes, bit for bit. */
  @TestFactory
  List<DynamicTest> exportKeepsEveryValue() {
    Map<String, Integer> axes = everyLayout();
    Graph model = b.build("g", Map.of());
    Tensor x = normal(2, 6, 5, 7);
    List<DynamicTest> tests = new ArrayList<>();
    for (String format :
        List.of(
            INT8,
            "s8_symmetric_tensor",
            "u8_affine_channel",
            "u8_symmetric_channel",
            "s8_affine_tensor",
            "q4_0")) {
      tests.add(
          DynamicTest.dynamicTest(
              format,
              () -> {
                Graph base = quantizer.base(model, compile);
                Map<String, String> all = new LinkedHashMap<>();
                base.nodes().stream()
                    .filter(n -> !n.op().is("Reshape") && !n.op().is("ArgMax"))
                    .forEach(n -> all.put(n.name(), format));
                QuantPlan plan = new QuantPlan(Map.of(), Map.of(), all);
                Graph graph = quantizer.apply(base, plan, compile);
                assertEquals(9, of(graph, "decode").size());
                Graph exported = compiler.exportable(graph, compile);
                assertEquals(0, of(exported, "decode").size());
                assertFalse(exported.opsets().containsKey("org.tersor"));
                Map<String, Tensor> wanted =
                    compiler.executable(graph, "interpreter", compile).run(Map.of("x", x));
                assertEquals(
                    wanted,
                    compiler.executable(exported, "interpreter", compile).run(Map.of("x", x)));
                if (format.equals(INT8)) {
                  axes.forEach((name, axis) ->
                      assertEquals(new Attribute.IntAttr(axis), axis(exported, name), name));
                }
                // Float sums differ in order only.
                Map<String, Tensor> loops =
                    compiler.executable(graph, "loop-interpreter", compile).run(Map.of("x", x));
                wanted.forEach((name, tensor) -> {
                  for (int i = 0; i < tensor.size(); i++) {
                    assertEquals(
                        tensor.getDouble(i),
                        Objects.requireNonNull(loops.get(name)).getDouble(i),
                        1e-4,
                        name);
                  }
                });
              }));
    }
    return tests;
  }

  private static Attribute axis(Graph graph, String layer) {
    Node node =
        graph.nodes().stream().filter(n -> n.name().equals(layer)).findFirst().orElseThrow();
    return node.inputs().stream()
        .flatMap(v -> graph.producer(v).stream())
        .filter(n -> n.op().is("DequantizeLinear"))
        .map(n -> n.attributes().get("axis"))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void weightsAreFloatOnlyWhereTheyAreTooShortForAFormat() {
    Value x = input(1, 8, 5, 5);
    node("depthwise", "Conv", ints("group", 8), x, constant(normal(8, 1, 3, 3)));
    node("dense", "Conv", Map.of(), x, constant(normal(8, 8, 3, 3)));
    QuantPlan plan = quantize("q4_0").plan();
    assertEquals(Map.of("dense", "q4_0"), plan.weights());
    assertEquals(Map.of(), plan.activations());
  }

  @Test
  void unknownFormatsAreListed() {
    TersorException e =
        assertThrows(TersorException.class, () -> compiler.registry().format("int3"));
    assertEquals("TSR-0105", e.code());
    assertTrue(String.valueOf(e.getMessage()).contains("q4_0"), e.getMessage());
    assertEquals(INT8, compiler.registry().format("int8").id());
  }
}
