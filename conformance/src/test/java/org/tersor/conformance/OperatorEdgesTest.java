package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Cases that random graphs found, on the interpreter and compiled. */
class OperatorEdgesTest {
  private static final Compiler COMPILER = Compiler.standard();
  private static final List<String> BACKENDS = List.of("interpreter", "jvm");

  private static Graph graph(
      int opset,
      String domain,
      String type,
      Map<String, Attribute> attributes,
      int outputs,
      Tensor... inputs) {
    GraphBuilder b = new GraphBuilder(Map.of("", opset, "com.microsoft", 1), 0);
    List<Value> operands = new ArrayList<>();
    for (int i = 0; i < inputs.length; i++) {
      operands.add(b.input("in" + i, TensorType.of(inputs[i].dtype(), inputs[i].shape())));
    }
    List<Value> results = new ArrayList<>();
    for (int i = 0; i < outputs; i++) {
      results.add(b.value("out" + i, ValueType.UNKNOWN));
    }
    b.addNode(domain, type, attributes, operands, results);
    results.forEach(b::output);
    return b.build("g", Map.of());
  }

  private static Map<String, Tensor> named(Graph graph, String backend, Tensor... inputs) {
    Map<String, Tensor> data = new LinkedHashMap<>();
    for (int i = 0; i < inputs.length; i++) {
      data.put("in" + i, inputs[i]);
    }
    return COMPILER.executable(graph, backend, CompileOptions.defaults()).run(data);
  }

  /** Results in order. */
  private static List<Tensor> call(Graph graph, String backend, Tensor... inputs) {
    return List.copyOf(named(graph, backend, inputs).values());
  }

  private static Tensor filled(DType type, long... shape) {
    Tensor tensor = Tensor.zeros(type, shape);
    for (int i = 0; i < tensor.size(); i++) {
      if (type.isFloat()) {
        tensor.setDouble(i, i * .5 - 1);
      } else {
        tensor.setLong(i, i);
      }
    }
    return tensor;
  }

  /**
   * A dozen terms with conditions in one kernel: ASM's own limits of the frames refused its class.
   */
  @Test
  void unrolledConditionsBecomeOneMethod() {
    GraphBuilder b = new GraphBuilder(Map.of("", 25), 0);
    Value scores = b.input("in0", TensorType.of(DType.F32, 3, 4, 2, 2));
    Value classes = b.constant(Tensor.of(new long[] {3, 2, 1, 3, 1, 1, 2, 1, 0, 1, 3, 0}, 3, 2, 2));
    Value weights = b.constant(Tensor.of(new float[] {3.8f, 1.4f, 3.3f, 2.3f}, 4));
    Value loss = b.value("loss", ValueType.UNKNOWN);
    b.addNode(
        "",
        "NegativeLogLikelihoodLoss",
        Map.of("ignore_index", whole(0), "reduction", new Attribute.StringAttr("sum")),
        List.of(scores, classes, weights),
        List.of(loss));
    Value sign = b.value("sign", ValueType.UNKNOWN);
    b.addNode("", "Sign", Map.of(), List.of(loss), List.of(sign));
    b.output(sign);
    Graph graph = b.build("g", Map.of());
    for (String backend : BACKENDS) {
      for (int factor : new int[] {-1, 1}) {
        Tensor data = filled(DType.F32, 3, 4, 2, 2);
        for (int i = 0; i < data.size(); i++) {
          data.setDouble(i, factor * (data.getDouble(i) + 2));
        }
        assertEquals(-factor, call(graph, backend, data).getFirst().getDouble(0), backend);
      }
    }
  }

  private static Attribute whole(long value) {
    return new Attribute.IntAttr(value);
  }

  /** Mean and InvStdDev have the type that stash_type names, float32 by default. */
  @Test
  void statisticsOfDoublesAreFloats() {
    Tensor x = filled(DType.F64, 2, 4);
    Tensor scale = filled(DType.F64, 4);
    Graph graph = graph(17, "", "LayerNormalization", Map.of(), 3, x, scale);
    for (String backend : BACKENDS) {
      List<Tensor> results = call(graph, backend, x, scale);
      assertEquals(DType.F64, results.getFirst().dtype());
      assertEquals(DType.F32, results.get(1).dtype());
      assertEquals(-.25, results.get(1).getDouble(0), 1e-7);
      assertEquals(DType.F32, results.get(2).dtype());
    }
  }

