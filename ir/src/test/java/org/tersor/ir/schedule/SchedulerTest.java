package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.KernelCode;

/** Scheduled kernels against plain loops written here, on every kind of target. */
class SchedulerTest {

  static Stream<Target> targets() {
    return Stream.of(
        Target.jvm(64),
        Target.jvm(16),
        Target.jvm(0),
        Target.nativeTarget("avx512amx"),
        Target.nativeTarget("avx512vnni"),
        Target.nativeTarget("avx512bf16"),
        Target.nativeTarget("avx2"),
        Target.cuda());
  }

  static Buf f32(String name, long... shape) {
    return new Buf(name, Scalar.F32, DimExpr.list(shape));
  }

  static Axis axis(String name, long extent) {
    return new Axis(name, DimExpr.of(extent));
  }

  static float[] random(int n, int seed) {
    Random random = new Random(seed);
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = random.nextInt(-8, 9);
    }
    return values;
  }

  /** Runs a kernel; {@code arrays} holds inputs and outputs by name. */
  static void run(Kernel kernel, Target target, Set<String> constants, Map<String, Object> arrays) {
    Scheduled scheduled = Scheduler.schedule(kernel, target, constants);
    Map<String, Object> all = new HashMap<>(arrays);
    for (Scheduled.Temporary t : scheduled.temporaries()) {
      all.put(t.name(), t.element().dtype().slot().newArray((int) t.elements().constValue()));
    }
    for (List<Scheduled.Launch> launches : List.of(scheduled.load(), scheduled.run())) {
      for (Scheduled.Launch launch : launches) {
        KernelCode code = LoopInterpreter.compile(launch.function());
        Object[] buffers = launch.buffers().stream().map(all::get).toArray();
        code.run(
            buffers, new int[buffers.length], new int[0], 0, (int) launch.tasks().constValue());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void broadcastAddWithTail(Target target) {
    Buf x = f32("in0", 3, 5, 37);
    Buf b = f32("in1", 5, 1);
    Buf y = f32("out0", 3, 5, 37);
    Axis n = axis("n", 3);
    Axis c = axis("c", 5);
    Axis w = axis("w", 37);
    Stage stage =
        Stage.of(
            y,
            List.of(n, c, w),
            K.add(K.at(x, K.axis(n), K.axis(c), K.axis(w)), K.at(b, K.axis(c), K.index(0))));
    float[] xs = random(555, 1);
    float[] bs = random(5, 2);
    float[] ys = new float[555];
    run(
        new Kernel("add", List.of(x, b), List.of(y), List.of(stage)),
        target,
        Set.of(),
        Map.of("in0", xs, "in1", bs, "out0", ys));
    for (int i = 0; i < 555; i++) {
      assertEquals(xs[i] + bs[i / 37 % 5], ys[i], "element " + i);
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void paddedDepthwiseConvolution(Target target) {
    Buf x = f32("in0", 2, 4, 9, 21);
    Buf k = f32("in1", 4, 3, 3);
    Buf y = f32("out0", 2, 4, 9, 21);
    Axis n = axis("n", 2);
    Axis c = axis("c", 4);
    Axis oh = axis("oh", 9);
    Axis ow = axis("ow", 21);
    Axis kh = axis("kh", 3);
    Axis kw = axis("kw", 3);
    KExpr ih = K.sub(K.add(K.axis(oh), K.axis(kh)), K.index(1));
    KExpr iw = K.sub(K.add(K.axis(ow), K.axis(kw)), K.index(1));
    KExpr inside =
        K.and(
            K.and(K.ge(ih, K.index(0)), K.lt(ih, K.index(9))),
            K.and(K.ge(iw, K.index(0)), K.lt(iw, K.index(21))));
    KExpr tap = K.select(inside, K.at(x, K.axis(n), K.axis(c), ih, iw), K.f32(0));
    Stage stage =
        Stage.of(
            y,
            List.of(n, c, oh, ow),
            K.sum(List.of(kh, kw), K.mul(tap, K.at(k, K.axis(c), K.axis(kh), K.axis(kw)))));
    float[] xs = random(2 * 4 * 9 * 21, 3);
    float[] ks = random(36, 4);
    float[] ys = new float[xs.length];
    run(
        new Kernel("dw", List.of(x, k), List.of(y), List.of(stage)),
        target,
        Set.of("in1"),
        Map.of("in0", xs, "in1", ks, "out0", ys));
    float[] expected = new float[ys.length];
    for (int i = 0; i < ys.length; i++) {
      int col = i % 21;
      int row = i / 21 % 9;
      int plane = i / 189;
      for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++) {
          int r = row + a - 1;
          int q = col + b - 1;
          if (r >= 0 && r < 9 && q >= 0 && q < 21) {
            expected[i] += xs[plane * 189 + r * 21 + q] * ks[plane % 4 * 9 + a * 3 + b];
          }
        }
      }
    }
    assertArrayEquals(expected, ys);
  }

  @ParameterizedTest
  @MethodSource("targets")
  void rowMaximumAndSum(Target target) {
    Buf x = f32("in0", 7, 45);
    Buf m = f32("m", 7);
    Buf y = f32("out0", 7, 1);
    Axis i = axis("i", 7);
    Axis j = axis("j", 45);
    Axis one = axis("one", 1);
    KExpr e = K.at(x, K.axis(i), K.axis(j));
    Stage max = Stage.of(m, List.of(i), K.fold(ReduceOp.MAX, List.of(j), e));
    Stage sum = Stage.of(y, List.of(i, one), K.sum(List.of(j), K.sub(e, K.at(m, K.axis(i)))));
    float[] xs = random(7 * 45, 5);
    float[] ys = new float[7];
    run(
        new Kernel("rows", List.of(x), List.of(y), List.of(max, sum)),
        target,
        Set.of(),
        Map.of("in0", xs, "out0", ys));
    for (int r = 0; r < 7; r++) {
      float best = Float.NEGATIVE_INFINITY;
      float total = 0;
      for (int q = 0; q < 45; q++) {
        best = Math.max(best, xs[r * 45 + q]);
      }
      for (int q = 0; q < 45; q++) {
        total += xs[r * 45 + q] - best;
      }
      assertEquals(total, ys[r], "row " + r);
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void roundedTranspose(Target target) {
    Buf x = f32("in0", 3, 37);
    Buf y = new Buf("out0", Scalar.U8, DimExpr.list(37, 3));
    Axis i = axis("i", 37);
    Axis j = axis("j", 3);
    KExpr rounded = new KExpr.Un(UnaryOp.RINT, K.at(x, K.axis(j), K.axis(i)));
    Stage stage = Stage.of(y, List.of(i, j), K.castInRange(Scalar.U8, rounded));
    float[] xs = new float[3 * 37];
    byte[] expected = new byte[xs.length];
    for (int at = 0; at < xs.length; at++) {
      xs[at] = at + 0.5f;
      expected[at % 37 * 3 + at / 37] = (byte) Math.rint(xs[at]);
    }
    byte[] ys = new byte[xs.length];
    run(
        new Kernel("rounded", List.of(x), List.of(y), List.of(stage)),
        target,
        Set.of(),
        Map.of("in0", xs, "out0", ys));
    assertArrayEquals(expected, ys, target.name());
  }

  /** u8!(clamp(rint(f32(u8!(clamp(rint(x)))) * 0.75))), x made of integers or an input itself. */
  private static Stage requantized(KExpr x, Axis i) {
    KExpr code = K.castInRange(Scalar.U8, held(x));
    KExpr again = K.mul(K.cast(Scalar.F32, code), K.literal(Scalar.F32, .75));
    Buf y = new Buf("out0", Scalar.U8, DimExpr.list(64));
    return Stage.of(y, List.of(i), K.castInRange(Scalar.U8, held(again)));
  }

  private static KExpr held(KExpr x) {
    KExpr least = K.max(new KExpr.Un(UnaryOp.RINT, x), K.literal(Scalar.F32, 0.0));
    return K.min(least, K.literal(Scalar.F32, 255.0));
  }

  private static int conversionsToCodes(Kernel kernel, Target target) {
    Scheduled scheduled = Scheduler.schedule(kernel, target, Set.of());
    assertEquals(1, scheduled.run().size());
    String text = LoopPrinter.print(scheduled.run().getFirst().function());
    return text.split("u8(x[0-9]+)?!", -1).length - 1;
  }

  @ParameterizedTest
  @MethodSource("targets")
  void codesThatBecomeFloatsAgainAreNoCodes(Target target) {
    Buf x = new Buf("in0", Scalar.I32, DimExpr.list(64));
    Axis i = axis("i", 64);
    KExpr number = K.mul(K.cast(Scalar.F32, K.at(x, K.axis(i))), K.literal(Scalar.F32, .3));
    Stage stage = requantized(number, i);
    Kernel kernel = new Kernel("again", List.of(x), List.of(stage.target()), List.of(stage));
    int[] xs = new int[64];
    byte[] expected = new byte[64];
    for (int at = 0; at < xs.length; at++) {
      xs[at] = (at - 5) * 23;
      double code = Math.max(0, Math.min(255, Math.rint(xs[at] * .3f)));
      expected[at] = (byte) Math.max(0, Math.min(255, Math.rint(code * .75)));
    }
    byte[] ys = new byte[64];
    run(kernel, target, Set.of(), Map.of("in0", xs, "out0", ys));
    assertArrayEquals(expected, ys, target.name());
    Buf f = f32("in0", 64);
    Stage unknown = requantized(K.at(f, K.axis(i)), i); // may be NaN, which a code cannot be
    Kernel kept = new Kernel("kept", List.of(f), List.of(unknown.target()), List.of(unknown));
    assertEquals(2 * conversionsToCodes(kernel, target), conversionsToCodes(kept, target));
  }

  @Test
  void jvmComputesWhatItTransposesInVectors() {
    Buf x = f32("in0", 3, 37);
    Buf y = f32("out0", 37, 3);
    Axis i = axis("i", 37);
    Axis j = axis("j", 3);
    KExpr read = K.at(x, K.axis(j), K.axis(i));
    Stage copy = Stage.of(y, List.of(i, j), read);
    Stage rounding = Stage.of(y, List.of(i, j), new KExpr.Un(UnaryOp.RINT, read));
    assertEquals(1, launches(copy), "a copy moves its elements once");
    assertEquals(2, launches(rounding));
  }

  private static int launches(Stage stage) {
    Buf x = f32("in0", 3, 37);
    Kernel kernel = new Kernel("turned", List.of(x), List.of(stage.target()), List.of(stage));
    return Scheduler.schedule(kernel, Target.jvm(64), Set.of()).run().size();
  }

  @ParameterizedTest
  @MethodSource("targets")
  void transpose(Target target) {
    Buf x = f32("in0", 6, 35);
    Buf y = f32("out0", 35, 6);
    Axis i = axis("i", 35);
    Axis j = axis("j", 6);
    Stage stage = Stage.of(y, List.of(i, j), K.at(x, K.axis(j), K.axis(i)));
    float[] xs = random(210, 6);
    float[] ys = new float[210];
    run(
        new Kernel("transpose", List.of(x), List.of(y), List.of(stage)),
        target,
        Set.of(),
        Map.of("in0", xs, "out0", ys));
    for (int r = 0; r < 35; r++) {
      for (int q = 0; q < 6; q++) {
        assertEquals(xs[q * 35 + r], ys[r * 6 + q]);
      }
    }
  }
}
