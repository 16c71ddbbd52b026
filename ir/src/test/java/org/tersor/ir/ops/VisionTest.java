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

  @Test
  void affineGrid() {
    for (int corners = 0; corners < 2; corners++) {
      node("AffineGrid", 20)
          .input(random(DType.F32, 1, 2, 2, 3))
          .longs(2, 3, 4, 5)
          .attr("align_corners", corners)
          .check();
      node("AffineGrid", 20)
          .input(random(DType.F64, 1, 2, 3, 4))
          .longs(2, 3, 1, 5, 2)
          .attr("align_corners", corners)
          .check();
    }
    Tensor grid =
        node("AffineGrid", 20)
            .input(Tensor.of(new float[] {1, 0, 10, 0, 1, 20}, 1, 2, 3))
            .longs(1, 1, 2, 2)
            .check()
            .getFirst();
    assertArrayEquals(
        new float[] {9.5f, 19.5f, 10.5f, 19.5f, 9.5f, 20.5f, 10.5f, 20.5f}, grid.floats());
    // The function body divides by 0 where one element is both corners, except along the depth.
    Tensor corners =
        node("AffineGrid", 20)
            .input(Tensor.of(new float[] {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}, 1, 3, 4))
            .longs(1, 1, 1, 2, 1)
            .attr("align_corners", 1)
            .check()
            .getFirst();
    float nan = Float.NaN;
    assertArrayEquals(new float[] {nan, nan, nan, nan, nan, nan}, corners.floats());
    Tensor flat =
        node("AffineGrid", 20)
            .input(Tensor.of(new float[] {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}, 1, 3, 4))
            .longs(1, 1, 1, 2, 2)
            .attr("align_corners", 1)
            .check()
            .getFirst();
    assertArrayEquals(new float[] {-1, -1, -1, 1, -1, -1, -1, 1, -1, 1, 1, -1}, flat.floats());
    Tensor theta = random(DType.F32, 1, 2, 2, 3);
    assertEquals("TSR-0303", code(node("AffineGrid", 20).input(theta).longs(2, 3, 4)));
    assertEquals("TSR-0303", code(node("AffineGrid", 20).input(theta).longs(2, 3, -4, 5)));
  }

  @Test
  void centerCropPad() {
    for (DType dtype : new DType[] {DType.F32, DType.BOOL, DType.I4}) {
      Tensor x = random(dtype, 2, 5, 4, 3);
      node("CenterCropPad", 18).input(x).longs(2, 7, 3).check();
      node("CenterCropPad", 18).input(x).longs(6, 0).attr("axes", new long[] {-1, 0}).check();
    }
    Tensor line = Tensor.of(new float[] {1, 2, 3, 4, 5}, 5);
    assertArrayEquals(
        new float[] {2, 3},
        node("CenterCropPad", 18).input(line).longs(2).check().getFirst().floats());
    assertArrayEquals(
        new float[] {0, 1, 2, 3, 4, 5, 0, 0},
        node("CenterCropPad", 18).input(line).longs(8).check().getFirst().floats());
    assertEquals("TSR-0303", code(node("CenterCropPad", 18).input(line).longs(-1)));
    assertEquals("TSR-0303", code(node("CenterCropPad", 18).input(line).longs(1, 2)));
  }

  @Test
  void col2Im() {
    node("Col2Im", 18).input(random(DType.F32, 1, 2, 3 * 6, 4 * 3)).longs(5, 5).longs(2, 3).check();
    node("Col2Im", 18)
        .input(random(DType.I32, 1, 1, 2 * 4, 3 * 2))
        .longs(5, 6)
        .longs(2, 2)
        .attr("strides", new long[] {2, 3})
        .attr("dilations", new long[] {1, 2})
        .attr("pads", new long[] {0, 1, 1, 0})
        .check();
    Tensor ones = Tensor.of(new float[] {1, 1, 1, 1}, 1, 2, 2);
    assertArrayEquals(
        new float[] {1, 2, 1},
        node("Col2Im", 18).input(ones).longs(3).longs(2).check().getFirst().floats());
    assertEquals("TSR-0303", code(node("Col2Im", 18).input(ones).longs(4).longs(2)));
    assertEquals("TSR-0303", code(node("Col2Im", 18).input(ones).longs(3).longs(0)));
  }

  @Test
  void maxUnpool() {
    Tensor x = Tensor.of(new float[] {5, 6, 7, 8}, 1, 1, 2, 2);
    Tensor at = Tensor.of(new long[] {5, 7, 13, 15}, 1, 1, 2, 2);
    long[] two = {2, 2};
    Tensor y =
        node("MaxUnpool", 11)
            .input(x)
            .input(at)
            .attr("kernel_shape", two)
            .attr("strides", two)
            .check()
            .getFirst();
    assertEquals(6, y.getDouble(7));
    Tensor wide =
        node("MaxUnpool", 11)
            .input(x)
            .input(at)
            .longs(1, 1, 5, 3)
            .attr("kernel_shape", two)
            .attr("strides", two)
            .check()
            .getFirst();
    assertEquals(5, wide.getDouble(4));
    assertEquals(7, wide.getDouble(10));
    OperatorTestKit beyond =
        node("MaxUnpool", 11)
            .input(x)
            .input(Tensor.of(new long[] {0, 1, 2, 16}, 1, 1, 2, 2))
            .attr("kernel_shape", two)
            .attr("strides", two);
    assertEquals("TSR-0705", assertThrows(TersorException.class, beyond::eval).code());
  }

  private static Tensor regions(int numbers, int first) {
    Tensor rois = random(DType.F32, 8, 3, numbers);
    for (int i = 0; i < 3; i++) {
      if (first > 0) {
        rois.setDouble(i * numbers, i % 2);
      }
      for (int d = 0; d < 2; d++) {
        int at = i * numbers + first + d;
        rois.setDouble(at + 2, rois.getDouble(at) + 2 + Math.abs(rois.getDouble(at + 2)) * 3);
      }
    }
    // One region is far outside, one is huge.
    rois.setDouble(2 * numbers + first, -1000);
    rois.setDouble(2 * numbers + first + 2, 1000);
    return rois;
  }

  @TestFactory
  Stream<DynamicTest> roiAlign() {
    return Stream.of("avg", "max")
        .flatMap(mode ->
            Stream.of("half_pixel", "output_half_pixel")
                .map(how ->
                    DynamicTest.dynamicTest(
                        mode + " " + how,
                        () -> {
                          for (int ratio = 0; ratio < 3; ratio += 2) {
                            node("RoiAlign", 16)
                                .fixed(random(DType.F64, 7, 2, 1, 3, 4))
                                .fixed(f64(regions(4, 0)))
                                .fixed(Tensor.of(new long[] {1, 0, 1}, 3))
                                .attr("mode", mode)
                                .attr("coordinate_transformation_mode", how)
                                .attr("output_width", 2)
                                .attr("sampling_ratio", ratio)
                                .attr("spatial_scale", 0.75f)
                                .check();
                          }
                        })));
  }

  @Test
  void roiAlignTakesTheMeanOfSamples() {
    Tensor x = Tensor.of(new float[] {0, 1, 2, 3, 4, 5, 6, 7, 8}, 1, 1, 3, 3);
    Tensor y =
        node("RoiAlign", 16)
            .input(x)
            .input(Tensor.of(new float[] {0.5f, 0.5f, 2.5f, 2.5f}, 1, 4))
            .input(Tensor.of(new long[] {0}, 1))
            .attr("sampling_ratio", 2)
            .check()
            .getFirst();
    assertEquals(4, y.getDouble(0), 1e-6);
    assertEquals(
        "TSR-0304",
        code(
            node("RoiAlign", 16)
                .input(x)
                .input(random(DType.F32, 1, 1, 4))
                .input(Tensor.of(new long[] {0}, 1))
                .attr("sampling_ratio", 1L << 40)));
  }

  @Test
  void maxRoiPool() {
    node("MaxRoiPool", 1)
        .input(random(DType.F32, 7, 2, 1, 4, 5))
        .input(regions(5, 1))
        .attr("pooled_shape", new long[] {2, 3})
        .attr("spatial_scale", 0.75f)
        .check();
    Tensor x = Tensor.of(new float[] {0, 1, 2, 3, 4, 5, 6, 7, 8}, 1, 1, 3, 3);
    Tensor y =
        node("MaxRoiPool", 22)
            .input(x)
            .input(Tensor.of(new float[] {0, 0, 0, 1, 2}, 1, 5))
            .attr("pooled_shape", new long[] {1, 2})
            .check()
            .getFirst();
    assertArrayEquals(new float[] {6, 7}, y.floats());
  }

  @Test
  void deformConv() {
    for (int parts = 1; parts < 3; parts++) {
      for (int groups = 1; groups < 3; groups++) {
        node("DeformConv", 22)
            .fixed(random(DType.F32, 1, 2, 4, 4, 5))
            .fixed(random(DType.F32, 2, 6, 4 / groups, 2, 3))
            .fixed(random(DType.F32, 3, 2, 12L * parts, 3, 2))
            .fixed(random(DType.F32, 4, 6))
            .fixed(random(DType.F32, 5, 2, 6L * parts, 3, 2))
            .attr("group", groups)
            .attr("offset_group", parts)
            .attr("strides", new long[] {1, 2})
            .attr("pads", new long[] {0, 1, 0, 0})
            .check();
      }
    }
    Tensor moved =
        node("DeformConv", 19)
            .input(Tensor.of(new float[] {1, 3, 9}, 1, 1, 3))
            .input(Tensor.of(new float[] {2}, 1, 1, 1))
            .input(Tensor.of(new float[] {0.5f, 1, 0.5f}, 1, 1, 3))
            .check()
            .getFirst();
    assertArrayEquals(new float[] {4, 18, 9}, moved.floats());
    assertEquals(
        "TSR-0303",
        code(
            node("DeformConv", 19)
                .input(random(DType.F32, 1, 1, 1, 3))
                .input(random(DType.F32, 1, 1, 1, 1))
                .input(random(DType.F32, 1, 1, 2, 3))));
  }

  @Test
  void det() {
    for (int m = 0; m < 6; m++) {
      node("Det", 11).fixed(random(DType.F64, m, 3, m, m)).tolerance(1e-9).check();
    }
    Tensor swapped =
        node("Det", 22).fixed(Tensor.of(new float[] {0, 2, 3, 4}, 2, 2)).check().getFirst();
    assertEquals(-6, swapped.getDouble(0), 1e-6);
    assertEquals(
        0,
        node("Det", 22)
            .fixed(Tensor.of(new float[] {1, 2, 2, 4}, 2, 2))
            .check()
            .getFirst()
            .getDouble(0),
        0);
    assertEquals("TSR-0303", code(node("Det", 11).input(random(DType.F32, 1, 2, 3))));
  }

  private static Tensor f64(Tensor x) {
    Tensor wide = Tensor.zeros(DType.F64, x.shape());
    for (int i = 0; i < x.size(); i++) {
      wide.setDouble(i, x.getDouble(i));
    }
    return wide;
  }
}
