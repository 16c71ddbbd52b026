package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.tersor.ir.ops.OperatorTestKit.node;
import static org.tersor.ir.ops.OperatorTestKit.random;

import org.junit.jupiter.api.Test;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Quantizing and quantized operators: evaluation by hand-computed cases, kernels against
 * evaluation.
 */
class QuantizedTest {
  private static Tensor scale(float... values) {
    return values.length == 1 ? Tensor.of(values) : Tensor.of(values, values.length);
  }

  private static Tensor codes(DType type, long... values) {
    Tensor tensor = values.length == 1 ? Tensor.zeros(type) : Tensor.zeros(type, values.length);
    for (int i = 0; i < values.length; i++) {
      tensor.setLong(i, values[i]);
    }
    return tensor;
  }

  private static long[] longs(Tensor tensor) {
    return Shapes.longs(tensor);
  }

  @Test
  void quantizes() {
    Tensor x = Tensor.of(new float[] {0, 1, 2.5f, 3.5f, -400, 400}, 6);
    Tensor u8 =
        node("QuantizeLinear", 13)
            .input(x)
            .input(scale(1))
            .input(codes(DType.U8, 128))
            .check()
            .getFirst();
    assertArrayEquals(new long[] {128, 129, 130, 132, 0, 255}, longs(u8));
    for (DType type : QuantizeLinear.CODES) {
      Tensor zero = Tensor.zeros(type);
      node("QuantizeLinear", 21)
          .input(random(DType.F32, 2, 5, 4))
          .input(scale(0.5f))
          .input(zero)
          .check();
      node("QuantizeLinear", 21)
          .input(x)
          .input(scale(0.5f))
          .input(zero)
          .attr("saturate", 0)
          .check();
    }
    node("QuantizeLinear", 13)
        .input(random(DType.F32, 2, 3, 4))
        .fixed(scale(.1f, .2f, .3f, .4f))
        .fixed(codes(DType.I8, 1, -2, 3, 0))
        .check();
    node("QuantizeLinear", 21)
        .fixed(random(DType.F32, 2, 4, 6))
        .fixed(positive(4, 3))
        .fixed(random(DType.I8, 3, 4, 3))
        .attr("axis", 1)
        .attr("block_size", 2)
        .check();
    Tensor typed =
        node("QuantizeLinear", 21)
            .input(x)
            .input(scale(1))
            .attr("output_dtype", 5)
            .check()
            .getFirst();
    assertEquals(DType.I16, typed.dtype());
  }

