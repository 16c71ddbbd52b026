package org.tersor.ir.loop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tersor.ir.loop.LoopFunction.BufferParam;
import org.tersor.runtime.DType;
import org.tersor.runtime.Minifloat;

class LoopInterpreterTest {
  private static Expr index(long value) {
    return new Expr.IntConst(Type.INDEX, value);
  }

  private static Expr var(String name) {
    return new Expr.Var(Type.INDEX, name);
  }

  /** out[0] = value, over one input buffer. */
  private static Object evaluate(Scalar element, Object input, Expr value) {
    Scalar out = value.type().scalar();
    Object result = out.dtype().slot().newArray(value.type().lanes());
    Stmt store = new Stmt.Store("out", index(0), value, Optional.empty());
    LoopFunction f =
        new LoopFunction(
            "f",
            List.of(new BufferParam("in", element, false), new BufferParam("out", out, true)),
            List.of(),
            store);
    LoopInterpreter.run(f, new Object[] {input, result}, new int[2], new long[0]);
    return result;
  }

  private static Expr load(Scalar type, int lanes) {
    return new Expr.Load(new Type(type, lanes), "in", index(0), Optional.empty());
  }

  @Test
  void parallelLoopRunsAsRange() {
    Expr i = var("i");
    Expr a = new Expr.Load(Type.F32, "a", i, Optional.empty());
    Stmt body = new Stmt.Store("b", i, new Expr.Binary(BinaryOp.ADD, a, a), Optional.empty());
    LoopFunction f =
        new LoopFunction(
            "twice",
            List.of(
                new BufferParam("a", Scalar.F32, false), new BufferParam("b", Scalar.F32, true)),
            List.of("n"),
            new Stmt.For(Stmt.LoopKind.PARALLEL, "i", index(0), var("n"), 1, body));
    float[] b = new float[5];
    Object[] arrays = {new float[] {9, 1, 2, 3, 4}, b};
    LoopInterpreter.compile(f).run(arrays, new int[] {1, 0}, new int[] {4}, 1, 3);
    assertArrayEquals(new float[] {0, 4, 6, 0, 0}, b);
    LoopInterpreter.run(f, arrays, new int[] {1, 1}, new long[] {4});
    assertArrayEquals(new float[] {0, 2, 4, 6, 8}, b);
    Exception e =
        assertThrows(
            IndexOutOfBoundsException.class,
            () -> LoopInterpreter.run(f, arrays, new int[] {1, 0}, new long[] {5}));
    assertEquals("twice: buffer a at index 4, length 4", e.getMessage());
    assertThrows(
        IllegalArgumentException.class,
        () -> LoopInterpreter.compile(f).run(arrays, new int[2], new int[] {4}, 0, 5));
  }

  @Test
  void loadsReinterpretLittleEndian() {
    byte[] bytes = {1, 2, 3, 4, 5, 6, 7, 8};
    assertArrayEquals(
        new int[] {0x04030201, 0x08070605},
        (int[]) evaluate(Scalar.U8, bytes, load(Scalar.I32, 2)));
    int[] words = {0x04030201, 0x88070605};
    assertArrayEquals(
        new byte[] {1, 2, 3, 4, 5, 6, 7, (byte) 0x88},
        (byte[]) evaluate(Scalar.I32, words, load(Scalar.U8, 8)));
    assertArrayEquals(
        new long[] {0x8807060504030201L},
        (long[]) evaluate(Scalar.I32, words, load(Scalar.I64, 1)));
    Expr gathered =
        new Expr.Load(
            new Type(Scalar.I32, 2), "in", new Expr.Ramp(index(3), -2, 2), Optional.empty());
    assertArrayEquals(
        new int[] {0x07060504, 0x05040302}, (int[]) evaluate(Scalar.U8, bytes, gathered));
  }

  @Test
  void masksGuardLanes() {
    Expr mask = new Expr.LaneLt(index(3), 4);
    Expr load = new Expr.Load(new Type(Scalar.F32, 4), "in", index(0), Optional.of(mask));
    assertArrayEquals(
        new float[] {1, 2, 3, 0}, (float[]) evaluate(Scalar.F32, new float[] {1, 2, 3}, load));
  }

  @Test
  void reduceIsATree() {
    Expr sum = new Expr.Reduce(ReduceOp.SUM, load(Scalar.F32, 4));
    float[] in = {1e8f, 1, -1e8f, 1};
    assertArrayEquals(new float[] {2}, (float[]) evaluate(Scalar.F32, in, sum));
  }

  @Test
  void castsSaturateAndRound() {
    float[] in = {Float.NaN, 300, -300, 2.9f};
    assertArrayEquals(
        new byte[] {0, (byte) 255, 0, 2},
        (byte[])
            evaluate(
                Scalar.F32, in, new Expr.Cast(new Type(Scalar.U8, 4), load(Scalar.F32, 4), false)));
    assertArrayEquals(
        new byte[] {0, 127, -128, 2},
        (byte[])
            evaluate(
                Scalar.F32, in, new Expr.Cast(new Type(Scalar.I8, 4), load(Scalar.F32, 4), false)));
    short[] half =
        (short[])
            evaluate(
                Scalar.F32, in, new Expr.Cast(new Type(Scalar.F16, 4), load(Scalar.F32, 4), false));
    for (int i = 0; i < 4; i++) {
      assertEquals(Minifloat.of(DType.F16).encode(in[i], false), half[i] & 0xFFFF);
    }
    long[] big = {-1, (1L << 62) + (1L << 54) + 1, Long.MIN_VALUE, 16777217};
    assertArrayEquals(
        new float[] {0x1p64f, 0x1p62f + 0x1p54f, 0x1p63f, 16777216},
        (float[])
            evaluate(
                Scalar.U64,
                big,
                new Expr.Cast(new Type(Scalar.F32, 4), load(Scalar.U64, 4), false)));
    short[] bf =
        (short[])
            evaluate(
                Scalar.I64,
                big,
                new Expr.Cast(new Type(Scalar.BF16, 4), load(Scalar.I64, 4), false));
    assertEquals(0x5E81, bf[1] & 0xFFFF);
  }

