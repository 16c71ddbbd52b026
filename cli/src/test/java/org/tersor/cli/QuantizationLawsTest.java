package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.WeightLayout;
import org.tersor.passes.Registry;
import org.tersor.passes.eval.KnownEval;
import org.tersor.passes.quant.method.LayerInputs;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.passes.quant.method.WeightProblem;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * What must hold for a method of quantization whatever the model: on random layers of each kind.
 */
class QuantizationLawsTest {
  private static final Registry REGISTRY = Registry.builtIn();
  private static final String S4 = "s4_symmetric_channel_restricted";

  /** A kind of layer, small. */
  @SuppressWarnings("ImmutableEnumChecker") // nobody writes to the shapes
  enum Kind {
    MATMUL("MatMul", new long[] {6, 40}, new long[] {40, 24}, Map.of()),
    GEMM("Gemm", new long[] {6, 40}, new long[] {40, 24}, Map.of()),
    GEMM_TRANSPOSED("Gemm", new long[] {6, 40}, new long[] {24, 40}, Map.of("transB", 1L)),
    CONV("Conv", new long[] {1, 6, 9, 9}, new long[] {16, 6, 3, 3}, Map.of()),
    CONV_GROUPED("Conv", new long[] {1, 8, 9, 9}, new long[] {16, 4, 3, 3}, Map.of("group", 2L)),
    CONV_DEPTHWISE("Conv", new long[] {1, 8, 9, 9}, new long[] {8, 1, 3, 3}, Map.of("group", 8L)),
    CONV_TRANSPOSE("ConvTranspose", new long[] {1, 6, 6, 6}, new long[] {6, 16, 3, 3}, Map.of()),
    CONV_TRANSPOSE_GROUPED(
        "ConvTranspose", new long[] {1, 8, 6, 6}, new long[] {8, 8, 3, 3}, Map.of("group", 2L));

    private final String type;
    private final long[] x;
    private final long[] w;
    private final Map<String, Long> attributes;

    Kind(String type, long[] x, long[] w, Map<String, Long> attributes) {
      this.type = type;
      this.x = x;
      this.w = w;
      this.attributes = attributes;
    }
  }

  /** A layer with random weights, and what its rows were multiplied with. */
  private static final class Layer {
    private final Operator operator;
    private final Graph graph;
    private final Node node;
    private final Tensor weight;
    private final WeightLayout layout;
    private final int rows;
    private final int columns;
    private final float[] values;
    private final List<LayerInputs> inputs = new ArrayList<>();

    Layer(Kind kind, Random random) {
      GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
      weight = Tensor.zeros(DType.F32, kind.w);
      for (int i = 0; i < weight.size(); i++) {
        weight.floats()[i] = (float) random.nextGaussian();
      }
      Map<String, Attribute> attributes = new java.util.TreeMap<>();
      kind.attributes.forEach((k, v) -> attributes.put(k, new Attribute.IntAttr(v)));
      Value x = b.input("x", TensorType.of(DType.F32, kind.x));
      Value w = b.constant("w", Constant.of(weight));
      Value y = b.value("y", org.tersor.ir.graph.ValueType.UNKNOWN);
      b.addNode("layer", "", kind.type, attributes, List.of(x, w), List.of(y));
      b.output(y);
      graph = b.build("g", Map.of());
      node = graph.nodes().getFirst();
      operator = REGISTRY.operators().find(node.op()).orElseThrow();
      layout = operator.weights(context(Tensor.zeros(DType.F32, kind.x))).orElseThrow();
      long[] shape = layout.encodedShape(kind.w);
      columns = (int) shape[shape.length - 1];
      rows = weight.size() / columns;
      values = new float[weight.size()];
      int[] offsets = layout.offsets(kind.w);
      for (int i = 0; i < values.length; i++) {
        values[i] = weight.floats()[offsets[i]];
      }
    }

    KnownEval context(Tensor x) {
      return new KnownEval(graph, node, List.of(Optional.of(x), Optional.of(weight)));
    }

