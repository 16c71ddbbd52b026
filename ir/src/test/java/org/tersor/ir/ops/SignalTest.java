package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.tersor.ir.ops.OperatorTestKit.node;
import static org.tersor.ir.ops.OperatorTestKit.random;

import org.junit.jupiter.api.Test;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Signal operators: hand-computed cases, kernels against evaluation, refusals. */
class SignalTest {
  private static Tensor number(long value) {
    return Tensor.of(new long[] {value});
  }

  private static String code(OperatorTestKit kit) {
    return assertThrows(TersorException.class, kit::infer).code();
  }

  @Test
  void dftOfAllLengthsAndAxes() {
    for (long n : new long[] {1, 2, 7, 12, 34}) {
      for (int inverse = 0; inverse < 2; inverse++) {
        node("DFT", 17)
            .fixed(random(DType.F32, n, 2, n, 2))
            .attr("inverse", inverse)
            .tolerance(1e-5)
            .check();
      }
      node("DFT", 20).input(random(DType.F64, n, n, 3, 1)).absent().constant(number(0)).check();
      node("DFT", 20).input(random(DType.F64, n, 3, n, 1)).attr("onesided", 1).check();
    }
  }

  @Test
  void dftCutsAndFills() {
    for (long n : new long[] {3, 5, 8}) {
      node("DFT", 20).fixed(random(DType.F32, n, 2, 5, 2)).constant(number(n)).check();
      node("DFT", 20)
          .fixed(random(DType.F32, n, 2, 4, 2))
          .constant(number(n))
          .attr("inverse", 1)
          .attr("onesided", 1)
          .check();
    }
  }

  @Test
  void dftByHand() {
    Tensor x = Tensor.of(new float[] {1, 2, 3, 4}, 1, 4, 1);
    Tensor spectrum = node("DFT", 20).input(x).attr("onesided", 1).check().getFirst();
    assertArrayEquals(new float[] {10, 0, -2, 2, -2, 0}, spectrum.floats(), 1e-6f);
    Tensor back =
        node("DFT", 20).fixed(spectrum).attr("onesided", 1).attr("inverse", 1).check().getFirst();
    assertArrayEquals(x.floats(), back.floats(), 1e-6f);
    assertArrayEquals(new long[] {1, 4, 1}, back.shape());
  }

  @Test
  void dftRefuses() {
    Tensor x = random(DType.F32, 1, 1, 4, 2);
    assertEquals("TSR-0304", code(node("DFT", 20).input(x).attr("onesided", 1)));
    assertEquals("TSR-0305", code(node("DFT", 17).input(x).attr("axis", 2)));
    assertEquals("TSR-0303", code(node("DFT", 17).input(x).constant(number(0))));
    assertEquals("TSR-0303", code(node("DFT", 17).input(random(DType.F32, 1, 1, 4, 3))));
  }

  @Test
  void stft() {
    for (int oneSided = 0; oneSided < 2; oneSided++) {
      node("STFT", 17)
          .input(random(DType.F32, 1, 2, 17, 1))
          .constant(number(3))
          .input(random(DType.F32, 2, 6))
          .attr("onesided", oneSided)
          .check();
    }
    node("STFT", 17)
        .fixed(random(DType.F64, 1, 2, 17, 2))
        .constant(number(2))
        .absent()
        .constant(number(5))
        .attr("onesided", 0)
        .check();
    node("STFT", 17)
        .input(random(DType.F32, 1, 2, 3))
        .constant(number(2))
        .absent()
        .constant(number(5))
        .check();
    OperatorTestKit noFrames =
        node("STFT", 17).input(random(DType.F32, 1, 2, 17, 1)).constant(number(0)).absent();
    assertEquals("TSR-0301", code(noFrames));
    assertEquals("TSR-0303", code(noFrames.constant(number(4))));
  }

  @Test
  void windows() {
    for (String name : new String[] {"HannWindow", "HammingWindow", "BlackmanWindow"}) {
      for (int periodic = 0; periodic < 2; periodic++) {
        for (long size : new long[] {1, 2, 9}) {
          for (int type : new int[] {1, 10, 11, 6}) {
            node(name, 17)
                .constant(number(size))
                .attr("periodic", periodic)
                .attr("output_datatype", type)
                .check();
          }
        }
      }
    }
    Tensor hann = node("HannWindow", 17).constant(number(4)).check().getFirst();
    assertArrayEquals(new float[] {0, 0.5f, 1, 0.5f}, hann.floats(), 1e-7f);
    assertEquals("TSR-0303", code(node("HannWindow", 17).constant(number(1L << 40))));
    assertEquals(
        "TSR-0302", code(node("HannWindow", 17).constant(number(4)).attr("output_datatype", 8)));
  }

  @Test
  void melWeightMatrix() {
    for (int bins : new int[] {1, 8, 40}) {
      node("MelWeightMatrix", 17)
          .constant(number(bins))
          .constant(number(64))
          .input(number(8192))
          .input(Tensor.of(new float[] {5}))
          .input(Tensor.of(new float[] {4096}))
          .check();
    }
    assertEquals(
        "TSR-0303",
        code(
            node("MelWeightMatrix", 17)
                .constant(number(-1))
                .constant(number(64))
                .input(number(8192))
                .input(Tensor.of(new float[] {0}))
                .input(Tensor.of(new float[] {4096}))));
  }
}
