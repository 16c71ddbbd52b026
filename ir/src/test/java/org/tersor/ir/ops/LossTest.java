package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.tersor.ir.ops.OperatorTestKit.node;
import static org.tersor.ir.ops.OperatorTestKit.random;

import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Losses: a hand-computed case, kernels against evaluation, refusals. */
class LossTest {
  private static Tensor labels(int classes, long ignored, long... shape) {
    Tensor labels = random(DType.I64, 9, shape);
    for (int i = 0; i < labels.size(); i++) {
      labels.setLong(i, i % 4 == 3 ? ignored : Math.floorMod(labels.getLong(i), classes));
    }
    return labels;
  }

  @TestFactory
  Stream<DynamicTest> kernelsAgree() {
    return Stream.of("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
        .flatMap(type ->
            Stream.of("none", "sum", "mean")
                .map(reduction ->
                    DynamicTest.dynamicTest(type + " " + reduction, () -> check(type, reduction))));
  }

  private static void check(String type, String reduction) {
    for (DType dtype : new DType[] {DType.F32, DType.F64, DType.F16}) {
      for (long ignored : new long[] {1, -1, 100}) {
        for (boolean weighted : new boolean[] {false, true}) {
          OperatorTestKit kit =
              node(type, 13)
                  .input(random(dtype, 3, 3, 5, 2))
                  .input(labels(5, ignored, 3, 2))
                  .attr("reduction", reduction)
                  .attr("ignore_index", ignored)
                  .outputs(type.startsWith("Softmax") ? 2 : 1);
          if (weighted) {
            Tensor weight = random(dtype, 4, 5);
            for (int i = 0; i < 5; i++) {
              weight.setDouble(i, i + 1);
            }
            kit.input(weight);
          }
          kit.check();
        }
      }
    }
  }

  @Test
  void meanDividesByTheWeightsThatWereApplied() {
    Tensor x = Tensor.of(new float[] {-1, -2, -3, -4, -5, -6}, 3, 2);
    Tensor result =
        node("NegativeLogLikelihoodLoss", 22)
            .input(x)
            .input(Tensor.of(new long[] {0, 1, 7}, 3))
            .input(Tensor.of(new float[] {2, 6}, 2))
            .attr("ignore_index", 7)
            .check()
            .getFirst();
    assertEquals((2 * 1 + 6 * 4) / 8.0, result.getDouble(0), 1e-6);
  }

  @Test
  void refusesWhatContradicts() {
    Tensor x = random(DType.F32, 1, 2, 3);
    TersorException outside =
        assertThrows(
            TersorException.class,
            () ->
                node("NegativeLogLikelihoodLoss", 13)
                    .input(x)
                    .input(Tensor.of(new long[] {0, 3}, 2))
                    .eval());
    assertEquals("TSR-0705", outside.code());
    TersorException shape =
        assertThrows(
            TersorException.class,
            () ->
                node("SoftmaxCrossEntropyLoss", 13)
                    .input(x)
                    .input(Tensor.of(new long[] {0, 1, 2}, 3))
                    .infer());
    assertEquals("TSR-0303", shape.code());
    TersorException reduction =
        assertThrows(
            TersorException.class,
            () ->
                node("SoftmaxCrossEntropyLoss", 13)
                    .input(x)
                    .input(Tensor.of(new long[] {0, 1}, 2))
                    .attr("reduction", "max")
                    .infer());
    assertEquals("TSR-0304", reduction.code());
  }
}
