package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Kernels that are written in the loop IR against plain evaluation, on random operands. */
final class LoopKernelTest {

  static Stream<DType> comparable() {
    return Arrays.stream(DType.values()).filter(Types.NUMERIC_OR_BOOL::contains);
  }

  @ParameterizedTest
  @MethodSource("comparable")
  void sortsSlices(DType type) {
    for (int sorted = 0; sorted < 2; sorted++) {
      for (int axis = -1; axis < 3; axis++) {
        for (int size = 0; size < 4; size++) {
          Tensor x = few(type, size, new long[] {size + 1L, 2L * size, 2});
          OperatorTestKit kit =
              OperatorTestKit.node("unique_slices", 1)
                  .domain("org.tersor")
                  .input(x)
                  .attr("sorted", sorted)
                  .outputs(4);
          (axis < 0 ? kit : kit.attr("axis", axis)).check();
        }
      }
    }
  }

  /** Few different elements, among them the special ones. */
  private static Tensor few(DType type, long seed, long[] shape) {
    Tensor x = Tensor.zeros(type, shape);
    Random random = new Random(seed);
    double[] floats = {0, -0.0, 1, -1, Double.NaN, Double.POSITIVE_INFINITY};
    for (int i = 0; i < x.size(); i++) {
      if (type.isFloat()) {
        x.setDouble(i, floats[random.nextInt(floats.length)]);
      } else {
        x.setLong(i, type == DType.BOOL ? random.nextInt(2) : random.nextInt(3) - 1);
      }
    }
    return x;
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"I32", "I64"})
  void countsGrams(DType type) {
    Tensor table = Tensor.of(new long[] {0, 0, 4, 0, 2, 0, 1, 0, 2, 2, 1, 2}, 4, 3);
    for (int skips = 0; skips < 4; skips++) {
      for (long[] shape : new long[][] {{1}, {2}, {9}, {3, 7}, {0, 4}, {4, 0}, {2, 1}}) {
        OperatorTestKit.node("gram_counts", 1)
            .domain("org.tersor")
            .input(few(type, 5, shape))
            .constant(table)
            .attr("columns", 5)
            .attr("skips", skips)
            .check();
      }
    }
    OperatorTestKit.node("gram_counts", 1)
        .domain("org.tersor")
        .input(few(type, 5, new long[] {2, 3}))
        .constant(Tensor.zeros(DType.I64, 0, 2))
        .attr("columns", 2)
        .attr("skips", 0)
        .check();
  }

  @Test
  void selectsBoxes() {
    for (int seed = 0; seed < 12; seed++) {
      Tensor boxes = OperatorTestKit.random(DType.F32, seed, 2, 9, 4);
      Tensor scores = OperatorTestKit.random(DType.F32, seed + 100, 2, 3, 9);
      scores.setDouble(seed, seed % 2 == 0 ? Double.NaN : -0.0);
      scores.setDouble(seed + 5, 0);
      OperatorTestKit kit =
          OperatorTestKit.node("selected_boxes", 1)
              .domain("org.tersor")
              .input(boxes)
              .input(scores)
              .outputs(2)
              .attr("center_point_box", seed % 3 == 0 ? 1 : 0)
              .longs(seed % 4 == 0 ? Long.MAX_VALUE : seed - 1);
      if (seed > 2) {
        kit.constant(Tensor.of(new float[] {seed / 12f}, 1));
      }
      if (seed > 4) {
        kit.input(Tensor.of(new float[] {-.5f}));
      }
      kit.check();
    }
  }

  @Test
  void firstRows() {
    Tensor x = OperatorTestKit.random(DType.F8E5M2, 1, 3, 2);
    Tensor first =
        OperatorTestKit.node("take_first", 1)
            .domain("org.tersor")
            .input(x)
            .longs(2)
            .check()
            .getFirst();
    assertEquals(2, first.shape()[0]);
  }
}
