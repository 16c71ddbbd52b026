package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * What integer kernels compute is what the quantizers say in floats, within one step: random layers
 * of every kind, shape, stride, padding and group.
 */
class IntegerExecutionTest {
  private static final int LAYERS = 6;

  /** Bytes, and codes of fewer bits, which become bytes when they are loaded. */
  private static final List<String> WEIGHTS =
      List.of(
          "s8_symmetric_channel", "s8_affine_tensor", "s4_symmetric_channel", "u3_affine_channel");

  /** Kinds of layers. */
  enum Kind {
    MATMUL,
    /** Many matrices by one, and a bias, whose codes are those of a Conv's bias. */
    MATMUL_BATCHED,
    GEMM,
    GEMM_TRANSPOSED,
    CONV,
    CONV_GROUPED,
    CONV_DEPTHWISE,
    CONV_TRANSPOSE,
    CONV_TRANSPOSE_GROUPED
  }

  private final Compiler compiler = Compiler.standard();
  private final Quantizer quantizer = new Quantizer(compiler);
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});

  private static Tensor normal(Random random, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) (0.3 + random.nextGaussian());
    }
    return tensor;
  }

  private static Attribute integers(long... values) {
    return new Attribute.IntsAttr(java.util.Arrays.stream(values).boxed().toList());
  }

  /** A layer, a ReLU, and something that reads the quantized result. */
  private static Graph graph(Kind kind, Random random) {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    int group =
        switch (kind) {
          case CONV_GROUPED, CONV_TRANSPOSE_GROUPED -> 2 + random.nextInt(2);
          case CONV_DEPTHWISE -> 4 + random.nextInt(5);
          case MATMUL, MATMUL_BATCHED, GEMM, GEMM_TRANSPOSED, CONV, CONV_TRANSPOSE -> 1;
        };
    int in = kind == Kind.CONV_DEPTHWISE ? group : group * (1 + random.nextInt(5));
    int out = kind == Kind.CONV_DEPTHWISE ? group : group * (1 + random.nextInt(9));
    int k = 1 + random.nextInt(3);
    int width = 5 + random.nextInt(4);
    boolean matrix = isMatrix(kind);
    int columns = 3 + random.nextInt(60);
    long[] x =
        kind == Kind.MATMUL_BATCHED
            ? new long[] {1 + random.nextInt(3), 1 + random.nextInt(5), columns}
            : matrix ? new long[] {1 + random.nextInt(5), columns} : new long[] {1, in, width, 6};
    long[] w =
        switch (kind) {
          case MATMUL, MATMUL_BATCHED, GEMM -> new long[] {columns, out};
          case GEMM_TRANSPOSED -> new long[] {out, columns};
          case CONV, CONV_GROUPED, CONV_DEPTHWISE -> new long[] {out, in / group, k, 3};
          case CONV_TRANSPOSE, CONV_TRANSPOSE_GROUPED -> new long[] {in, out / group, k, 3};
        };
    Map<String, Attribute> attributes = new java.util.TreeMap<>();
    if (kind == Kind.GEMM_TRANSPOSED) {
      attributes.put("transB", new Attribute.IntAttr(1));
    }
    if (!matrix) {
      attributes.put("group", new Attribute.IntAttr(group));
      attributes.put("strides", integers(1 + random.nextInt(2), 1 + random.nextInt(2)));
      attributes.put("pads", integers(random.nextInt(k), random.nextInt(2), 0, 1));
    }
    Value input = b.input("x", TensorType.of(DType.F32, x));
    List<Value> inputs = new ArrayList<>(List.of(input));
    inputs.add(b.constant("w", Constant.of(normal(random, w))));
    boolean product = kind == Kind.MATMUL || kind == Kind.MATMUL_BATCHED;
    if (!product && random.nextBoolean()) {
      inputs.add(b.constant("b", Constant.of(normal(random, out))));
    }
    String type =
        switch (kind) {
          case MATMUL, MATMUL_BATCHED -> "MatMul";
          case GEMM, GEMM_TRANSPOSED -> "Gemm";
          case CONV, CONV_GROUPED, CONV_DEPTHWISE -> "Conv";
          case CONV_TRANSPOSE, CONV_TRANSPOSE_GROUPED -> "ConvTranspose";
        };
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode("layer", "", type, attributes, inputs, List.of(y));
    Value sum = y;
    if (kind == Kind.MATMUL_BATCHED) {
      sum = b.value("sum", ValueType.UNKNOWN);
      Value bias = b.constant("b", Constant.of(normal(random, out)));
      b.addNode("add", "", "Add", Map.of(), List.of(y, bias), List.of(sum));
    }
    Value r = b.value("r", ValueType.UNKNOWN);
    b.addNode("relu", "", "Relu", Map.of(), List.of(sum), List.of(r));
    Value z = b.value("z", ValueType.UNKNOWN);
    b.addNode("neg", "", "Neg", Map.of(), List.of(r), List.of(z));
    b.output(z);
    return b.build("g", Map.of());
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  @SuppressWarnings("EnumOrdinal") // only a seed
  void equalsTheFloatsWithinOneStep(Kind kind) {
    Random random = new Random(40 + kind.ordinal());
    int integer = 0;
    for (int n = 0; n < LAYERS; n++) {
      Graph graph = graph(kind, random);
      long[] shape = graph.type(graph.inputs().getFirst()).tensor().staticShape();
      List<Map<String, Tensor>> samples = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        samples.add(Map.of("x", normal(random, shape)));
      }
      for (String weights : WEIGHTS) {
        Quantizer.Options options =
            new Quantizer.Options(
                compiler.registry().format(weights).id(),
                Optional.of("u8_affine_tensor"),
                new Calibrator.MinMax(),
                "interpreter",
                compile);
        Quantizer.Quantized quantized = quantizer.quantize(graph, samples, options);
        integer +=
            (int)
                quantizer.layers(quantized, compile).stream()
                    .filter(l -> l.kernel().isPresent())
                    .count();
        double step = step(quantized, samples);
        for (Map<String, Tensor> sample : samples) {
          Tensor floats = fake(quantized, sample);
          Tensor codes =
              compiler
                  .link(quantized.graph(), "jvm", compile)
                  .run(sample)
                  .values()
                  .iterator()
                  .next();
          int different = 0;
          for (int i = 0; i < floats.size(); i++) {
            double apart = Math.abs(floats.getDouble(i) - codes.getDouble(i));
            assertTrue(apart <= step * 1.001, kind + " " + weights + ": " + apart + " of " + step);
            different += apart > step * 0.5 ? 1 : 0;
          }
          assertTrue(different <= 1 + floats.size() / 100, kind + " " + weights + ": " + different);
        }
      }
    }
    assertEquals(WEIGHTS.size() * LAYERS, integer, kind + ": layers with integer kernels");
  }

  private static boolean isMatrix(Kind kind) {
    return switch (kind) {
      case MATMUL, MATMUL_BATCHED, GEMM, GEMM_TRANSPOSED -> true;
      case CONV, CONV_GROUPED, CONV_DEPTHWISE, CONV_TRANSPOSE, CONV_TRANSPOSE_GROUPED -> false;
    };
  }

  /** Grids that are chosen when the model runs: integers give the same but for float rounding. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  @SuppressWarnings("EnumOrdinal") // only a seed
  void codesMadeWhenTheModelRunsAreMultiplied(Kind kind) {
    Random random = new Random(80 + kind.ordinal());
    for (int n = 0; n < LAYERS; n++) {
      Graph graph = graph(kind, random);
      long[] shape = graph.type(graph.inputs().getFirst()).tensor().staticShape();
      for (String activations : List.of("dynamic_u8_tensor", "dynamic_s8_row", "dynamic_s4_row")) {
        String weights = WEIGHTS.get(n % WEIGHTS.size());
        Quantizer.Options options =
            new Quantizer.Options(
                weights, Optional.of(activations), new Calibrator.MinMax(), "interpreter", compile);
        Quantizer.Quantized quantized = quantizer.quantize(graph, List.of(), options);
        assertEquals(
            isMatrix(kind) || activations.endsWith("tensor") ? 1 : 0,
            quantizer.layers(quantized, compile).stream()
                .filter(l -> l.kernel().isPresent())
                .count(),
            kind + " " + weights + " " + activations);
        Map<String, Tensor> sample = Map.of("x", normal(random, shape));
        Tensor floats = fake(quantized, sample);
        Tensor codes =
            compiler.link(quantized.graph(), "jvm", compile).run(sample).values().iterator().next();
        double step = step(quantized, List.of(sample));
        for (int i = 0; i < floats.size(); i++) {
          assertEquals(
              floats.getDouble(i),
              codes.getDouble(i),
              step,
              kind + " " + weights + " " + activations);
        }
        assertEquals(quantized.plan(), QuantPlan.parse(quantized.plan().text()));
      }
    }
  }

  /** Of the result's codes; where it stays float a ten-thousandth of its largest number. */
  private double step(Quantizer.Quantized quantized, List<Map<String, Tensor>> samples) {
    QuantPlan.Activation result = quantized.plan().activations().get("r");
    if (result != null) {
      return java.util.Objects.requireNonNull(result.parameters().get("scale"));
    }
    double largest = 0;
    Tensor y = fake(quantized, samples.getFirst());
    for (int i = 0; i < y.size(); i++) {
      largest = Math.max(largest, Math.abs(y.getDouble(i)));
    }
    return 1e-4 * largest;
  }

  /** The graph as it says itself: decoded weights, quantizers in floats, no integer kernels. */
  private Tensor fake(Quantizer.Quantized quantized, Map<String, Tensor> sample) {
    return compiler
        .link(quantized.graph(), "interpreter", compile)
        .run(sample)
        .values()
        .iterator()
        .next();
  }
}