  @Test
  void sequencesAndStepsAreTheFirstTwoAxes() {
    Tensor x = filled(DType.F32, 2, 2, 3);
    Tensor lengths = filled(DType.I64, 2);
    for (long[] axes : new long[][] {{0, 0}, {1, 2}, {-1, 0}}) {
      Map<String, Attribute> attributes =
          Map.of("batch_axis", whole(axes[0]), "time_axis", whole(axes[1]));
      for (String backend : BACKENDS) {
        TersorException refusal =
            assertThrows(
                TersorException.class,
                () ->
                    call(
                        graph(24, "", "ReverseSequence", attributes, 1, x, lengths),
                        backend,
                        x,
                        lengths));
        assertEquals("TSR-0304", refusal.code());
      }
    }
  }

  /** A scale shorter than its axis would be read beyond its end. */
  @Test
  void scalesFitTheirAxis() {
    Tensor x = filled(DType.F32, 2, 5);
    Tensor codes = filled(DType.U8, 2, 5);
    Tensor scale = filled(DType.F32, 3);
    for (String backend : BACKENDS) {
      assertEquals(
          "TSR-0303",
          assertThrows(
                  TersorException.class,
                  () ->
                      call(
                          graph(13, "", "QuantizeLinear", Map.of(), 1, x, scale),
                          backend,
                          x,
                          scale))
              .code());
      assertEquals(
          "TSR-0303",
          assertThrows(
                  TersorException.class,
                  () ->
                      call(
                          graph(13, "", "DequantizeLinear", Map.of(), 1, codes, scale),
                          backend,
                          codes,
                          scale))
              .code());
    }
  }

  /** Blocks of a vector have a scale each. */
  @Test
  void blocksOfVectors() {
    Tensor codes = filled(DType.U8, 4);
    Tensor scale = Tensor.of(new float[] {2, 3}, 2);
    Graph graph =
        graph(
            21,
            "",
            "DequantizeLinear",
            Map.of("axis", whole(0), "block_size", whole(2)),
            1,
            codes,
            scale);
    for (String backend : BACKENDS) {
      assertEquals(
          Tensor.of(new float[] {0, 2, 6, 9}, 4), call(graph, backend, codes, scale).getFirst());
    }
  }

  /** Sums under a root or logarithm do not overflow. */
  @Test
  void logarithmsOfLargeIntegers() {
    Tensor x = Tensor.of(new long[] {Long.MAX_VALUE, Long.MAX_VALUE}, 2);
    for (String backend : BACKENDS) {
      assertEquals(
          44,
          call(graph(13, "", "ReduceLogSum", Map.of("keepdims", whole(0)), 1, x), backend, x)
              .getFirst()
              .getLong(0));
    }
  }

  /** float16 is computed in float32 by casts, whose attribute was a name before version 6. */
  @Test
  void halvesInOldModels() {
    Tensor x = filled(DType.F16, 2, 3);
    Tensor result = call(graph(4, "", "Exp", Map.of(), 1, x), "jvm", x).getFirst();
    assertEquals(Math.exp(-1), result.getDouble(0), 1e-3);
  }

  @Test
  void inverseDeviationOfSeveralAxes() {
    Tensor x = filled(DType.F32, 2, 2, 2);
    Tensor scale = filled(DType.F32, 2, 2);
    Graph graph =
        graph(17, "", "SimplifiedLayerNormalization", Map.of("axis", whole(1)), 2, x, scale);
    for (String backend : BACKENDS) {
      Tensor inverse = call(graph, backend, x, scale).get(1);
      assertArrayEquals(new long[] {2, 1, 1}, inverse.shape());
      // Of -1, -.5, 0, .5 the mean square is 3 / 8.
      assertEquals(1 / Math.sqrt(.375 + 1e-5), inverse.getDouble(0), 1e-5);
    }
  }

  /** The default epsilon of skip connections is 1e-12. */
  @Test
  void tinyRowsOfSkipConnections() {
    Tensor x = Tensor.of(new float[] {1e-4f, -1e-4f}, 1, 1, 2);
    Tensor skip = Tensor.zeros(DType.F32, 1, 1, 2);
    Tensor gamma = Tensor.of(new float[] {1, 1}, 2);
    Graph graph =
        graph(17, "com.microsoft", "SkipSimplifiedLayerNormalization", Map.of(), 1, x, skip, gamma);
    for (String backend : BACKENDS) {
      assertEquals(1, call(graph, backend, x, skip, gamma).getFirst().getDouble(0), 1e-4);
    }
  }

