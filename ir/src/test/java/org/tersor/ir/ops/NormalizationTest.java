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

/**
 * Softmax, normalizations, resizing: evaluation by hand-computed cases, kernels against evaluation.
 */
class NormalizationTest {
  private static Tensor f32(long seed, long... shape) {
    return random(DType.F32, seed, shape);
  }

  private static Tensor positive(long seed, long... shape) {
    Tensor tensor = f32(seed, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setDouble(i, Math.abs(tensor.getDouble(i)) + 0.1);
    }
    return tensor;
  }

  @TestFactory
  Stream<DynamicTest> softmax() {
    return Stream.of("Softmax", "LogSoftmax", "Hardmax")
        .flatMap(type ->
            Stream.of(DType.F32, DType.F16, DType.F64)
                .map(dtype ->
                    DynamicTest.dynamicTest(
                        type + " " + dtype.text(),
                        () -> {
                          for (int version : new int[] {1, 11, 13}) {
                            for (int axis = -1; axis < 3; axis++) {
                              if (axis >= 0 || version >= 11) {
                                node(type, version)
                                    .input(random(dtype, 3, 2, 3, 4))
                                    .attr("axis", axis)
                                    .check();
                              }
                            }
                            node(type, version).input(random(dtype, 3, 2, 3)).check();
                          }
                        })));
  }

  @Test
  void axesBefore13AreTakenTogether() {
    Tensor x = Tensor.zeros(DType.F32, 2, 3, 4);
    assertEquals(1f / 12, node("Softmax", 11).input(x).check().getFirst().floats()[0], 1e-7f);
    assertEquals(1f / 4, node("Softmax", 13).input(x).check().getFirst().floats()[0], 1e-7f);
  }

  @Test
  void batchNormalization() {
    for (int version : new int[] {6, 7, 9, 14, 15}) {
      node("BatchNormalization", version)
          .input(f32(1, 2, 3, 4, 5))
          .fixed(f32(2, 3))
          .fixed(f32(3, 3))
          .fixed(f32(4, 3))
          .fixed(positive(5, 3))
          .check();
    }
    node("BatchNormalization", 15)
        .input(f32(1, 2, 3, 4))
        .fixed(f32(2, 3))
        .fixed(f32(3, 3))
        .fixed(f32(4, 3))
        .fixed(positive(5, 3))
        .attr("training_mode", 1)
        .outputs(3)
        .check();
    TersorException refused =
        assertThrows(
            TersorException.class,
            () ->
                node("BatchNormalization", 9)
                    .input(f32(1, 2, 3))
                    .input(f32(2, 3))
                    .input(f32(3, 3))
                    .input(f32(4, 3))
                    .input(positive(5, 3))
                    .outputs(3)
                    .infer());
    assertEquals("TSR-0202", refused.code());
  }

  @Test
  void layerNormalization() {
    Tensor y =
        node("LayerNormalization", 17)
            .input(Tensor.of(new float[] {1, 3, -1, 1}, 2, 2))
            .input(Tensor.of(new float[] {1, 2}, 2))
            .attr("epsilon", 0f)
            .check()
            .getFirst();
    assertArrayEquals(new float[] {-1, 2, -1, 2}, y.floats(), 1e-6f);
    for (int axis = -2; axis < 3; axis++) {
      int first = axis < 0 ? axis + 3 : axis;
      long[] shape = java.util.Arrays.copyOfRange(new long[] {2, 3, 4}, first, 3);
      node("LayerNormalization", 17)
          .input(f32(1, 2, 3, 4))
          .input(f32(2, shape))
          .input(f32(3, shape))
          .attr("axis", axis)
          .outputs(3)
          .check();
      node("RMSNormalization", 23)
          .input(f32(1, 2, 3, 4))
          .input(f32(2, shape))
          .attr("axis", axis)
          .check();
    }
    node("SkipLayerNormalization", 1)
        .domain("com.microsoft")
        .input(f32(1, 2, 3, 4))
        .input(f32(2, 2, 3, 4))
        .input(f32(3, 4))
        .input(f32(4, 4))
        .input(f32(5, 4))
        .outputs(4)
        .check();
  }

