package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.tersor.ir.ops.OperatorTestKit.node;
import static org.tersor.ir.ops.OperatorTestKit.random;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class ReductionTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "ReduceSum",
        "ReduceMean",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceSumSquare"
      })
  void reductions(String name) {
    for (DType dtype : List.of(DType.F32, DType.F16, DType.F64, DType.I32, DType.I64, DType.U8)) {
      Tensor x = random(dtype, 7, 3, 4, 5);
      for (int i = 0; i < x.size(); i++) {
        // Positive, so that logarithms exist; small, so that products do.
        x.setDouble(i, 1 + Math.abs(x.getDouble(i)) % 2);
      }
      node(name, 18).input(x).longs(1).check();
      node(name, 18).input(x).longs(-1, 0).attr("keepdims", 0).check();
      node(name, 11).input(x).attr("axes", new long[] {0, 2}).check();
      node(name, 1).input(x).attr("keepdims", 0).check();
      node(name, 18).input(x).attr("noop_with_empty_axes", 1).check();
    }
    node(name, 18).input(Tensor.zeros(DType.F32, 2, 0, 3)).longs(1).eval();
  }

  @Test
  void emptySets() {
    Tensor empty = Tensor.zeros(DType.F32, 2, 0);
    assertArrayEquals(
        new float[] {0, 0}, node("ReduceSum", 13).input(empty).longs(1).eval().getFirst().floats());
    assertArrayEquals(
        new float[] {1, 1},
        node("ReduceProd", 18).input(empty).longs(1).eval().getFirst().floats());
    float low = Float.NEGATIVE_INFINITY;
    assertArrayEquals(
        new float[] {low, low},
        node("ReduceMax", 20).input(empty).longs(1).eval().getFirst().floats());
    assertArrayEquals(
        new float[] {low, low},
        node("ReduceLogSumExp", 18).input(empty).longs(1).eval().getFirst().floats());
  }

  @Test
  void logSumExpDoesNotOverflow() {
    Tensor x = Tensor.of(new float[] {1000, 1000}, 2);
    assertEquals(
        1000.6931f, node("ReduceLogSumExp", 18).input(x).check().getFirst().floats()[0], 1e-3);
  }

  @Test
  void booleans() {
    Tensor x = new Tensor(DType.BOOL, new long[] {2, 2}, new byte[] {1, 0, 1, 1});
    assertArrayEquals(
        new byte[] {0, 1},
        node("ReduceMin", 20).input(x).longs(1).attr("keepdims", 0).check().getFirst().bytes());
    assertArrayEquals(
        new byte[] {1, 1},
        node("ReduceMax", 20).input(x).longs(1).attr("keepdims", 0).check().getFirst().bytes());
  }

  @Test
  void argBest() {
    Tensor x = Tensor.of(new float[] {1, 3, 3, 2, Float.NaN, 5, 7, 7, 7}, 3, 3);
    assertArrayEquals(
        new long[] {1, 1, 0},
        node("ArgMax", 13).input(x).attr("axis", 1).attr("keepdims", 0).check().getFirst().longs());
    assertArrayEquals(
        new long[] {2, 1, 2},
        node("ArgMax", 13)
            .input(x)
            .attr("axis", 1)
            .attr("select_last_index", 1)
            .check()
            .getFirst()
            .longs());
    assertArrayEquals(
        new long[] {0, 1, 0},
        node("ArgMin", 13).input(x).attr("axis", -2).check().getFirst().longs());
    node("ArgMin", 13).input(random(DType.U8, 3, 4, 5)).attr("axis", 1).check();
  }

  @Test
  void cumulative() {
    Tensor x = random(DType.F32, 5, 3, 4);
    Tensor axis = Tensor.of(new int[] {1});
    for (long exclusive = 0; exclusive < 2; exclusive++) {
      for (long reverse = 0; reverse < 2; reverse++) {
        node("CumSum", 14)
            .input(x)
            .constant(axis)
            .attr("exclusive", exclusive)
            .attr("reverse", reverse)
            .check();
        node("CumSum", 14)
            .input(x)
            .input(axis)
            .attr("exclusive", exclusive)
            .attr("reverse", reverse)
            .check();
        node("CumProd", 26)
            .input(x)
            .constant(axis)
            .attr("exclusive", exclusive)
            .attr("reverse", reverse)
            .check();
      }
    }
    assertArrayEquals(
        new long[] {1, 3, 6},
        node("CumSum", 14)
            .input(Tensor.of(new long[] {1, 2, 3}, 3))
            .constant(Tensor.of(new int[] {0}))
            .check()
            .getFirst()
            .longs());
  }

  @Test
  void topK() {
    Tensor x = Tensor.of(new float[] {1, 4, 4, 2, Float.NaN, 0, 9, 9}, 2, 4);
    List<Tensor> best = node("TopK", 11).input(x).longs(2).outputs(2).check();
    assertArrayEquals(new float[] {4, 4, Float.NaN, 9}, best.get(0).floats());
    assertArrayEquals(new long[] {1, 2, 0, 2}, best.get(1).longs());
    node("TopK", 11)
        .input(random(DType.I64, 2, 5, 3))
        .longs(4)
        .attr("axis", 0)
        .attr("largest", 0)
        .outputs(2)
        .check();
    node("TopK", 1)
        .input(random(DType.F32, 2, 5, 3))
        .attr("k", 2)
        .attr("axis", 0)
        .outputs(2)
        .check();
    assertThrows(
        TersorException.class, () -> node("TopK", 11).input(x).longs(5).outputs(2).infer());
  }

  @Test
  void scatters() {
    Tensor data = random(DType.F32, 1, 4, 5);
    Tensor indices = Tensor.of(new long[] {1, -1, 3, 0}, 2, 2);
    Tensor updates = random(DType.F32, 2, 2, 2);
    node("ScatterElements", 18).input(data).input(indices).input(updates).attr("axis", 1).check();
    node("Scatter", 9).input(data).input(indices).input(updates).check();
    Tensor same = Tensor.of(new long[] {1, -3, 1, 2}, 2, 2);
    for (String reduction : List.of("add", "mul", "min", "max")) {
      node("ScatterElements", 18)
          .input(data)
          .input(same)
          .input(updates)
          .attr("reduction", reduction)
          .check();
      node("ScatterND", 18)
          .input(data)
          .fixed(Tensor.of(new long[] {1, 1, -3}, 3, 1))
          .input(random(DType.F32, 3, 3, 5))
          .attr("reduction", reduction)
          .check();
    }
    node("ScatterND", 18)
        .input(data)
        .fixed(Tensor.of(new long[] {1, 1, 3, -1}, 2, 2))
        .input(Tensor.of(new float[] {8, 9}, 2))
        .check();
    node("ScatterND", 18)
        .input(data)
        .fixed(Tensor.of(new long[] {2, 0}, 2, 1))
        .input(random(DType.F32, 3, 2, 5))
        .check();
  }

  @Test
  void dataSized() {
    Tensor x = Tensor.of(new float[] {0, 1, 2, 0}, 2, 2);
    assertArrayEquals(
        new long[] {0, 1, 1, 0}, node("NonZero", 13).input(x).eval().getFirst().longs());
    Tensor condition = new Tensor(DType.BOOL, new long[] {2}, new byte[] {0, 1});
    assertArrayEquals(
        new float[] {2, 0},
        node("Compress", 11).input(x).input(condition).attr("axis", 0).eval().getFirst().floats());
    assertArrayEquals(
        new float[] {1}, node("Compress", 11).input(x).input(condition).eval().getFirst().floats());
  }

  @Test
  void plain() {
    assertArrayEquals(
        new long[] {3}, node("Constant", 13).attr("value_int", 3).eval().getFirst().longs());
    Tensor x = random(DType.F32, 1, 2, 3);
    assertArrayEquals(x.floats(), node("Dropout", 13).input(x).check().getFirst().floats());
    assertArrayEquals(
        new byte[] {1, 1, 1, 1, 1, 1},
        node("Dropout", 13).input(x).outputs(2).check().get(1).bytes());
    assertArrayEquals(
        new float[] {1, 1, 1, 1, 1, 1},
        node("Dropout", 7).input(x).outputs(2).check().get(1).floats());
  }

  @Test
  void einsum() {
    Tensor a = random(DType.F32, 1, 2, 3, 4);
    Tensor b = random(DType.F32, 2, 2, 4, 5);
    node("BitCast", 26).input(a).attr("to", 6).check();
    node("Einsum", 12).input(a).input(b).attr("equation", "bij, bjk -> bik").check();
    node("Einsum", 12).input(a).input(b).attr("equation", "...ij,...jk->...ik").check();
    node("Einsum", 12).input(a).attr("equation", "bij->ji").check();
    node("Einsum", 12).input(random(DType.F32, 3, 4, 4)).attr("equation", "...ii ->...i").check();
    node("Einsum", 12).input(random(DType.I32, 3, 4, 4)).attr("equation", "ii").check();
    node("Einsum", 12)
        .input(random(DType.F32, 3, 4))
        .input(random(DType.F32, 4, 4))
        .attr("equation", "i,i")
        .check();
    assertThrows(
        TersorException.class, () -> node("Einsum", 12).input(a).attr("equation", "ij->i").infer());
  }
}