  /** Without axes the data of a shape decide which dimensions go. */
  @Test
  void squeezeOfShapesFromData() {
    GraphBuilder b = new GraphBuilder(Map.of("", 18), 0);
    Value x = b.input("in0", TensorType.of(DType.F32, 3, 3));
    Value split = b.input("in1", TensorType.of(DType.I64, 2));
    Value first = b.value("first", ValueType.UNKNOWN);
    Value second = b.value("second", ValueType.UNKNOWN);
    b.addNode("", "Split", Map.of(), List.of(x, split), List.of(first, second));
    b.output(b.add("Squeeze", second));
    Graph graph = b.build("g", Map.of());
    Tensor result =
        call(graph, "interpreter", filled(DType.F32, 3, 3), Tensor.of(new long[] {2, 1}, 2))
            .getFirst();
    assertArrayEquals(new long[] {3}, result.shape());
  }

  /** Left half times Gelu of the right half, after the bias; no CPU runtime has it to compare. */
  @Test
  void biasSplitGelu() {
    Tensor x = Tensor.of(new float[] {1, 2, 3, .5f, .5f, -1.5f}, 1, 1, 6);
    Tensor bias = Tensor.of(new float[] {1, 0, -1, -.5f, .5f, .5f}, 6);
    Graph graph = graph(17, "com.microsoft", "BiasSplitGelu", Map.of(), 1, x, bias);
    for (String backend : BACKENDS) {
      Tensor y = call(graph, backend, x, bias).getFirst();
      assertArrayEquals(new long[] {1, 1, 3}, y.shape());
      assertEquals(0, y.getDouble(0), 1e-7);
      assertEquals(2 * .8413447460685429, y.getDouble(1), 1e-6);
      assertEquals(2 * -.15865525393145707, y.getDouble(2), 1e-6);
    }
  }

  /** Casts to integers of less than a byte round to the nearest, ties to even. */
  @Test
  void castsToNibblesRound() {
    Tensor x = Tensor.of(new float[] {.75f, 1.5f, 2.5f, -.6f, -1.5f, 6.4f}, 6);
    Graph graph = graph(21, "", "Cast", Map.of("to", whole(22)), 1, x);
    for (String backend : BACKENDS) {
      Tensor y = call(graph, backend, x).getFirst();
      assertEquals(DType.I4, y.dtype());
      long[] wanted = {1, 2, 2, -1, -2, 6};
      for (int i = 0; i < wanted.length; i++) {
        assertEquals(wanted[i], y.getLong(i), backend + " " + x.getDouble(i));
      }
    }
  }

  /** An output keeps its name where all between it and an input falls away. */
  @Test
  void outputsKeepTheirNames() {
    GraphBuilder b = new GraphBuilder(Map.of("", 15), 0);
    Value x = b.input("in0", TensorType.of(DType.F32, 2));
    Value y = b.value("y", ValueType.UNKNOWN);
    Value same = b.add("Transpose", Map.of("perm", new Attribute.IntsAttr(List.of(0L))), x);
    b.addNode("", "Identity", Map.of(), List.of(same), List.of(y));
    b.output(y);
    Graph graph = b.build("g", Map.of());
    Tensor given = filled(DType.F32, 2);
    for (String backend : BACKENDS) {
      assertEquals(Map.of("y", given), named(graph, backend, given));
    }
  }

  /** Integers that are constants but no sizes may overflow. */
  @Test
  void productsOfHugeConstants() {
    GraphBuilder b = new GraphBuilder(Map.of("", 15), 0);
    Value huge = b.constant(Tensor.of(new long[] {Long.MAX_VALUE, 3}, 2));
    Value x = b.input("in0", TensorType.of(DType.I64, 2));
    b.output(b.add("Add", b.add("Mul", huge, huge), x));
    Graph graph = b.build("g", Map.of());
    Tensor zero = Tensor.zeros(DType.I64, 2);
    for (String backend : BACKENDS) {
      assertEquals(List.of(Tensor.of(new long[] {1, 9}, 2)), call(graph, backend, zero));
    }
  }