  @Test
  void channelNormalizations() {
    node("InstanceNormalization", 6)
        .input(f32(1, 2, 3, 4, 5))
        .fixed(f32(2, 3))
        .fixed(f32(3, 3))
        .check();
    node("GroupNormalization", 18)
        .input(f32(1, 2, 6, 4))
        .fixed(f32(2, 3))
        .fixed(f32(3, 3))
        .attr("num_groups", 3)
        .check();
    node("GroupNormalization", 21)
        .fixed(f32(1, 2, 6, 4))
        .fixed(f32(2, 6))
        .fixed(f32(3, 6))
        .attr("num_groups", 3)
        .check();
    // By default the first stage is float32, in which 2^40 + 1 is 2^40.
    Tensor wide = Tensor.of(new double[] {0x1p40, 0x1p40 + 1}, 1, 1, 2);
    OperatorTestKit stashed =
        node("GroupNormalization", 21)
            .fixed(wide)
            .fixed(Tensor.of(new double[] {1}, 1))
            .fixed(Tensor.of(new double[] {0}, 1))
            .attr("epsilon", 0.25f)
            .attr("num_groups", 1);
    assertArrayEquals(new double[] {0, 0}, stashed.check().getFirst().doubles());
    double half = Math.sqrt(.5);
    assertArrayEquals(
        new double[] {-half, half},
        stashed.attr("stash_type", 11).check().getFirst().doubles(),
        1e-12);
    node("LRN", 13).input(f32(1, 2, 7, 3, 2)).attr("size", 4).check();
    for (int p = 1; p <= 2; p++) {
      for (int axis = -1; axis < 2; axis++) {
        node("LpNormalization", 22).input(f32(1, 3, 4)).attr("p", p).attr("axis", axis).check();
      }
    }
    node("MeanVarianceNormalization", 13).input(f32(1, 2, 3, 4, 5)).check();
    node("MeanVarianceNormalization", 13)
        .input(f32(1, 2, 3, 4))
        .attr("axes", new long[] {-1})
        .check();
  }

  @Test
  void gelu() {
    for (String type : new String[] {"Gelu", "QuickGelu", "BiasGelu", "FastGelu"}) {
      OperatorTestKit kit = node(type, 1).domain("com.microsoft").input(f32(1, 3, 5));
      if (type.equals("BiasGelu") || type.equals("FastGelu")) {
        kit.input(f32(2, 5));
      }
      kit.check();
    }
  }

  @Test
  void repeats() {
    Tensor x = Tensor.of(new float[] {1, 2, 3, 4}, 1, 1, 2, 2);
    Tensor scales = Tensor.of(new float[] {1, 1, 2, 3}, 4);
    float[] expected = {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4};
    assertArrayEquals(
        expected, node("Upsample", 9).input(x).constant(scales).check().getFirst().floats());
    assertArrayEquals(
        expected, node("Resize", 10).input(x).constant(scales).check().getFirst().floats());
    Tensor eleven =
        node("Resize", 11)
            .input(x)
            .absent()
            .constant(scales)
            .attr("coordinate_transformation_mode", "asymmetric")
            .attr("nearest_mode", "floor")
            .check()
            .getFirst();
    assertArrayEquals(expected, eleven.floats());
  }

  @TestFactory
  Stream<DynamicTest> resizes() {
    return Stream.of(
            "half_pixel",
            "half_pixel_symmetric",
            "pytorch_half_pixel",
            "align_corners",
            "asymmetric",
            "tf_half_pixel_for_nn")
        .flatMap(coordinates ->
            Stream.of("nearest", "linear", "cubic")
                .map(mode ->
                    DynamicTest.dynamicTest(
                        mode + " " + coordinates,
                        () -> {
                          resize(mode, coordinates).longs(1, 2, 7, 9).check();
                          resize(mode, coordinates).longs(1, 2, 3, 1).check();
                          resize(mode, coordinates)
                              .longs(1, 2, 7, 9)
                              .attr("exclude_outside", 1)
                              .check();
                          resize(mode, coordinates).longs(1, 2, 3, 3).attr("antialias", 1).check();
                          resize(mode, coordinates)
                              .longs(1, 2, 9, 3)
                              .attr("keep_aspect_ratio_policy", "not_larger")
                              .check();
                        })));
  }

  private static OperatorTestKit resize(String mode, String coordinates) {
    return node("Resize", 19)
        .fixed(f32(7, 1, 2, 5, 6))
        .absent()
        .absent()
        .attr("mode", mode)
        .attr("coordinate_transformation_mode", coordinates)
        .tolerance(1e-4);
  }

  @Test
  void crops() {
    node("Resize", 13)
        .fixed(f32(7, 1, 2, 5, 6))
        .constant(Tensor.of(new float[] {0, 0, 0.2f, 0.4f, 1, 1, 1.2f, 0.6f}, 8))
        .absent()
        .longs(1, 2, 4, 4)
        .attr("mode", "linear")
        .attr("coordinate_transformation_mode", "tf_crop_and_resize")
        .attr("extrapolation_value", 10f)
        .check();
  }

  @Test
  void scalesOfSymbolicDimensions() {
    for (String mode : new String[] {"nearest", "linear"}) {
      node("Resize", 13)
          .input(f32(7, 1, 2, 5, 6))
          .absent()
          .constant(Tensor.of(new float[] {1, 1, 2, 0.5f}, 4))
          .attr("mode", mode)
          .check();
    }
  }
}
