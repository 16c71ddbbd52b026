package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
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
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Corrected biases never make the error on the calibration set larger, whatever the layer. */
class BiasCorrectionTest {
  /** Two layers with a ReLU between. */
  enum Kind {
    MATMUL,
    GEMM,
    CONV,
    CONV_GROUPED,
    CONV_DEPTHWISE,
    CONV_TRANSPOSE
  }

  private final Compiler compiler = Compiler.standard();
  private final Quantizer quantizer = new Quantizer(compiler);
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final Random random = new Random(4);

  @TempDir Path folder = Path.of("");

  /** With a mean, as what a ReLU gives. */
  private Tensor shifted(double mean, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) (mean + random.nextGaussian());
    }
    return tensor;
  }

  private static long[] input(Kind kind) {
    return switch (kind) {
      case MATMUL, GEMM -> new long[] {4, 16};
      case CONV, CONV_GROUPED, CONV_DEPTHWISE, CONV_TRANSPOSE -> new long[] {2, 8, 6, 6};
    };
  }

  private Value layer(GraphBuilder b, String name, Kind kind, Value x, boolean bias) {
    long[] shape =
        switch (kind) {
          case MATMUL, GEMM -> new long[] {16, 16};
          case CONV, CONV_TRANSPOSE -> new long[] {8, 8, 3, 3};
          case CONV_GROUPED -> new long[] {8, 4, 3, 3};
          case CONV_DEPTHWISE -> new long[] {8, 1, 3, 3};
        };
    String type =
        switch (kind) {
          case MATMUL -> "MatMul";
          case GEMM -> "Gemm";
          case CONV, CONV_GROUPED, CONV_DEPTHWISE -> "Conv";
          case CONV_TRANSPOSE -> "ConvTranspose";
        };
    Map<String, Attribute> attributes =
        switch (kind) {
          case CONV_GROUPED -> Map.of("group", new Attribute.IntAttr(2));
          case CONV_DEPTHWISE -> Map.of("group", new Attribute.IntAttr(8));
          case MATMUL, GEMM, CONV, CONV_TRANSPOSE -> Map.of();
        };
    List<Value> inputs = new ArrayList<>(List.of(x));
    inputs.add(b.constant(name + ".w", Constant.of(shifted(0, shape))));
    int channels = kind == Kind.MATMUL || kind == Kind.GEMM ? 16 : 8;
    Value y = b.value(name + ":0", ValueType.UNKNOWN);
    if (kind == Kind.MATMUL) {
      b.addNode(name, "", type, attributes, inputs, List.of(y));
      Value z = b.value(name + ":1", ValueType.UNKNOWN);
      Value c = b.constant(name + ".b", Constant.of(shifted(0, channels)));
      b.addNode(name + ".add", "", "Add", Map.of(), List.of(c, y), List.of(z));
      return z;
    }
    if (bias) {
      inputs.add(b.constant(name + ".b", Constant.of(shifted(0, channels))));
    }
    b.addNode(name, "", type, attributes, inputs, List.of(y));
    return y;
  }

  private Graph graph(Kind kind) {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, input(kind)));
    Value h = layer(b, "one", kind, x, true);
    Value r = b.value("r", ValueType.UNKNOWN);
    b.addNode("relu", "", "Relu", Map.of(), List.of(h), List.of(r));
    b.output(layer(b, "two", kind, r, false));
    return quantizer.base(b.build("g", Map.of()), compile);
  }

  private double error(Graph base, Quantizer.Decisions decisions, List<Map<String, Tensor>> xs) {
    Graph coded = quantizer.apply(quantizer.equalized(base, decisions), decisions, compile);
    var exact = compiler.executable(base, "interpreter", compile);
    var other = compiler.executable(coded, "interpreter", compile);
    double sum = 0;
    for (Map<String, Tensor> x : xs) {
      Tensor a = exact.run(x).values().iterator().next();
      Tensor b = other.run(x).values().iterator().next();
      for (int i = 0; i < a.size(); i++) {
        sum += Math.pow(a.getDouble(i) - b.getDouble(i), 2);
      }
    }
    return sum;
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void errorsNeverGrow(Kind kind) throws IOException {
    Graph base = graph(kind);
    List<Map<String, Tensor>> samples = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      samples.add(Map.of("x", shifted(1.5, input(kind))));
    }
    for (String format : List.of("s3_symmetric_channel", "s4_symmetric_tensor")) {
      for (String activations : List.of("none", "u8_affine_tensor")) {
        Quantizer.Options options =
            new Quantizer.Options(
                format,
                Optional.of(activations).filter(a -> !a.equals("none")),
                new Calibrator.MinMax(),
                "interpreter",
                compile);
        Quantizer.Decisions plain = quantizer.decide(base, samples, options);
        double before = error(base, plain, samples);
        for (String way : List.of("fast", "full")) {
          String what = kind + " " + format + " " + activations + " " + way;
          Quantizer.Decisions moved = quantizer.corrected(base, plain, samples, way, options);
          double after = error(base, moved, samples);
          assertTrue(after <= before * (1 + 1e-6), what + ": " + after + " against " + before);
          if (moved.plan().biases().isEmpty()) {
            assertTrue(
                moved.reports().stream().anyMatch(r -> r.contains("stay")),
                what + ": " + moved.reports());
          } else if (way.equals("full") && format.startsWith("s3")) {
            assertTrue(after < 0.9 * before, what + ": " + after + " against " + before);
          }
          PlanFiles.write(moved, folder.resolve("a.plan"));
          Quantizer.Decisions read = PlanFiles.read(folder.resolve("a.plan"));
          assertEquals(moved.plan(), read.plan());
          assertEquals(after, error(base, read, samples), what);
        }
      }
    }
  }
}