    void see(Tensor x, boolean targets) {
      operator.weightVectors(
          context(x),
          (group, groups, vector) -> {
            while (inputs.size() < groups) {
              inputs.add(new LayerInputs(columns, targets ? rows / groups : 0));
            }
            inputs.get(group).add(vector, targets ? results(group, groups, vector) : new float[0]);
          });
    }

    float[] results(int group, int groups, float[] vector) {
      float[] y = new float[rows / groups];
      for (int r = 0; r < y.length; r++) {
        double sum = 0;
        for (int c = 0; c < columns; c++) {
          sum += values[(group * y.length + r) * columns + c] * (double) vector[c];
        }
        y[r] = (float) sum;
      }
      return y;
    }

    WeightProblem problem(String format) {
      return problem(format, inputs);
    }

    WeightProblem problem(String format, List<LayerInputs> with) {
      NumberFormat found = REGISTRY.format(format);
      return new WeightProblem(found, (p, row) -> p, values, rows, columns, with, note -> {});
    }
  }

  /** Neighbouring numbers are alike along every axis, as in pictures and hidden states. */
  private static Tensor correlated(long[] shape, Random random) {
    return shape.length == 4 ? picture(shape, random) : hidden(shape, random);
  }

  /** Each channel is a sum of slow waves across the picture, and some noise. */
  private static Tensor picture(long[] shape, Random random) {
    Tensor x = Tensor.zeros(DType.F32, shape);
    int height = (int) shape[2];
    int width = (int) shape[3];
    for (int plane = 0; plane < shape[0] * shape[1]; plane++) {
      double[] wave = new double[9];
      Arrays.setAll(wave, k -> random.nextGaussian());
      for (int i = 0; i < height * width; i++) {
        int y = i / width;
        int z = i % width;
        double sum = 0;
        for (int k = 0; k < 9; k += 3) {
          sum += wave[k] * Math.cos(0.25 * (wave[k + 1] * y + wave[k + 2] * z) + k);
        }
        x.floats()[plane * height * width + i] = (float) (sum + 0.2 * random.nextGaussian());
      }
    }
    return x;
  }

  private static Tensor hidden(long[] shape, Random random) {
    Tensor x = Tensor.zeros(DType.F32, shape);
    double[] shared = new double[4];
    for (int i = 0; i < x.size(); i++) {
      if (i % 40 == 0) {
        Arrays.setAll(shared, k -> random.nextGaussian());
      }
      double wave = 0;
      for (int k = 0; k < shared.length; k++) {
        wave += shared[k] * Math.cos((i % 40) * (k + 1) * 0.21 + k);
      }
      x.floats()[i] = (float) (wave + 0.2 * random.nextGaussian());
    }
    return x;
  }

  @SuppressWarnings("EnumOrdinal") // only a seed
  private static Layer seen(Kind kind, boolean targets) {
    Random random = new Random(kind.ordinal() + 1);
    Layer layer = new Layer(kind, random);
    for (int i = 0; i < 30; i++) {
      layer.see(correlated(kind.x, random), targets);
    }
    layer.inputs.forEach(LayerInputs::seal);
    return layer;
  }

  private static double error(WeightProblem problem, WeightProblem.Coded coded) {
    return Arrays.stream(problem.errors(coded)).sum();
  }

