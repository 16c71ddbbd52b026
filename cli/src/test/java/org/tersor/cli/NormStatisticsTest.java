package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.NormStatistics;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Norms measured anew make of their samples what a norm is there for: mean 0, deviation 1. */
class NormStatisticsTest {
  private final Compiler compiler = Compiler.standard();
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final Random random = new Random(4);

  private Tensor normal(double mean, double deviation, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) (mean + deviation * random.nextGaussian());
    }
    return tensor;
  }

  private static Value same(GraphBuilder b, float value, int channels) {
    Tensor tensor = Tensor.zeros(DType.F32, channels);
    java.util.Arrays.fill(tensor.floats(), value);
    return b.constant("", Constant.of(tensor));
  }

  private static Value norm(GraphBuilder b, Value x, int channels) {
    return b.add(
        "BatchNormalization",
        x,
        same(b, 1, channels),
        same(b, 0, channels),
        same(b, 0, channels),
        same(b, 1, channels));
  }

  @ParameterizedTest
  @ValueSource(ints = {13, 18})
  void resultsHaveMeanZeroAndDeviationOne(int opset) {
    GraphBuilder b = new GraphBuilder(Map.of("", opset), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 1, 3, 6, 5));
    Value first = norm(b, x, 3);
    Value w = b.constant("w", Constant.of(normal(.5, 1, 4, 3, 1, 1)));
    Value second = norm(b, b.add("Relu", b.add("Conv", first, w)), 4);
    b.output(second);
    Graph model = b.build("g", Map.of());
    List<Map<String, Tensor>> samples = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      samples.add(Map.of("x", normal(300, 2, 1, 3, 6, 5)));
    }
    NormStatistics.Measured measured =
        NormStatistics.measure(compiler, model, samples, "interpreter", compile);
    assertEquals(2, measured.reports().size(), measured.reports().toString());
    Node norm = measured.graph().nodes().getFirst();
    assertEquals(
        300, measured.graph().constant(norm.input(3)).orElseThrow().load().getDouble(0), 1);
    double[] sum = new double[4];
    double[] squares = new double[4];
    for (Map<String, Tensor> sample : samples) {
      Tensor y =
          compiler
              .executable(measured.graph(), "interpreter", compile)
              .run(sample)
              .values()
              .iterator()
              .next();
      for (int i = 0; i < y.size(); i++) {
        sum[i / 30] += y.getDouble(i) / 600;
        squares[i / 30] += y.getDouble(i) * y.getDouble(i) / 600;
      }
    }
    for (int c = 0; c < 4; c++) {
      assertEquals(0, sum[c], 1e-3);
      assertEquals(1, squares[c], 1e-3);
    }
  }

  /** What is measured enters and leaves by names of its own, whatever the model's are. */
  @Test
  void namesOfTheModelAreNotTakenForStatistics() {
    String x = "x";
    for (int round = 0; round < 3; round++) {
      GraphBuilder b = new GraphBuilder(Map.of("", 18), 0);
      Value in = b.input(x, TensorType.of(DType.F32, 1, 3, 6, 5));
      Value normed = norm(b, in, 3);
      b.output(normed);
      Graph model = b.build("g", Map.of());
      Tensor sample = normal(5, 2, 1, 3, 6, 5);
      NormStatistics.Measured measured =
          NormStatistics.measure(
              compiler, model, List.of(Map.of(x, sample)), "interpreter", compile);
      Node norm = measured.graph().nodes().getFirst();
      assertEquals(
          5, measured.graph().constant(norm.input(3)).orElseThrow().load().getDouble(0), 1);
      // The names that the probe would take for its own, if the model did not have them.
      x = (round == 0 ? "_norm_mean_" : "__norm_variance_") + norm.id();
    }
  }

  /** A norm by a variance of nothing would blow up what little the channel does elsewhere. */
  @Test
  void channelsThatSamplesDoNotMoveKeepTheirs() {
    GraphBuilder b = new GraphBuilder(Map.of("", 18), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 1, 3, 6, 5));
    b.output(norm(b, x, 3));
    Graph model = b.build("g", Map.of());
    Tensor still = normal(5, 2, 1, 3, 6, 5);
    java.util.Arrays.fill(still.floats(), 30, 60, 7);
    NormStatistics.Measured measured =
        NormStatistics.measure(
            compiler, model, List.of(Map.of("x", still)), "interpreter", compile);
    Node norm = measured.graph().nodes().getFirst();
    Tensor mean = measured.graph().constant(norm.input(3)).orElseThrow().load();
    Tensor variance = measured.graph().constant(norm.input(4)).orElseThrow().load();
    assertEquals(0, mean.getDouble(1));
    assertEquals(1, variance.getDouble(1));
    assertEquals(5, mean.getDouble(0), 1);
    assertEquals(4, variance.getDouble(2), 2);
    String report = measured.reports().getFirst();
    assertTrue(report.contains("1 of 3 channels keep theirs"), report);
    TersorException none =
        assertThrows(
            TersorException.class,
            () -> NormStatistics.measure(compiler, model, List.of(), "interpreter", compile));
    assertEquals("TSR-0433", none.code());
  }

  @ParameterizedTest
  @ValueSource(ints = {17})
  void normsWhoseStatisticsAreComputedStay(int opset) {
    GraphBuilder b = new GraphBuilder(Map.of("", opset), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 1, 3, 6, 5));
    Value mean = b.input("mean", TensorType.of(DType.F32, 3));
    b.output(b.add("BatchNormalization", x, same(b, 1, 3), same(b, 0, 3), mean, same(b, 1, 3)));
    Graph model = b.build("g", Map.of());
    NormStatistics.Measured measured =
        NormStatistics.measure(compiler, model, List.of(), "interpreter", compile);
    assertTrue(measured.reports().getFirst().contains("keeps its statistics"));
    assertEquals(model.nodes(), measured.graph().nodes());
  }
}
