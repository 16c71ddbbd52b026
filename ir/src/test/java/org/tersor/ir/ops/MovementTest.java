package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.tersor.ir.ops.OperatorTestKit.node;
import static org.tersor.ir.ops.OperatorTestKit.random;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class MovementTest {
  private static Tensor count(long... shape) {
    Tensor x = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < x.size(); i++) {
      x.floats()[i] = i;
    }
    return x;
  }

  private static Tensor longs(long... values) {
    return Tensor.of(values, values.length);
  }

  @Test
  void views() {
    Tensor x = count(2, 3, 4);
    assertArrayEquals(
        new long[] {4, 6}, node("Reshape", 14).input(x).longs(4, -1).check().getFirst().shape());
    assertArrayEquals(
        new long[] {2, 12}, node("Reshape", 14).input(x).longs(0, 12).check().getFirst().shape());
    assertArrayEquals(
        new long[] {2, 12},
        node("Reshape", 1).input(x).attr("shape", new long[] {0, -1}).check().getFirst().shape());
    assertArrayEquals(
        new long[] {0, 3},
        node("Reshape", 14)
            .input(count(3, 0))
            .longs(0, 3)
            .attr("allowzero", 1)
            .eval()
            .getFirst()
            .shape());
    assertArrayEquals(
        new long[] {6, 4}, node("Flatten", 13).input(x).attr("axis", 2).check().getFirst().shape());
    assertArrayEquals(
        new long[] {1, 24},
        node("Flatten", 13).input(x).attr("axis", 0).check().getFirst().shape());
    Tensor ones = count(1, 3, 1);
    assertArrayEquals(new long[] {3}, node("Squeeze", 13).input(ones).check().getFirst().shape());
    assertArrayEquals(
        new long[] {1, 3}, node("Squeeze", 13).input(ones).longs(-1).check().getFirst().shape());
    assertArrayEquals(
        new long[] {3, 1},
        node("Squeeze", 11).input(ones).attr("axes", new long[] {0}).check().getFirst().shape());
    assertArrayEquals(
        new long[] {2, 1, 3, 4, 1},
        node("Unsqueeze", 13).input(x).longs(-1, 1).check().getFirst().shape());
    assertArrayEquals(
        new long[] {1, 2, 3, 4},
        node("Unsqueeze", 1).input(x).attr("axes", new long[] {0}).check().getFirst().shape());
    assertThrows(TersorException.class, () -> node("Reshape", 14).input(x).longs(5, -1).infer());
    assertThrows(TersorException.class, () -> node("Squeeze", 13).input(x).longs(0).infer());
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      mode = EnumSource.Mode.EXCLUDE,
      names = {"C64", "C128", "STRING"})
  void everyType(DType dtype) {
    Tensor x = random(dtype, 3, 2, 3, 4);
    node("Transpose", 13).input(x).attr("perm", new long[] {2, 0, 1}).check();
    node("Concat", 13).input(x).input(random(dtype, 4, 2, 2, 4)).attr("axis", 1).check();
    node("Pad", 19).input(x).longs(0, 1, 2, 0, 0, 1).check();
    node("Trilu", 14).input(x).check();
    node("Tile", 13).input(x).longs(1, 2, 3).check();
    node("OneHot", 11).input(longs(0, 2, -1)).longs(3).input(random(dtype, 1, 2)).check();
  }

  @Test
  void transposeByDefaultReverses() {
    assertArrayEquals(
        new float[] {0, 3, 1, 4, 2, 5},
        node("Transpose", 1).input(count(2, 3)).check().getFirst().floats());
    node("Transpose", 13).input(count(1, 3, 4)).attr("perm", new long[] {1, 0, 2}).check();
  }

  @Test
  void splits() {
    Tensor x = count(2, 7);
    List<Tensor> three =
        node("Split", 18).input(x).attr("axis", 1).attr("num_outputs", 3).outputs(3).check();
    assertArrayEquals(new long[] {2, 1}, three.get(2).shape());
    assertArrayEquals(new float[] {3, 4, 5, 10, 11, 12}, three.get(1).floats());
    node("Split", 13).input(x).longs(2, 5).attr("axis", -1).outputs(2).check();
    node("Split", 11).input(x).attr("split", new long[] {2, 5}).attr("axis", 1).outputs(2).check();
    node("Split", 2).input(x).outputs(2).check();
    assertThrows(
        TersorException.class, () -> node("Split", 13).input(x).attr("axis", 1).outputs(2).infer());
  }

  @Test
  void slices() {
    Tensor x = count(5, 6);
    assertArrayEquals(
        new float[] {7, 8, 13, 14},
        node("Slice", 13).input(x).longs(1, 1).longs(3, 3).check().getFirst().floats());
    assertArrayEquals(
        new float[] {5, 3, 1},
        node("Slice", 13)
            .input(count(6))
            .longs(-1)
            .longs(-100)
            .longs(0)
            .longs(-2)
            .check()
            .getFirst()
            .floats());
    assertArrayEquals(
        new float[] {4, 3},
        node("Slice", 13)
            .input(count(6))
            .longs(4)
            .longs(2)
            .longs(0)
            .longs(-1)
            .check()
            .getFirst()
            .floats());
    node("Slice", 13).input(x).longs(-2).longs(Long.MAX_VALUE).longs(-1).check();
    node("Slice", 13).input(x).longs(0).longs(-1).longs(1).longs(2).check();
    node("Slice", 13)
        .input(x)
        .longs(Long.MAX_VALUE)
        .longs(Long.MIN_VALUE)
        .longs(0)
        .longs(-1)
        .check();
    node("Slice", 1)
        .input(x)
        .attr("starts", new long[] {1})
        .attr("ends", new long[] {-1})
        .attr("axes", new long[] {1})
        .check();
    assertEquals(0, node("Slice", 13).input(x).longs(10).longs(20).check().getFirst().size());
  }

  @Test
  void gathers() {
    Tensor x = count(3, 4, 2);
    Tensor indices = Tensor.of(new long[] {0, -1, 2, 1}, 2, 2);
    node("Gather", 13).input(x).input(indices).attr("axis", 1).check();
    node("Gather", 13).input(x).input(Tensor.of(new int[] {1})).check();
    node("GatherElements", 13).input(count(3, 4)).input(indices).attr("axis", 1).check();
    node("GatherND", 13).input(x).fixed(indices).check();
    node("GatherND", 13)
        .input(x)
        .fixed(Tensor.of(new long[] {0, 3, -1}, 3, 1))
        .attr("batch_dims", 1)
        .check();
    TersorException e =
        assertThrows(
            TersorException.class, () -> node("Gather", 13).input(x).input(longs(3)).eval());
    assertEquals("TSR-0705", e.code());
  }

  @Test
  void repeats() {
    node("Expand", 13).input(count(3, 1)).longs(2, 1, 4).check();
    node("Expand", 13).input(count(3)).longs(1).check();
    node("Tile", 1)
        .input(count(2, 3))
        .constant(Tensor.of(new float[] {2}))
        .constant(Tensor.of(new float[] {1}))
        .check();
  }

  @ParameterizedTest
  @ValueSource(strings = {"constant", "reflect", "edge", "wrap"})
  void pads(String mode) {
    Tensor x = count(3, 5);
    node("Pad", 19)
        .input(x)
        .longs(1, 2, 2, 4)
        .input(Tensor.of(new float[] {9}))
        .attr("mode", mode)
        .check();
    node("Pad", 19).input(x).longs(-1, 2, 1, -2).attr("mode", mode).check();
    node("Pad", 19).input(x).longs(3, 1).absent().longs(-1).attr("mode", mode).check();
    if (!mode.equals("wrap")) {
      node("Pad", 2)
          .input(x)
          .attr("pads", new long[] {1, 2, 2, 4})
          .attr("value", 3f)
          .attr("mode", mode)
          .check();
    }
  }

  @Test
  void padValues() {
    assertArrayEquals(
        new float[] {2, 1, 0, 1, 2, 1, 0},
        node("Pad", 13)
            .input(count(3))
            .longs(2, 2)
            .attr("mode", "reflect")
            .check()
            .getFirst()
            .floats());
    assertArrayEquals(
        new float[] {1, 2, 0, 1, 2, 0},
        node("Pad", 19)
            .input(count(3))
            .longs(2, 1)
            .attr("mode", "wrap")
            .check()
            .getFirst()
            .floats());
  }

  @Test
  void blocks() {
    Tensor x = count(2, 8, 2, 3);
    Tensor wide = node("DepthToSpace", 13).input(x).attr("blocksize", 2).check().getFirst();
    assertArrayEquals(
        x.floats(),
        node("SpaceToDepth", 13).input(wide).attr("blocksize", 2).check().getFirst().floats());
    node("DepthToSpace", 13).input(x).attr("blocksize", 2).attr("mode", "CRD").check();
  }

  @Test
  void shapes() {
    Tensor x = count(2, 3, 4);
    assertArrayEquals(
        new long[] {3, 4}, node("Shape", 15).input(x).attr("start", -2).check().getFirst().longs());
    assertArrayEquals(new long[] {24}, node("Size", 13).input(x).check().getFirst().longs());
    Tensor seven = new Tensor(DType.I32, new long[] {1}, new int[] {7});
    assertArrayEquals(
        new int[] {7, 7, 7, 7},
        node("ConstantOfShape", 9).longs(2, 2).attr("value", seven).check().getFirst().ints());
    assertArrayEquals(
        new float[4], node("ConstantOfShape", 9).longs(4).check().getFirst().floats());
    assertArrayEquals(
        new int[] {10, 7, 4},
        node("Range", 11)
            .constant(Tensor.of(new int[] {10}))
            .constant(Tensor.of(new int[] {2}))
            .constant(Tensor.of(new int[] {-3}))
            .check()
            .getFirst()
            .ints());
    node("Range", 11)
        .constant(Tensor.of(new float[] {1}))
        .constant(Tensor.of(new float[] {2}))
        .constant(Tensor.of(new float[] {0.3f}))
        .check();
  }

  @Test
  void positions() {
    node("EyeLike", 9).input(count(3, 5)).attr("k", 1).attr("dtype", 6).check();
    node("Trilu", 14).input(count(3, 5)).longs(-1).attr("upper", 0).check();
    node("Trilu", 14).input(count(3, 5)).input(Tensor.of(new long[] {1})).check();
    node("OneHot", 11)
        .input(Tensor.of(new float[] {1, -1, 9}, 3))
        .constant(Tensor.of(new float[] {4}))
        .input(count(2))
        .attr("axis", 0)
        .check();
    node("ReverseSequence", 10).input(count(4, 3)).input(longs(1, 4, 2)).check();
  }
}