  /** The vectors are those that the operator multiplies: their products are its results. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  void vectorsTimesRowsAreTheResults(Kind kind) {
    Random random = new Random(3);
    Layer layer = new Layer(kind, random);
    Tensor x = correlated(kind.x, random);
    Tensor y = (Tensor) layer.operator.eval(layer.context(x)).getFirst();
    List<Float> products = new ArrayList<>();
    layer.operator.weightVectors(
        layer.context(x),
        (group, groups, vector) -> {
          for (float result : layer.results(group, groups, vector)) {
            products.add(result);
          }
        });
    float[] expected = y.floats().clone();
    float[] got = new float[products.size()];
    for (int i = 0; i < got.length; i++) {
      got[i] = products.get(i);
    }
    Arrays.sort(expected);
    Arrays.sort(got);
    assertArrayEquals(expected, got, 1e-4f);
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void gptqBeatsRoundingOnCorrelatedInputs(Kind kind) {
    Layer layer = seen(kind, false);
    for (String format : List.of(S4, "u4_affine_g16", "q4_0", "u4_float_channel")) {
      WeightProblem problem = layer.problem(format);
      double rounded = error(problem, WeightMethod.parse("rtn").choose(problem));
      for (String method : List.of("gptq", "gptq:order=act")) {
        double compensated = error(problem, WeightMethod.parse(method).choose(problem));
        assertTrue(
            compensated <= 0.8 * rounded,
            format + " " + method + ": " + compensated + " against " + rounded);
      }
    }
  }

  /** Where inputs have nothing in common there is nothing to compensate. */
  @Test
  void gptqIsRoundingWhereTheHessianIsDiagonal() {
    Layer layer = new Layer(Kind.GEMM_TRANSPOSED, new Random(7));
    LayerInputs diagonal = new LayerInputs(layer.columns, 0);
    for (int round = 0; round < 3; round++) {
      for (int c = 0; c < layer.columns; c++) {
        float[] vector = new float[layer.columns];
        vector[c] = 0.3f + c % 7;
        diagonal.add(vector, new float[0]);
      }
    }
    diagonal.seal();
    for (String format : List.of(S4, "u3_affine_g16", "q4_0")) {
      WeightProblem problem = layer.problem(format, List.of(diagonal));
      for (String method : List.of("gptq", "gptq:order=act,grid=mse")) {
        String plain = method.endsWith("mse") ? "mse" : "rtn";
        assertArrayEquals(
            WeightMethod.parse(plain).choose(problem).codes(),
            WeightMethod.parse(method).choose(problem).codes(),
            format + " " + method);
      }
    }
  }

  /** Few vectors are kept as they are, many as sums of products: the same H, the same codes. */
  @Test
  void gptqFromVectorsIsGptqFromProducts() {
    Random random = new Random(11);
    Layer layer = new Layer(Kind.GEMM_TRANSPOSED, random);
    LayerInputs thin = new LayerInputs(layer.columns, 0);
    LayerInputs dense = new LayerInputs(layer.columns, 0);
    for (int i = 0; i < 12; i++) {
      float[] vector = correlated(new long[] {layer.columns}, random).floats().clone();
      vector[5] = 0;
      thin.add(vector, new float[0]);
      for (int copy = 0; copy < 4; copy++) {
        dense.add(vector, new float[0]);
      }
    }
    thin.seal();
    dense.seal();
    assertTrue(dense.isDense() && !thin.isDense());
    for (String format : List.of(S4, "u4_affine_g16")) {
      for (String method : List.of("gptq", "gptq:order=act", "gptq:groups=static")) {
        assertArrayEquals(
            WeightMethod.parse(method).choose(layer.problem(format, List.of(dense))).codes(),
            WeightMethod.parse(method).choose(layer.problem(format, List.of(thin))).codes(),
            format + " " + method);
      }
    }
    double[] d = new double[layer.columns];
    Arrays.setAll(d, i -> random.nextGaussian());
    assertEquals(dense.energy(d), thin.energy(d), 1e-9 * dense.energy(d));
  }

