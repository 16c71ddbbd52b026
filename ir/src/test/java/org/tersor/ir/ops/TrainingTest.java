package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.tersor.ir.ops.OperatorTestKit.node;
import static org.tersor.ir.ops.OperatorTestKit.random;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Optimizers by hand and as kernels; random numbers by their moments and as kernels. */
class TrainingTest {
  private static OperatorTestKit optimizer(String type) {
    return node(type, 1).domain("ai.onnx.preview.training").attr("norm_coefficient", 0.5f);
  }

  private static Tensor positive(long seed, long... shape) {
    Tensor x = random(DType.F32, seed, shape);
    for (int i = 0; i < x.size(); i++) {
      x.setDouble(i, Math.abs(x.getDouble(i)));
    }
    return x;
  }

  private static OperatorTestKit operands(OperatorTestKit kit, long steps, int states) {
    kit.input(Tensor.of(new float[] {0.1f})).input(Tensor.of(new long[] {steps}));
    for (int group = 0; group < 2 + states; group++) {
      kit.input(positive(group, 3, 2)).input(positive(10 + group, 5));
    }
    return kit.outputs(2 * (1 + states)).tolerance(1e-4);
  }

  @Test
  void kernelsAgree() {
    for (long steps : new long[] {0, 3}) {
      operands(optimizer("Adagrad"), steps, 1)
          .attr("decay_factor", 0.1f)
          .attr("epsilon", 0.01f)
          .check();
      operands(optimizer("Adam"), steps, 2)
          .attr("epsilon", 0.01f)
          .attr("norm_coefficient_post", 0.25f)
          .check();
      for (String mode : new String[] {"standard", "nesterov"}) {
        operands(optimizer("Momentum"), steps, 1)
            .attr("alpha", 0.9f)
            .attr("beta", 0.7f)
            .attr("mode", mode)
            .check();
      }
    }
  }

  @Test
  void momentumByHand() {
    Tensor one = Tensor.of(new float[] {1}, 1);
    List<Tensor> results =
        optimizer("Momentum")
            .input(Tensor.of(new float[] {0.5f}))
            .input(Tensor.of(new long[] {1}))
            .input(one)
            .input(Tensor.of(new float[] {2}, 1))
            .input(Tensor.of(new float[] {4}, 1))
            .attr("alpha", 0.5f)
            .attr("beta", 2f)
            .attr("mode", "nesterov")
            .outputs(2)
            .eval();
    // G = 2 + 0.5 * 1, V = 0.5 * 4 + 2 * G, X = 1 - 0.5 * (G + 0.5 * V)
    assertEquals(7, results.get(1).getDouble(0));
    assertEquals(-2, results.get(0).getDouble(0));
  }

  @Test
  void refusesIncompleteGroups() {
    OperatorTestKit kit =
        optimizer("Adagrad")
            .input(Tensor.of(new float[] {1}))
            .input(Tensor.of(new long[] {1}))
            .input(positive(1, 2))
            .input(positive(2, 2));
    assertEquals("TSR-0301", assertThrows(TersorException.class, kit::infer).code());
  }

  private static double[] moments(Tensor x) {
    double mean = 0;
    double square = 0;
    for (int i = 0; i < x.size(); i++) {
      mean += x.getDouble(i) / x.size();
      square += x.getDouble(i) * x.getDouble(i) / x.size();
    }
    return new double[] {mean, Math.sqrt(square - mean * mean)};
  }

  @Test
  void noise() {
    for (int type : new int[] {1, 10, 11}) {
      node("RandomUniform", 22)
          .attr("shape", new long[] {3, 7})
          .attr("dtype", type)
          .attr("low", -1f)
          .attr("high", 3f)
          .attr("seed", 5f)
          .check();
      node("RandomNormalLike", 22)
          .input(random(DType.I32, 1, 4, 5))
          .attr("dtype", type)
          .attr("mean", 10f)
          .attr("scale", 2f)
          .check();
    }
    OperatorTestKit uniform =
        node("RandomUniform", 1).attr("shape", new long[] {20_000}).attr("seed", 1f);
    double[] m = moments(uniform.eval().getFirst());
    assertEquals(0.5, m[0], 0.01);
    assertEquals(1 / Math.sqrt(12), m[1], 0.01);
    OperatorTestKit normal =
        node("RandomNormal", 1).attr("shape", new long[] {20_000}).attr("seed", 1f);
    double[] n = moments(normal.eval().getFirst());
    assertEquals(0, n[0], 0.02);
    assertEquals(1, n[1], 0.02);
    OperatorTestKit huge =
        node("RandomUniform", 1).attr("shape", new long[] {1 << 20, 1 << 20, 1 << 20});
    assertEquals("TSR-0303", assertThrows(TersorException.class, huge::infer).code());
  }

  @Test
  void bernoulliAndMultinomial() {
    Tensor p = Tensor.zeros(DType.F32, 10_000);
    for (int i = 0; i < p.size(); i++) {
      p.setDouble(i, 0.25);
    }
    OperatorTestKit bernoulli = node("Bernoulli", 22).fixed(p).attr("dtype", 9).attr("seed", 3f);
    assertEquals(0.25, moments(bernoulli.eval().getFirst())[0], 0.02);
    node("Bernoulli", 15).input(positive(1, 6, 5)).check();
    node("Bernoulli", 15).input(positive(1, 6, 5)).attr("dtype", 6).check();
    Tensor logs = Tensor.of(new float[] {0, (float) Math.log(3), -100}, 1, 3);
    OperatorTestKit draws =
        node("Multinomial", 7).fixed(logs).attr("sample_size", 10_000).attr("seed", 2f);
    double[] m = moments(draws.eval().getFirst());
    assertEquals(0.75, m[0], 0.02);
    assertTrue(m[1] < 0.45, "class 2 is never drawn");
    node("Multinomial", 22).input(random(DType.F32, 3, 2, 5)).attr("sample_size", 7).check();
  }

  @Test
  void dropout() {
    for (DType dtype : new DType[] {DType.F32, DType.F16, DType.F64}) {
      for (boolean training : new boolean[] {false, true}) {
        Tensor mode = Tensor.zeros(DType.BOOL);
        mode.setLong(0, training ? 1 : 0);
        node("Dropout", 13)
            .fixed(random(dtype, 1, 3, 5))
            .input(Tensor.of(new float[] {0.3f}))
            .input(mode)
            .attr("seed", 7)
            .outputs(2)
            .check();
        node("Dropout", 22).fixed(random(dtype, 1, 15)).absent().input(mode).check();
      }
    }
    node("Dropout", 10).input(random(DType.F32, 1, 3, 5)).outputs(2).check();
    // The first numbers of seed 0 are 0.5488135, 0.71518937, 0.60276338, 0.54488318, 0.4236548.
    Tensor yes = Tensor.zeros(DType.BOOL);
    yes.setLong(0, 1);
    Tensor kept =
        node("Dropout", 22)
            .fixed(Tensor.of(new float[] {1, 2, 3, 4, 5}, 5))
            .input(Tensor.of(new float[] {0.6f}))
            .input(yes)
            .attr("seed", 0)
            .check()
            .getFirst();
    assertEquals(0, kept.getDouble(0));
    assertEquals(5, kept.getDouble(1), 1e-5);
    assertEquals(7.5, kept.getDouble(2), 1e-5);
    assertEquals(0, kept.getDouble(3));
  }
}
