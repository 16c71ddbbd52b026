package org.tersor.ir.loop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.ir.dsl.LoopParser;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.Minifloat;

class LegalizerTest {
  private static final Target PLAIN = Target.nativeTarget("scalar");
  private static final int COUNT = 1 << 14;
  private static final Target FULL = Target.nativeTarget("avx512vnni");

  private static LoopFunction legal(String text, Target target) {
    LoopFunction function = LoopParser.parse(text);
    assertEquals(List.of(), LoopVerifier.verify(function));
    LoopFunction legal = Legalizer.legalize(function, target);
    assertEquals(List.of(), LoopVerifier.verify(legal), LoopPrinter.print(legal));
    assertEquals(legal, LoopParser.parse(LoopPrinter.print(legal)));
    return legal;
  }

  static Stream<Scalar> smallFloats() {
    return Arrays.stream(Scalar.values()).filter(Scalar::isSmallFloat);
  }

  /** {@code out[i] = to(in[i])}, as is and legalised, on the same input. */
  private static void assertSame(Scalar from, Scalar to, Object input, int count) {
    String text =
        """
        kernel convert(x: %1$s, y: mut %2$s; n) {
          for i in 0 .. n step 8 { y[i] = %2$sx8(x[i as %1$sx8]); }
        }
        """
            .formatted(from.text(), to.text());
    LoopFunction legal = legal(text, PLAIN);
    String printed = LoopPrinter.print(legal);
    assertFalse(printed.contains(to.text() + "x8("), printed);
    Object expected = to.dtype().slot().newArray(count);
    Object actual = to.dtype().slot().newArray(count);
    LoopInterpreter.run(
        LoopParser.parse(text), new Object[] {input, expected}, new int[2], new long[] {count});
    LoopInterpreter.run(legal, new Object[] {input, actual}, new int[2], new long[] {count});
    if (to == Scalar.F32) {
      // Equal NaNs for any payload; zeros differ by sign.
      assertArrayEquals((float[]) expected, (float[]) actual);
    } else {
      assertTrue(
          Arrays.deepEquals(new Object[] {expected}, new Object[] {actual}), from + " to " + to);
    }
  }

  @ParameterizedTest
  @MethodSource("smallFloats")
  void everyCodeDecodes(Scalar type) {
    int codes = type.bytes() == 1 ? type == Scalar.F4E2M1 ? 16 : 256 : 65536;
    Object input = type.dtype().slot().newArray(codes);
    for (int i = 0; i < codes; i++) {
      if (input instanceof byte[] bytes) {
        bytes[i] = (byte) i;
      } else {
        ((short[]) input)[i] = (short) i;
      }
    }
    String text =
        """
        kernel decode(x: %1$s, y: mut f32; n) {
          for i in 0 .. n step 8 { y[i] = f32x8(x[i as %1$sx8]); }
        }
        """
            .formatted(type.text());
    float[] actual = new float[codes];
    LoopInterpreter.run(
        legal(text, PLAIN), new Object[] {input, actual}, new int[2], new long[] {codes});
    for (int i = 0; i < codes; i++) {
      float expected = Minifloat.of(type.dtype()).decode(i);
      assertEquals(
          Float.floatToIntBits(expected), Float.floatToIntBits(actual[i]), type + " code " + i);
    }
  }

  @ParameterizedTest
  @MethodSource("smallFloats")
  void singlesEncode(Scalar type) {
    assertSame(Scalar.F32, type, singles(type), COUNT);
  }

  /** All neighbourhoods of representable values and of midpoints, and random bits. */
  private static float[] singles(Scalar type) {
    Random random = new Random(type.bytes());
    float[] x = new float[COUNT];
    int codes = type.bytes() == 1 ? 256 : 65536;
    for (int i = 0; i < x.length; i++) {
      int code = random.nextInt(codes) & (type == Scalar.F4E2M1 ? 15 : -1);
      float value = Minifloat.of(type.dtype()).decode(code);
      float next = Minifloat.of(type.dtype()).decode(code + 1 & codes - 1);
      float middle = (value + next) / 2;
      x[i] =
          switch (i % 6) {
            case 0 -> value;
            case 1 -> middle;
            case 2 -> Math.nextUp(middle);
            case 3 -> Math.nextDown(middle);
            case 4 -> (float) (random.nextGaussian() * 100);
            default -> Float.intBitsToFloat(random.nextInt());
          };
    }
    x[5] = Float.POSITIVE_INFINITY;
    x[11] = Float.NEGATIVE_INFINITY;
    x[17] = Float.NaN;
    x[23] = -0f;
    x[29] = Float.MIN_VALUE;
    x[35] = Float.MAX_VALUE;
    return x;
  }

  @ParameterizedTest
  @MethodSource("smallFloats")
  void doublesAndIntegersEncodeWithOneRounding(Scalar type) {
    float[] near = singles(type);
    double[] doubles = new double[near.length];
    long[] longs = new long[near.length];
    int[] ints = new int[near.length];
    Random random = new Random(3);
    for (int i = 0; i < near.length; i++) {
      doubles[i] =
          i % 3 == 0
              ? Math.nextUp((double) near[i])
              : i % 3 == 1
                  ? Math.nextDown((double) near[i])
                  : Double.longBitsToDouble(random.nextLong());
      longs[i] =
          i % 2 == 0
              ? random.nextLong() >> random.nextInt(64)
              : ((long) near[i]) * (1L << random.nextInt(40)) + random.nextInt(3) - 1;
      ints[i] =
          i % 2 == 0
              ? random.nextInt() >> random.nextInt(32)
              : (int) near[i] + random.nextInt(3) - 1;
    }
    assertSame(Scalar.F64, type, doubles, near.length);
    assertSame(Scalar.I64, type, longs, near.length);
    assertSame(Scalar.U64, type, longs, near.length);
    assertSame(Scalar.I32, type, ints, near.length);
    assertSame(Scalar.U32, type, ints, near.length);
  }