  /** A column that is never multiplied with anything but zero is coded as zero. */
  @Test
  void deadColumnsAreZero() {
    Random random = new Random(2);
    Layer layer = new Layer(Kind.GEMM_TRANSPOSED, random);
    LayerInputs inputs = new LayerInputs(layer.columns, 0);
    for (int i = 0; i < 100; i++) {
      float[] vector = correlated(new long[] {layer.columns}, random).floats().clone();
      vector[3] = 0;
      inputs.add(vector, new float[0]);
    }
    inputs.seal();
    long[] codes = WeightMethod.parse("gptq").choose(layer.problem(S4, List.of(inputs))).codes();
    for (int row = 0; row < layer.rows; row++) {
      assertEquals(0, codes[row * layer.columns + 3]);
    }
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void learnedRoundingAndSearchedScalesNeverErrMore(Kind kind) {
    for (boolean targets : new boolean[] {false, true}) {
      Layer layer = seen(kind, targets);
      for (String format : List.of(S4, "u3_affine_g16", "s4_symmetric_tensor")) {
        WeightProblem problem = layer.problem(format);
        double rounded = error(problem, WeightMethod.parse("rtn").choose(problem));
        String method = targets ? "adaround:iterations=200" : "seqmse";
        double chosen = error(problem, WeightMethod.parse(method).choose(problem));
        assertTrue(
            chosen <= rounded * (1 + 1e-9),
            format + " " + method + ": " + chosen + " against " + rounded);
      }
    }
  }

  /** More candidates never do worse: 40 factors hold all of 20 and of 10. */
  @Test
  void moreCandidatesNeverErrMore() {
    Layer layer = seen(Kind.CONV, false);
    for (String format : List.of("s3_symmetric_tensor", "s3_symmetric_channel_restricted")) {
      WeightProblem problem = layer.problem(format);
      double last = Double.POSITIVE_INFINITY;
      for (int candidates : new int[] {1, 10, 20, 40}) {
        WeightMethod method = WeightMethod.parse("seqmse:candidates=" + candidates);
        double now = error(problem, method.choose(problem));
        assertTrue(now <= last * (1 + 1e-12), format + " " + candidates);
        last = now;
      }
      double rounded = error(problem, WeightMethod.parse("rtn").choose(problem));
      assertTrue(last < 0.95 * rounded, format + ": " + last + " against " + rounded);
      double clipped = error(problem, WeightMethod.parse("clip").choose(problem));
      assertTrue(clipped < 0.95 * rounded, format + ": " + clipped + " against " + rounded);
    }
  }

  private static double absolute(WeightProblem problem, WeightProblem.Coded coded, double power) {
    double sum = 0;
    for (int row = 0; row < problem.rows(); row++) {
      double[] values = problem.values(coded, row);
      for (int c = 0; c < values.length; c++) {
        sum += Math.pow(Math.abs(values[c] - problem.weight(row, c)), power);
      }
    }
    return sum;
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void clippedRangesErrLessByTheirOwnMeasure(Kind kind) {
    Layer layer = new Layer(kind, new Random(5));
    for (String format : List.of(S4, "u3_affine_g16", "q4_0", "s4_pow2_channel")) {
      WeightProblem problem = layer.problem(format, List.of());
      double plain = absolute(problem, WeightMethod.parse("rtn").choose(problem), 2.4);
      double clipped = absolute(problem, WeightMethod.parse("mse").choose(problem), 2.4);
      assertTrue(clipped <= plain, format + ": " + clipped + " against " + plain);
    }
  }

  private static double weighted(WeightProblem problem, WeightProblem.Coded coded) {
    double sum = 0;
    for (int row = 0; row < problem.rows(); row++) {
      double[] values = problem.values(coded, row);
      double squares = 0;
      for (int c = 0; c < values.length; c++) {
        squares += problem.weight(row, c) * problem.weight(row, c);
      }
      double mean = Math.sqrt(squares / values.length);
      for (int c = 0; c < values.length; c++) {
        double e = values[c] - problem.weight(row, c);
        sum += (mean + Math.abs(problem.weight(row, c))) * e * e;
      }
    }
    return sum;
  }

  /** The search of K-quants errs less by its own measure, and never more with more candidates. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  void weightedSearchErrsLessByItsOwnMeasure(Kind kind) {
    Layer layer = new Layer(kind, new Random(5));
    for (String format : List.of(S4, "u3_affine_channel", "u4_float_channel", "s4_pow2_channel")) {
      WeightProblem problem = layer.problem(format, List.of());
      double last = weighted(problem, WeightMethod.parse("rtn").choose(problem));
      double plain = last;
      // Each has the candidates of those before.
      for (int steps : new int[] {2, 3, 5, 9}) {
        double now = weighted(problem, WeightMethod.parse("kquant:steps=" + steps).choose(problem));
        assertTrue(now <= last * (1 + 1e-9), format + " " + steps + ": " + now + " > " + last);
        last = now;
      }
      if (!format.contains("pow2") && layer.columns > 4) {
        assertTrue(last < 0.97 * plain, format + ": " + last + " against " + plain);
      }
    }
  }

  /** With inputs that matter in one column alone, that column is what is coded well. */
  @Test
  void weightedSearchLooksAtInputs() {
    Layer layer = new Layer(Kind.GEMM_TRANSPOSED, new Random(5));
    LayerInputs inputs = new LayerInputs(layer.columns, 0);
    for (int n = 0; n < 50; n++) {
      float[] vector = new float[layer.columns];
      vector[3] = 1 + n % 3;
      inputs.add(vector, new float[0]);
    }
    inputs.seal();
    for (String format : List.of("u3_affine_channel", "u3_affine_g16")) {
      WeightProblem problem = layer.problem(format, List.of(inputs));
      double plain = error(problem, WeightMethod.parse("kquant").choose(problem));
      double seen = error(problem, WeightMethod.parse("kquant:importance=inputs").choose(problem));
      assertTrue(seen < 0.5 * plain, format + ": " + seen + " against " + plain);
    }
  }

  /** HQQ moves grids that can move; with whole zero points it is rounding, within half a step. */
  @Test
  void hqqMovesFloatZeroPoints() {
    Layer layer = new Layer(Kind.GEMM_TRANSPOSED, new Random(5));
    WeightProblem floating = layer.problem("u3_float_g16", List.of());
    double plain = absolute(floating, WeightMethod.parse("rtn").choose(floating), 1);
    double moved = absolute(floating, WeightMethod.parse("hqq").choose(floating), 1);
    assertTrue(moved < 0.99 * plain, moved + " against " + plain);
    WeightProblem fixed = layer.problem(S4, List.of());
    assertArrayEquals(
        WeightMethod.parse("rtn").choose(fixed).codes(),
        WeightMethod.parse("hqq").choose(fixed).codes());
  }

  /** No step of a channel is larger than the tensor's. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  void channelsHaveNoLargerSteps(Kind kind) {
    Layer layer = new Layer(kind, new Random(9));
    for (int bits : new int[] {2, 4, 8}) {
      for (String grid : List.of("symmetric", "affine")) {
        String name = "s" + bits + "_" + grid + "_";
        WeightProblem tensor = layer.problem(name + "tensor", List.of());
        WeightProblem channel = layer.problem(name + "channel", List.of());
        double step =
            WeightMethod.parse("rtn").choose(tensor).parameters().getFirst().value("scale");
        WeightMethod.parse("rtn")
            .choose(channel)
            .parameters()
            .forEach(p -> assertTrue(p.value("scale") <= step, name));
      }
    }
  }

  /** Many rows, so that a tensor has 4,096 weights or more. */
  private static WeightProblem large(Kind kind, Random random, String format, int spread) {
    Layer layer = new Layer(kind, random);
    int rows = Math.ceilDiv(4096, layer.columns) + 3;
    float[] values = new float[rows * layer.columns];
    for (int r = 0; r < rows; r++) {
      double gain = Math.exp(spread * random.nextGaussian());
      for (int c = 0; c < layer.columns; c++) {
        double w = random.nextGaussian();
        values[r * layer.columns + c] = (float) (gain * (spread == 0 ? w : w * w * w));
      }
    }
    return new WeightProblem(
        REGISTRY.format(format), (p, row) -> p, values, rows, layer.columns, List.of(), n -> {});
  }

  /** Scales of channels err no more than one for all, over many weights. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  void channelsErrNoMoreThanTheTensor(Kind kind) {
    for (int spread : new int[] {0, 1}) {
      for (int bits : new int[] {3, 4, 6, 8}) {
        for (String grid : List.of("symmetric", "affine")) {
          String name = "s" + bits + "_" + grid + "_";
          WeightProblem tensor = large(kind, new Random(bits), name + "tensor", spread);
          WeightProblem channel = large(kind, new Random(bits), name + "channel", spread);
          double one = absolute(tensor, WeightMethod.parse("rtn").choose(tensor), 2);
          double each = absolute(channel, WeightMethod.parse("rtn").choose(channel), 2);
          assertTrue(each <= one, name + " " + spread + ": " + each + " against " + one);
        }
      }
    }
  }
}