  private static Tensor positive(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setDouble(i, 0.25 + i * 0.125);
    }
    return tensor;
  }

  @Test
  void dequantizes() {
    Tensor x = codes(DType.U8, 0, 3, 128, 255);
    assertArrayEquals(
        new float[] {-256, -250, 0, 254},
        node("DequantizeLinear", 10)
            .input(x)
            .input(scale(2))
            .input(codes(DType.U8, 128))
            .check()
            .getFirst()
            .floats());
    for (DType type : QuantizeLinear.CODES) {
      Tensor values = Tensor.zeros(type, 3, 5);
      for (int i = 0; i < 15 && type.slot() == DType.Slot.BYTE; i++) {
        values.bytes()[i] =
            (byte) (type.bits() == 2 ? i % 2 : type.bits() == 4 ? i % 8 : i * 7 % 120);
      }
      node("DequantizeLinear", 21).input(values).input(scale(0.5f)).check();
      node("DequantizeLinear", 21).input(values).fixed(positive(5)).attr("axis", -1).check();
    }
    node("DequantizeLinear", 21)
        .fixed(random(DType.I8, 1, 4, 6))
        .fixed(positive(2, 6))
        .fixed(random(DType.I8, 2, 2, 6))
        .attr("axis", 0)
        .attr("block_size", 2)
        .check();
  }

  @Test
  void dynamic() {
    var results =
        node("DynamicQuantizeLinear", 11)
            .input(Tensor.of(new float[] {0, 2, -3, -2.5f, 1.34f, 0.5f}, 6))
            .outputs(3)
            .check();
    assertArrayEquals(new long[] {153, 255, 0, 26, 221, 179}, longs(results.get(0)));
    assertEquals(5f / 255, results.get(1).floats()[0]);
    assertEquals(153, results.get(2).getLong(0));
    node("DynamicQuantizeLinear", 11).input(Tensor.zeros(DType.F32, 4)).outputs(3).check();
  }

  @Test
  void integerProducts() {
    for (DType a : new DType[] {DType.U8, DType.I8}) {
      for (DType b : new DType[] {DType.U8, DType.I8}) {
        node("MatMulInteger", 10).input(random(a, 1, 4, 9)).input(random(b, 2, 9, 5)).check();
        node("MatMulInteger", 10)
            .input(random(a, 1, 4, 9))
            .input(random(b, 2, 9, 5))
            .input(codes(a, 3))
            .fixed(random(b, 3, 5))
            .check();
      }
    }
    node("QLinearMatMul", 21)
        .input(random(DType.U8, 1, 2, 4, 9))
        .input(scale(0.1f))
        .input(codes(DType.U8, 10))
        .input(random(DType.I8, 2, 9, 5))
        .fixed(scale(.1f, .2f, .05f, .3f, .15f))
        .fixed(codes(DType.I8, 0, 1, -1, 2, 0))
        .input(scale(0.4f))
        .input(codes(DType.U8, 100))
        .check();
    node("QGemm", 1)
        .domain("com.microsoft")
        .input(random(DType.U8, 1, 4, 9))
        .input(scale(0.1f))
        .input(codes(DType.U8, 10))
        .input(random(DType.I8, 2, 5, 9))
        .input(scale(0.2f))
        .input(codes(DType.I8, 0))
        .input(random(DType.I32, 3, 5))
        .attr("transB", 1)
        .check();
  }

  @Test
  void integerConvolutions() {
    for (int groups : new int[] {1, 2, 4}) {
      node("QLinearConv", 10)
          .input(random(DType.U8, 1, 2, 4, 6, 7))
          .input(scale(0.1f))
          .constant(codes(DType.U8, 9))
          .fixed(random(DType.I8, 2, 4, 4 / groups, 3, 3))
          .fixed(scale(.1f, .2f, .05f, .3f))
          .constant(codes(DType.I8, 0, 0, 0, 0))
          .input(scale(0.4f))
          .input(codes(DType.U8, 100))
          .fixed(random(DType.I32, 3, 4))
          .attr("group", groups)
          .attr("pads", new long[] {1, 1, 1, 1})
          .check();
    }
    node("ConvInteger", 10)
        .input(random(DType.U8, 1, 1, 2, 5, 5))
        .input(random(DType.U8, 2, 3, 2, 3, 3))
        .input(codes(DType.U8, 7))
        .fixed(codes(DType.U8, 1, 2, 3))
        .attr("pads", new long[] {0, 1, 1, 0})
        .check();
  }

  @Test
  void quantizedElementwise() {
    for (String type : new String[] {"QLinearAdd", "QLinearMul"}) {
      for (DType dtype : new DType[] {DType.U8, DType.I8}) {
        node(type, 1)
            .domain("com.microsoft")
            .input(random(dtype, 1, 3, 1, 5))
            .input(scale(0.1f))
            .input(codes(dtype, 3))
            .input(random(dtype, 2, 4, 5))
            .input(scale(0.3f))
            .input(codes(dtype, 5))
            .input(scale(0.25f))
            .input(codes(dtype, 20))
            .check();
      }
    }
    for (String type : new String[] {"QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"}) {
      node(type, 1)
          .domain("com.microsoft")
          .input(random(DType.U8, 1, 3, 6))
          .input(scale(0.2f))
          .input(codes(DType.U8, 8))
          .input(scale(1f / 256))
          .input(codes(DType.U8, 0))
          .check();
    }
  }

  @Test
  void quantizedPoolsAndConcat() {
    node("QLinearAveragePool", 1)
        .domain("com.microsoft")
        .input(random(DType.U8, 1, 1, 2, 6, 6))
        .input(scale(0.2f))
        .input(codes(DType.U8, 8))
        .input(scale(0.1f))
        .input(codes(DType.U8, 100))
        .attr("kernel_shape", new long[] {3, 3})
        .attr("pads", new long[] {1, 1, 1, 1})
        .check();
    for (int last = 0; last < 2; last++) {
      node("QLinearGlobalAveragePool", 1)
          .domain("com.microsoft")
          .input(random(DType.U8, 1, 2, 3, 6, 5))
          .input(scale(0.2f))
          .input(codes(DType.U8, 8))
          .input(scale(0.1f))
          .input(codes(DType.U8, 100))
          .attr("channels_last", last)
          .check();
    }
    node("QLinearConcat", 1)
        .domain("com.microsoft")
        .input(scale(0.1f))
        .input(codes(DType.U8, 10))
        .input(random(DType.U8, 1, 2, 3))
        .input(scale(0.2f))
        .input(codes(DType.U8, 5))
        .input(random(DType.U8, 2, 2, 4))
        .input(scale(0.1f))
        .input(codes(DType.U8, 10))
        .attr("axis", 1)
        .check();
  }
}
