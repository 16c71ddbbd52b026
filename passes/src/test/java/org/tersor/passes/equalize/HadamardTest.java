package org.tersor.passes.equalize;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

class HadamardTest {
  /** H H^T = n I, in integers. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4, 8, 12, 20, 24, 28, 36, 44, 64, 76, 108, 172, 344, 352})
  void rowsAreOrthogonal(int n) {
    Hadamard h = Hadamard.of(n).orElseThrow();
    assertEquals(n, h.order());
    for (int a = 0; a < n; a++) {
      for (int b = 0; b <= a; b++) {
        int dot = 0;
        for (int i = 0; i < n; i++) {
          assertEquals(1, Math.abs(h.sign(a, i)));
          dot += h.sign(a, i) * h.sign(b, i);
        }
        assertEquals(a == b ? n : 0, dot, a + ", " + b);
      }
    }
  }

  @Test
  void ordersWithoutAMatrixAreTold() {
    for (int n : new int[] {0, -4, 3, 6, 10, 43, 92, 86}) {
      assertTrue(Hadamard.of(n).isEmpty(), n + "");
    }
  }

  /** The fast product is the plain one. */
  @ParameterizedTest
  @ValueSource(ints = {8, 12, 48, 172, 344})
  void appliesTheMatrix(int n) {
    Hadamard h = Hadamard.of(n).orElseThrow();
    double[] x = new Random(2).doubles(n).toArray();
    double[] expected = new double[n];
    for (int j = 0; j < n; j++) {
      for (int i = 0; i < n; i++) {
        expected[j] += x[i] * h.sign(i, j) / Math.sqrt(n);
      }
    }
    double[] got = x.clone();
    h.apply(got);
    assertArrayEquals(expected, got, 1e-12);
  }

  /** Evaluation against the kernels that the operator becomes, dense and in two factors. */
  @ParameterizedTest
  @ValueSource(ints = {4, 16, 64, 96, 172, 344})
  void theOperatorRunsOnABackend(int n) {
    GraphBuilder build = new GraphBuilder(Map.of("", 21, OpKey.TERSOR, 1), 0);
    Value x = build.input("x", TensorType.of(DType.F32, 2, 3, n));
    Value y = build.value("y", TensorType.of(DType.F32, 2, 3, n));
    build.addNode(OpKey.TERSOR, HadamardOperator.TYPE, Map.of(), List.of(x), List.of(y));
    build.output(y);
    Graph graph = build.build("h", Map.of());
    Tensor input = Tensor.zeros(DType.F32, 2, 3, n);
    Random random = new Random(n);
    for (int i = 0; i < input.size(); i++) {
      input.setDouble(i, random.nextGaussian());
    }
    Compiler compiler = Compiler.standard();
    float[][] results = new float[2][];
    for (int b = 0; b < 2; b++) {
      results[b] =
          compiler
              .executable(
                  graph, b == 0 ? "interpreter" : "loop-interpreter", CompileOptions.defaults())
              .run(Map.of("x", input))
              .values()
              .iterator()
              .next()
              .floats();
    }
    assertArrayEquals(results[0], results[1], 1e-5f);
  }
}
