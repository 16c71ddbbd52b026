package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
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

/** Operators on images: hand-computed cases, kernels against evaluation, refusals. */
class VisionTest {
  private static String code(OperatorTestKit kit) {
    return assertThrows(TersorException.class, kit::infer).code();
  }

  @TestFactory
  Stream<DynamicTest> gridSample() {
    return Stream.of("nearest", "linear", "cubic")
        .flatMap(mode ->
            Stream.of("zeros", "border", "reflection")
                .map(padding ->
                    DynamicTest.dynamicTest(mode + " " + padding, () -> grid(mode, padding))));
  }

  private static void grid(String mode, String padding) {
    for (int corners = 0; corners < 2; corners++) {
      for (int k = 1; k < 4; k++) {
        long[] x = {2, 3, 4, 5, 3};
        long[] g = {2, 2, 3, 2, 2};
        g[k + 1] = k;
        node("GridSample", 22)
            .fixed(random(DType.F32, 5, java.util.Arrays.copyOf(x, k + 2)))
            .input(random(DType.F32, 6, java.util.Arrays.copyOf(g, k + 2)))
            .attr("mode", mode)
            .attr("padding_mode", padding)
            .attr("align_corners", corners)
            .tolerance(1e-4)
            .check();
      }
    }
  }

  @Test
  void gridSampleReadsTheLastDimensionFirst() {
    Tensor x = Tensor.of(new float[] {0, 1, 2, 3, 4, 5}, 1, 1, 2, 3);
    Tensor y =
        node("GridSample", 16)
            .input(x)
            .input(Tensor.of(new float[] {1, -1, 0, 0.5f}, 1, 1, 2, 2))
            .attr("align_corners", 1)
            .check()
            .getFirst();
    assertArrayEquals(new float[] {2, 1 + 3 * 0.75f}, y.floats(), 1e-6f);
    assertEquals(
        "TSR-0303", code(node("GridSample", 16).input(x).input(random(DType.F32, 1, 1, 2, 2, 3))));
  }
}