  @Test
  void smallFloatsConvertIntoEachOther() {
    short[] halves = new short[65536];
    for (int i = 0; i < halves.length; i++) {
      halves[i] = (short) i;
    }
    for (Scalar to :
        List.of(
            Scalar.BF16,
            Scalar.F8E4M3FN,
            Scalar.F8E8M0,
            Scalar.I8,
            Scalar.U64,
            Scalar.F64,
            Scalar.BOOL)) {
      LoopFunction f =
          LoopParser.parse(
              "kernel c(x: f16, y: mut %1$s) do for i in 0 .. 65536 do y[i] = %1$s(x[i]); end end"
                  .formatted(to.text()));
      LoopFunction legal = Legalizer.legalize(f, PLAIN);
      Object expected = to.dtype().slot().newArray(65536);
      Object actual = to.dtype().slot().newArray(65536);
      LoopInterpreter.run(f, new Object[] {halves, expected}, new int[2], new long[0]);
      LoopInterpreter.run(legal, new Object[] {halves, actual}, new int[2], new long[0]);
      assertTrue(Arrays.deepEquals(new Object[] {expected}, new Object[] {actual}), to.text());
    }
  }

  @Test
  void halfStaysWhereTheTargetHasIt() {
    String text = "kernel f(x: f16, y: mut f32) { y[0] = f32x8(x[0 as f16x8]); }";
    assertEquals(LoopParser.parse(text).body(), unbound(legal(text, FULL)));
    assertFalse(LoopPrinter.print(legal(text, PLAIN)).contains("f16x8"));
  }

  /** Undoes {@code let f = e; store f}. */
  private static Stmt unbound(LoopFunction f) {
    List<Stmt> body = ((Stmt.Block) f.body()).body();
    Stmt.Store store = (Stmt.Store) body.getLast();
    Expr value = ((Stmt.Let) body.getFirst()).value();
    return new Stmt.Block(
        List.of(new Stmt.Store(store.buffer(), store.index(), value, store.mask())));
  }

  @Test
  void registersOfSmallFloats() {
    String text =
        """
        kernel f(x: f16, y: mut f32) {
          alloc register r: f16x4[1];
          r[0] = x[0 as f16x4];
          y[0] = f32x4(r[0]) + f32x4(r[0]);
        }
        """;
    float[] y = new float[4];
    LoopInterpreter.run(
        legal(text, PLAIN),
        new Object[] {new short[] {0x3C00, 0x4000, (short) 0xC000, 1}, y},
        new int[2],
        new long[0]);
    assertArrayEquals(new float[] {2, 4, -4, 0x1p-23f}, y);
  }

  @Test
  void dot4AndFmaByTarget() {
    String text =
        """
        kernel f(a: i32, b: i32, c: mut i32, x: f32, y: mut f32) {
          c[0] = dot4(c[0 as i32x4], a[0 as i32x4], b[0 as i32x4]);
          y[0] = fma(x[0], x[1], x[2]);
        }
        """;
    assertEquals(LoopParser.parse(text), legal(text, FULL));
    LoopFunction plain = legal(text, PLAIN);
    String printed = LoopPrinter.print(plain);
    assertFalse(printed.contains("dot4") || printed.contains("fma"), printed);
    int[] a = new Random(1).ints(4).toArray();
    int[] b = new Random(2).ints(4).toArray();
    int[] c = {1, 2, 3, Integer.MAX_VALUE};
    int[] d = c.clone();
    LoopInterpreter.run(
        plain,
        new Object[] {a, b, c, new float[] {2, 3, 4}, new float[1]},
        new int[5],
        new long[0]);
    LoopInterpreter.run(
        LoopParser.parse(text),
        new Object[] {a, b, d, new float[] {2, 3, 4}, new float[1]},
        new int[5],
        new long[0]);
    assertArrayEquals(d, c);
  }

  @Test
  void conditionsOfLoopsAreComputedAgain() {
    String text =
        """
        kernel f(y: mut f32) {
          local x = 0.0;
          while exp(x) < 100.0 do x = x + 1.0; end
          y[0] = x;
        }
        """;
    float[] y = new float[1];
    LoopInterpreter.run(legal(text, PLAIN), new Object[] {y}, new int[1], new long[0]);
    assertEquals(5, y[0]);
  }

  @Test
  void equalCallsAreComputedOnceAndMasksStay() {
    String text =
        """
        kernel silu(x: f32, y: mut f32; n) {
          for parallel i in 0 .. n {
            let m = lanelt(n - i * 8, 8);
            y[i * 8 if m] = x[i * 8 as f32x8 if m] * sigmoid(x[i * 8 as f32x8 if m]) + sigmoid(x[i * 8 as f32x8 if m]);
          }
        }
        """;
    String printed = LoopPrinter.print(legal(text, Target.jvm(64)));
    assertEquals(1, printed.split("<< 23").length - 1, printed);
    float[] y = new float[3];
    LoopInterpreter.of(legal(text, PLAIN))
        .run(new Object[] {new float[] {0, 100, -200}, y}, new int[2], new long[] {3}, 0, 1);
    assertArrayEquals(new float[] {0.5f, 101, 0}, y);
  }

  @Test
  void namesDoNotCollide() {
    String text =
        """
        kernel f(x_0: f32, n_1: mut f32; x_2, exp_3) {
          let c_4 = exp(x_0[0]);
          let q_5 = exp(c_4 + 1.0);
          n_1[0] = exp(q_5 * c_4);
        }
        """;
    assertTrue(LoopPrinter.print(legal(text, PLAIN)).contains("exp_"));
  }
}
