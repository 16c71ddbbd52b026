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
 * Convolutions, pools and matrix products: evaluation by hand-computed cases, kernels against
 * evaluation.
 */
class ConvolutionTest {
  private static Tensor f32(long seed, long... shape) {
    return random(DType.F32, seed, shape);
  }

  private static Tensor range(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setDouble(i, i);
    }
    return tensor;
  }

  private static Tensor ones(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    java.util.Arrays.fill(tensor.floats(), 1);
    return tensor;
  }

  @Test
  void sumsOfWindows() {
    Tensor y = node("Conv", 11).input(range(1, 1, 3, 3)).input(ones(1, 1, 2, 2)).check().getFirst();
    assertArrayEquals(new float[] {8, 12, 20, 24}, y.floats());
    Tensor padded =
        node("Conv", 22)
            .input(range(1, 1, 2, 2))
            .input(ones(1, 1, 3, 3))
            .attr("pads", new long[] {1, 1, 1, 1})
            .check()
            .getFirst();
    assertArrayEquals(new float[] {6, 6, 6, 6}, padded.floats());
  }

  @TestFactory
  Stream<DynamicTest> convolutions() {
    return Stream.of(
        conv("bias", 3, 4, 1, 3, k -> k.attr("pads", new long[] {1, 1, 1, 1})),
        conv("pointwise", 5, 7, 1, 1, k -> k),
        conv(
            "stride",
            2,
            3,
            1,
            3,
            k -> k.attr("strides", new long[] {2, 1}).attr("pads", new long[] {0, 1, 2, 0})),
        conv("depthwise", 6, 6, 6, 3, k -> k.attr("pads", new long[] {1, 1, 1, 1})),
        conv("depthwise with multiplier", 3, 6, 3, 2, k -> k),
        conv("groups", 4, 6, 2, 3, k -> k.attr("dilations", new long[] {2, 2})),
        conv(
            "same upper",
            2,
            3,
            1,
            4,
            k -> k.attr("auto_pad", "SAME_UPPER").attr("strides", new long[] {2, 2})),
        conv("same lower", 2, 3, 1, 4, k -> k.attr("auto_pad", "SAME_LOWER")),
        conv(
            "valid",
            2,
            3,
            1,
            3,
            k -> k.attr("auto_pad", "VALID").attr("strides", new long[] {3, 2})));
  }

  private static DynamicTest conv(
      String name,
      int in,
      int out,
      int groups,
      int kernel,
      java.util.function.UnaryOperator<OperatorTestKit> attributes) {
    return DynamicTest.dynamicTest(
        name,
        () -> {
          for (DType type : new DType[] {DType.F32, DType.F16, DType.F64}) {
            OperatorTestKit kit =
                node("Conv", 11)
                    .input(random(type, 1, 2, in, 9, 8))
                    .fixed(random(type, 2, out, in / groups, kernel, kernel))
                    .fixed(random(type, 3, out));
            attributes.apply(kit.attr("group", groups).tolerance(1e-4)).check();
          }
        });
  }

  @Test
  void otherRanks() {
    node("Conv", 11)
        .input(f32(1, 2, 3, 11))
        .input(f32(2, 4, 3, 3))
        .attr("dilations", new long[] {2})
        .check();
    node("Conv", 11).input(f32(1, 1, 2, 4, 5, 6)).input(f32(2, 3, 2, 2, 2, 2)).check();
  }

  @Test
  void fusedConvolution() {
    Tensor y =
        node("FusedConv", 1)
            .domain("com.microsoft")
            .input(f32(1, 1, 2, 5, 5))
            .input(f32(2, 3, 2, 3, 3))
            .input(f32(3, 3))
            .input(f32(4, 1, 3, 3, 3))
            .attr("activation", "Relu")
            .check()
            .getFirst();
    for (float value : y.floats()) {
      assertEquals(Math.max(value, 0), value);
    }
  }

  @Test
  void transposed() {
    Tensor y =
        node("ConvTranspose", 11)
            .input(range(1, 1, 2, 2))
            .input(ones(1, 1, 2, 2))
            .check()
            .getFirst();
    assertArrayEquals(new float[] {0, 1, 1, 2, 6, 4, 2, 5, 3}, y.floats());
    node("ConvTranspose", 11)
        .input(f32(1, 2, 4, 5, 4))
        .fixed(f32(2, 4, 3, 3, 2))
        .fixed(f32(3, 6))
        .attr("group", 2)
        .attr("strides", new long[] {2, 3})
        .attr("pads", new long[] {1, 0, 0, 1})
        .attr("output_padding", new long[] {1, 0})
        .check();
    node("ConvTranspose", 22)
        .fixed(f32(1, 1, 2, 3, 3))
        .fixed(f32(2, 2, 2, 3, 3))
        .attr("strides", new long[] {2, 2})
        .attr("auto_pad", "SAME_UPPER")
        .check();
  }

  @Test
  void contradictionsAreDiagnosed() {
    TersorException channels =
        assertThrows(
            TersorException.class,
            () -> node("Conv", 11).input(f32(1, 1, 3, 5, 5)).input(f32(2, 4, 2, 3, 3)).infer());
    assertEquals("TSR-0303", channels.code());
    TersorException strides =
        assertThrows(
            TersorException.class,
            () ->
                node("Conv", 11)
                    .input(f32(1, 1, 2, 5, 5))
                    .input(f32(2, 4, 2, 3, 3))
                    .attr("strides", new long[] {0, 1})
                    .infer());
    assertEquals("TSR-0304", strides.code());
    assertThrows(
        TersorException.class,
        () -> node("MatMul", 13).input(f32(1, 2, 3)).input(f32(1, 4, 2)).infer());
    assertThrows(
        TersorException.class,
        () ->
            node("MaxPool", 12)
                .input(f32(1, 1, 1, 2, 2))
                .attr("kernel_shape", new long[] {5, 5})
                .infer());
  }

  @Test
  void maximumAndItsPlace() {
    Tensor x = Tensor.of(new float[] {1, 5, 2, 5, 0, 3, 4, 4, 9}, 1, 1, 3, 3);
    var results =
        node("MaxPool", 12).input(x).attr("kernel_shape", new long[] {2, 2}).outputs(2).check();
    assertArrayEquals(new float[] {5, 5, 5, 9}, results.get(0).floats());
    assertArrayEquals(new long[] {1, 1, 3, 8}, results.get(1).longs());
    var columns =
        node("MaxPool", 12)
            .input(x)
            .attr("kernel_shape", new long[] {2, 2})
            .attr("storage_order", 1)
            .outputs(2)
            .check();
    assertArrayEquals(new long[] {3, 3, 1, 8}, columns.get(1).longs());
  }

  @TestFactory
  Stream<DynamicTest> pools() {
    return Stream.of("MaxPool", "AveragePool", "LpPool")
        .flatMap(type ->
            Stream.of(0, 1)
                .map(ceil ->
                    DynamicTest.dynamicTest(
                        type + " ceil " + ceil,
                        () -> {
                          OperatorTestKit kit =
                              node(type, 22)
                                  .input(f32(5, 2, 3, 8, 7))
                                  .attr("kernel_shape", new long[] {3, 2})
                                  .attr("strides", new long[] {2, 2})
                                  .attr("dilations", new long[] {1, 2})
                                  .attr("pads", new long[] {1, 0, 1, 1})
                                  .attr("ceil_mode", ceil)
                                  .tolerance(1e-4);
                          kit.check();
                          if (type.equals("AveragePool")) {
                            kit.attr("count_include_pad", 1).check();
                          }
                        })));
  }

  @Test
  void integerAndGlobalPools() {
    for (DType type : new DType[] {DType.I8, DType.U8}) {
      node("MaxPool", 12)
          .input(random(type, 3, 1, 2, 5, 5))
          .attr("kernel_shape", new long[] {3, 3})
          .attr("pads", new long[] {1, 1, 1, 1})
          .check();
    }
    for (String type : new String[] {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"}) {
      node(type, 22).input(f32(4, 2, 3, 5, 4)).check();
    }
  }

  @Test
  void products() {
    assertArrayEquals(
        new float[] {10, 13, 28, 40},
        node("MatMul", 13).input(range(2, 3)).input(range(3, 2)).check().getFirst().floats());
    node("MatMul", 13).input(f32(1, 3)).input(f32(2, 3)).check();
    node("MatMul", 13).input(f32(1, 3)).input(f32(2, 4, 3, 5)).check();
    node("MatMul", 13).input(f32(1, 4, 5, 3)).input(f32(2, 3)).check();
    node("MatMul", 13).input(f32(1, 2, 1, 5, 3)).input(f32(2, 4, 3, 6)).tolerance(1e-4).check();
    for (DType type :
        new DType[] {
          DType.I32, DType.U32, DType.I64, DType.U64, DType.F16, DType.BF16, DType.F64
        }) {
      node("MatMul", 13)
          .input(random(type, 1, 5, 7))
          .input(random(type, 2, 7, 6))
          .tolerance(1e-4)
          .check();
    }
    node("FusedMatMul", 1)
        .domain("com.microsoft")
        .input(f32(1, 2, 4, 3))
        .input(f32(2, 5, 4))
        .attr("transA", 1)
        .attr("transB", 1)
        .attr("alpha", 0.5f)
        .check();
  }

  @Test
  void generalProducts() {
    node("Gemm", 13).input(f32(1, 3, 4)).input(f32(2, 4, 5)).check();
    node("Gemm", 13)
        .input(f32(1, 4, 3))
        .input(f32(2, 5, 4))
        .input(f32(3, 5))
        .attr("transA", 1)
        .attr("transB", 1)
        .attr("alpha", 0.25f)
        .attr("beta", 2f)
        .check();
    node("Gemm", 6)
        .input(f32(1, 3, 4))
        .input(f32(2, 4, 5))
        .input(f32(3, 3, 1))
        .attr("broadcast", 1)
        .check();
    node("Gemm", 13)
        .input(random(DType.I32, 1, 3, 4))
        .input(random(DType.I32, 2, 4, 5))
        .input(random(DType.I32, 3, 5))
        .check();
    node("FusedGemm", 1)
        .domain("com.microsoft")
        .input(f32(1, 3, 4))
        .input(f32(2, 4, 5))
        .input(f32(3, 5))
        .attr("activation", "LeakyRelu")
        .attr("activation_alpha", 0.1f)
        .check();
  }
}