  /** Constant weights whose zero point is an input are prepared when it runs, not when it loads. */
  @Test
  void weightsWithZeroPointsFromInputs() {
    GraphBuilder b = new GraphBuilder(Map.of("", 13), 0);
    Tensor x = filled(DType.U8, 1, 2, 4, 4);
    Tensor zero = Tensor.zeros(DType.U8);
    zero.setLong(0, 3);
    Value input = b.input("in0", TensorType.of(DType.U8, x.shape()));
    Value xZero = b.input("in1", TensorType.of(DType.U8));
    Value wZero = b.input("in2", TensorType.of(DType.U8));
    Value weights = b.constant(filled(DType.U8, 3, 2, 2, 2));
    Attribute pads = new Attribute.IntsAttr(List.of(1L, 1L, 0L, 1L));
    b.output(b.add("ConvInteger", Map.of("pads", pads), input, weights, xZero, wZero));
    Graph graph = b.build("g", Map.of());
    assertEquals(call(graph, "interpreter", x, zero, zero), call(graph, "jvm", x, zero, zero));
  }

  /** 1 / (2 / 7) is a tie, which a scale rounded to float32 is not. */
  @Test
  void sizesGivePositionsWithOneRounding() {
    Tensor x = Tensor.of(new float[] {0, 1, 2, 3, 4, 5, 6}, 7);
    GraphBuilder b = new GraphBuilder(Map.of("", 19), 0);
    Value in = b.input("in0", TensorType.of(DType.F32, 7));
    b.output(
        b.add(
            "Resize",
            Map.of(
                "coordinate_transformation_mode", new Attribute.StringAttr("asymmetric"),
                "nearest_mode", new Attribute.StringAttr("round_prefer_ceil")),
            in,
            Value.NONE,
            Value.NONE,
            b.longs(2)));
    Graph graph = b.build("g", Map.of());
    for (String backend : BACKENDS) {
      assertArrayEquals(new float[] {0, 4}, call(graph, backend, x).getFirst().floats(), backend);
    }
  }

  /** The largest of many samples of a region, in a fold in a fold: no turn of it is repeated. */
  @Test
  void largestSampleOfARegion() {
    Tensor x = filled(DType.F32, 1, 2, 3, 3);
    Tensor region = Tensor.of(new float[] {0, 0, 1, 1}, 1, 4);
    Tensor image = Tensor.of(new long[] {0}, 1);
    Map<String, Attribute> largest = Map.of("mode", new Attribute.StringAttr("max"));
    Graph graph = graph(16, "", "RoiAlign", largest, 1, x, region, image);
    for (String backend : BACKENDS) {
      // One sample, at position (0, 0): its four weighted corners are x there and three zeros.
      assertArrayEquals(
          new float[] {0, 3.5f},
          call(graph, backend, x, region, image).getFirst().floats(),
          1e-6f,
          backend);
    }
  }

  @Test
  void signOfNanIsNan() {
    Tensor x = Tensor.of(new float[] {Float.NaN, -0f, -2, 3}, 4);
    Graph graph = graph(13, "", "Sign", Map.of(), 1, x);
    for (String backend : BACKENDS) {
      assertArrayEquals(
          new float[] {Float.NaN, 0, -1, 1}, call(graph, backend, x).getFirst().floats());
    }
  }

  /** Cubic weights go beyond 0 and 255; a filter rounds, an interpolation truncates. */
  @Test
  void pictureResultsSaturate() {
    Tensor x = Tensor.zeros(DType.U8, 1, 1, 1, 4);
    x.setLong(1, 255);
    x.setLong(2, 255);
    Tensor sizes = Tensor.of(new long[] {1, 1, 1, 8}, 4);
    Tensor none = Tensor.zeros(DType.F32, 0);
    Map<String, Attribute> cubic = Map.of("mode", new Attribute.StringAttr("cubic"));
    Graph graph = graph(19, "", "Resize", cubic, 1, x, none, none, sizes);
    for (String backend : BACKENDS) {
      Tensor y = call(graph, backend, x, none, none, sizes).getFirst();
      assertEquals(0, y.getLong(0), "below zero");
      assertEquals(255, y.getLong(3), "beyond the largest");
    }
  }
}