  @Test
  void dot4IsUnsignedTimesSigned() {
    int[] in = {10, 0xFF0280FF, 0x80FF7F80};
    Expr value = new Expr.Dot4(word(0), word(1), word(2));
    int expected = 10 + 255 * -128 + 128 * 127 + 2 * -1 + 255 * -128;
    assertArrayEquals(new int[] {expected}, (int[]) evaluate(Scalar.I32, in, value));
  }

  /** 1 + 3 * 4 (high) + 2 * -8 (low); what is subnormal counts as zero. */
  @Test
  void dot2SumsPairsOfBf16() {
    int[] in = {Float.floatToRawIntBits(1), 0x40404000, 0x4080C100};
    assertEquals(-3, dot2(in));
    assertEquals(0, dot2(new int[] {1, 0x00400040, 0x7F007F00}));
    // 2^-100 * 2^-40 is subnormal.
    assertEquals(0, dot2(new int[] {0, 0x0D800000, 0x2B800000}));
    assertTrue(Float.isNaN(dot2(new int[] {0, 0x7F800000, 0})));
  }

  private static float dot2(int[] in) {
    Expr acc = new Expr.Bits(Type.F32, word(0));
    Expr bits = new Expr.Bits(Type.I32, new Expr.Dot2(acc, word(1), word(2)));
    return Float.intBitsToFloat(((int[]) evaluate(Scalar.I32, in, bits))[0]);
  }

  private static Expr word(int i) {
    return new Expr.Load(Type.I32, "in", index(i), Optional.empty());
  }

  @Test
  void divisionIsTotal() {
    Expr min = new Expr.IntConst(Type.I32, Integer.MIN_VALUE);
    assertArrayEquals(
        new int[] {Integer.MIN_VALUE},
        (int[]) evaluate(Scalar.I32, new int[] {-1}, new Expr.Binary(BinaryOp.DIV, min, word(0))));
    assertArrayEquals(
        new int[] {0},
        (int[]) evaluate(Scalar.I32, new int[] {0}, new Expr.Binary(BinaryOp.DIV, min, word(0))));
    assertArrayEquals(
        new int[] {0},
        (int[]) evaluate(Scalar.I32, new int[] {0}, new Expr.Binary(BinaryOp.REM, min, word(0))));
  }

  @Test
  void registersAreVectorsAndPoisoned() {
    Type four = new Type(Scalar.F32, 4);
    Stmt body =
        new Stmt.Block(
            List.of(
                new Stmt.Alloc("r", four, index(2), Stmt.Space.REGISTER),
                new Stmt.Alloc("l", Type.F32, index(4), Stmt.Space.LOCAL),
                new Stmt.Store(
                    "r",
                    index(1),
                    new Expr.Broadcast(new Expr.FloatConst(Type.F32, 3), 4),
                    Optional.empty()),
                new Stmt.Store(
                    "out",
                    index(0),
                    new Expr.Load(four, "r", index(1), Optional.empty()),
                    Optional.empty()),
                new Stmt.Store(
                    "out",
                    index(4),
                    new Expr.Load(four, "r", index(0), Optional.empty()),
                    Optional.empty()),
                new Stmt.Store(
                    "out",
                    index(8),
                    new Expr.Load(four, "l", index(0), Optional.empty()),
                    Optional.empty())));
    LoopFunction f =
        new LoopFunction("f", List.of(new BufferParam("out", Scalar.F32, true)), List.of(), body);
    float[] out = new float[12];
    LoopInterpreter.run(f, new Object[] {out}, new int[1], new long[0]);
    assertEquals(3, out[3]);
    assertTrue(Float.isNaN(out[4]) && Float.isNaN(out[11]));
  }

  @Test
  void bitsRegroupLanes() {
    Expr bits = new Expr.Bits(new Type(Scalar.U8, 8), load(Scalar.I32, 2));
    assertArrayEquals(
        new byte[] {1, 0, 0, 0, 0, 0, 0, -1},
        (byte[]) evaluate(Scalar.I32, new int[] {1, 0xFF000000}, bits));
    assertArrayEquals(
        new int[] {1, 0xFF000000},
        (int[])
            evaluate(
                Scalar.I32,
                new int[] {1, 0xFF000000},
                new Expr.Bits(new Type(Scalar.I32, 2), bits)));
  }

  @Test
  void transcendentalsMustBeLegalised() {
    Exception e =
        assertThrows(
            IllegalStateException.class,
            () ->
                evaluate(
                    Scalar.F32, new float[1], new Expr.Unary(UnaryOp.EXP, load(Scalar.F32, 1))));
    assertTrue(String.valueOf(e.getMessage()).contains("not legalised"));
  }
}
