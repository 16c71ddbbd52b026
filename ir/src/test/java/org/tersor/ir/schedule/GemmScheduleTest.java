package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.tersor.ir.schedule.SchedulerTest.axis;
import static org.tersor.ir.schedule.SchedulerTest.f32;
import static org.tersor.ir.schedule.SchedulerTest.random;
import static org.tersor.ir.schedule.SchedulerTest.run;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * Matrix products and convolutions, scheduled for every target, against plain loops: equal values,
 * small integers being exact.
 */
class GemmScheduleTest {
  private static final String TARGETS = "org.tersor.ir.schedule.SchedulerTest#targets";

  private static final List<Set<String>> WEIGHTS =
      List.of(Set.of(), Set.of("in1"), Set.of("in0"), Set.of("in1", "in2"));

  @ParameterizedTest
  @MethodSource(TARGETS)
  void matrixProductWithBiasAndRelu(Target target) {
    int[][] shapes = {
      {1, 1, 64, 64},
      {1, 13, 100, 37},
      {2, 7, 33, 5},
      {1, 1, 70, 48},
      {3, 20, 16, 4},
      {1, 64, 128, 16},
      {1, 9, 6, 27},
      {2, 17, 3, 70},
      {1, 5, 2, 900}
    };
    for (int[] s : shapes) {
      for (Set<String> weights : WEIGHTS) {
        matrixProduct(target, s[0], s[1], s[2], s[3], weights);
      }
    }
  }

  private static void matrixProduct(
      Target target, int batch, int m, int n, int k, Set<String> weights) {
    Buf a = f32("in0", batch, m, k);
    Buf b = f32("in1", k, n);
    Buf bias = f32("in2", n);
    Buf y = f32("out0", batch, m, n);
    Axis ab = axis("b", batch);
    Axis am = axis("m", m);
    Axis an = axis("n", n);
    Axis ak = axis("k", k);
    KExpr sum =
        K.sum(
            List.of(ak),
            K.mul(K.at(a, K.axis(ab), K.axis(am), K.axis(ak)), K.at(b, K.axis(ak), K.axis(an))));
    KExpr value = K.binary(BinaryOp.MAX, K.add(sum, K.at(bias, K.axis(an))), K.f32(0));
    Stage stage = Stage.of(y, List.of(ab, am, an), value);
    float[] as = random(batch * m * k, 1);
    float[] bs = random(k * n, 2);
    float[] cs = random(n, 3);
    float[] ys = new float[batch * m * n];
    run(
        new Kernel("gemm", List.of(a, b, bias), List.of(y), List.of(stage)),
        target,
        weights,
        Map.of("in0", as, "in1", bs, "in2", cs, "out0", ys));
    float[] expected = new float[ys.length];
    for (int i = 0; i < batch * m; i++) {
      for (int j = 0; j < n; j++) {
        float total = cs[j];
        for (int p = 0; p < k; p++) {
          total += as[i * k + p] * bs[p * n + j];
        }
        expected[i * n + j] = Math.max(total, 0);
      }
    }
    assertArrayEquals(
        expected,
        ys,
        () -> target.name() + " " + batch + "x" + m + "x" + n + "x" + k + " weights " + weights);
  }

  /** x [n, c, h, w], weights [o, c, kh, kw], bias [o]. */
  record Conv(int n, int c, int h, int w, int o, int kh, int kw, int stride, int pad) {
    int oh() {
      return (h + 2 * pad - kh) / stride + 1;
    }

    int ow() {
      return (w + 2 * pad - kw) / stride + 1;
    }
  }

  @ParameterizedTest
  @MethodSource(TARGETS)
  void convolution(Target target) {
    List<Conv> cases =
        List.of(
            new Conv(1, 3, 11, 13, 8, 3, 3, 1, 1),
            new Conv(2, 5, 9, 9, 7, 3, 3, 2, 1),
            new Conv(1, 16, 6, 6, 10, 1, 1, 1, 0),
            new Conv(2, 4, 8, 20, 5, 5, 3, 1, 0),
            new Conv(1, 1, 28, 28, 8, 5, 5, 1, 2));
    for (Conv conv : cases) {
      convolution(target, conv, Set.of("in1", "in2"));
      convolution(target, conv, Set.of());
    }
  }

  private static void convolution(Target target, Conv v, Set<String> weights) {
    Buf x = f32("in0", v.n, v.c, v.h, v.w);
    Buf k = f32("in1", v.o, v.c, v.kh, v.kw);
    Buf bias = f32("in2", v.o);
    Buf y = f32("out0", v.n, v.o, v.oh(), v.ow());
    Axis n = axis("n", v.n);
    Axis o = axis("o", v.o);
    Axis oh = axis("oh", v.oh());
    Axis ow = axis("ow", v.ow());
    Axis c = axis("c", v.c);
    Axis kh = axis("kh", v.kh);
    Axis kw = axis("kw", v.kw);
    KExpr ih = K.sub(K.add(K.mul(K.axis(oh), K.index(v.stride)), K.axis(kh)), K.index(v.pad));
    KExpr iw = K.sub(K.add(K.mul(K.axis(ow), K.index(v.stride)), K.axis(kw)), K.index(v.pad));
    KExpr inside =
        K.and(
            K.and(K.ge(ih, K.index(0)), K.lt(ih, K.index(v.h))),
            K.and(K.ge(iw, K.index(0)), K.lt(iw, K.index(v.w))));
    KExpr tap = K.select(inside, K.at(x, K.axis(n), K.axis(c), ih, iw), K.f32(0));
    KExpr sum =
        K.sum(
            List.of(c, kh, kw), K.mul(tap, K.at(k, K.axis(o), K.axis(c), K.axis(kh), K.axis(kw))));
    Stage stage = Stage.of(y, List.of(n, o, oh, ow), K.add(sum, K.at(bias, K.axis(o))));
    float[] xs = random(v.n * v.c * v.h * v.w, 1);
    float[] ks = random(v.o * v.c * v.kh * v.kw, 2);
    float[] bs = random(v.o, 3);
    float[] ys = new float[v.n * v.o * v.oh() * v.ow()];
    run(
        new Kernel("conv", List.of(x, k, bias), List.of(y), List.of(stage)),
        target,
        weights,
        Map.of("in0", xs, "in1", ks, "in2", bs, "out0", ys));
    float[] expected = new float[ys.length];
    for (int i = 0; i < ys.length; i++) {
      int q = i % v.ow();
      int r = i / v.ow() % v.oh();
      int p = i / (v.ow() * v.oh()) % v.o;
      int b = i / (v.ow() * v.oh() * v.o);
      float total = bs[p];
      for (int ci = 0; ci < v.c; ci++) {
        for (int a = 0; a < v.kh; a++) {
          for (int d = 0; d < v.kw; d++) {
            int row = r * v.stride + a - v.pad;
            int col = q * v.stride + d - v.pad;
            if (row >= 0 && row < v.h && col >= 0 && col < v.w) {
              total +=
                  xs[((b * v.c + ci) * v.h + row) * v.w + col]
                      * ks[((p * v.c + ci) * v.kh + a) * v.kw + d];
            }
          }
        }
      }
      expected[i] = total;
    }
    assertArrayEquals(expected, ys, () -> target.name() + " " + v + " weights " + weights);
  }

  @ParameterizedTest
  @MethodSource(TARGETS)
  void integerProductOfEverySignAndZeroPoint(Target target) {
    int[][] shapes = {{7, 40, 530}, {3, 33, 9}, {6, 16, 4}};
    for (int[] s : shapes) {
      for (Scalar left : List.of(Scalar.U8, Scalar.I8)) {
        for (Scalar right : List.of(Scalar.I8, Scalar.U8)) {
          for (int zeros = 0; zeros < 4; zeros++) {
            for (Set<String> weights :
                List.of(Set.<String>of(), Set.of("in1", "in3"), Set.of("in0", "in2"))) {
              integerProduct(target, s[0], s[1], s[2], left, right, zeros, weights);
            }
          }
        }
      }
    }
  }

  private static void integerProduct(
      Target target,
      int m,
      int n,
      int k,
      Scalar left,
      Scalar right,
      int zeros,
      Set<String> weights) {
    Buf a = new Buf("in0", left, DimExpr.list(m, k));
    Buf b = new Buf("in1", right, DimExpr.list(k, n));
    Buf za = new Buf("in2", left, DimExpr.list(1));
    Buf zb = new Buf("in3", right, DimExpr.list(n));
    Buf y = new Buf("out0", Scalar.I32, DimExpr.list(m, n));
    Axis am = axis("m", m);
    Axis an = axis("n", n);
    Axis ak = axis("k", k);
    KExpr x = K.cast(Scalar.I32, K.at(a, K.axis(am), K.axis(ak)));
    KExpr w = K.cast(Scalar.I32, K.at(b, K.axis(ak), K.axis(an)));
    KExpr xz = (zeros & 1) != 0 ? K.sub(x, K.cast(Scalar.I32, K.at(za, K.index(0)))) : x;
    KExpr wz = (zeros & 2) != 0 ? K.sub(w, K.cast(Scalar.I32, K.at(zb, K.axis(an)))) : w;
    Stage stage = Stage.of(y, List.of(am, an), K.sum(List.of(ak), K.mul(xz, wz)));
    Random random = new Random(7);
    byte[] as = new byte[m * k];
    byte[] bs = new byte[k * n];
    byte[] zas = new byte[1];
    byte[] zbs = new byte[n];
    for (byte[] bytes : List.of(as, bs, zas, zbs)) {
      random.nextBytes(bytes);
    }
    java.util.Arrays.fill(as, 0, Math.min(as.length, k), (byte) (left == Scalar.U8 ? 255 : -128));
    int[] ys = new int[m * n];
    List<Buf> inputs = new ArrayList<>(List.of(a, b));
    Map<String, Object> arrays =
        new HashMap<>(Map.of("in0", as, "in1", bs, "in2", zas, "in3", zbs, "out0", ys));
    inputs.addAll(List.of(za, zb));
    run(new Kernel("gemm", inputs, List.of(y), List.of(stage)), target, weights, arrays);
    int[] expected = new int[m * n];
    for (int i = 0; i < m; i++) {
      for (int j = 0; j < n; j++) {
        for (int p = 0; p < k; p++) {
          int u = value(left, as[i * k + p]) - ((zeros & 1) != 0 ? value(left, zas[0]) : 0);
          int v = value(right, bs[p * n + j]) - ((zeros & 2) != 0 ? value(right, zbs[j]) : 0);
          expected[i * n + j] += u * v;
        }
      }
    }
    assertArrayEquals(
        expected,
        ys,
        () ->
            target.name()
                + " "
                + m
                + "x"
                + n
                + "x"
                + k
                + " "
                + left
                + " "
                + right
                + " zeros "
                + zeros
                + " weights "
                + weights);
  }

  private static int value(Scalar type, byte code) {
    return type == Scalar.U8 ? code & 0xFF : code;
  }

  @Test
  void vnniUsesDot4() {
    String code =
        Scheduler.schedule(bytes(64), Target.nativeTarget("avx512vnni"), Set.of("in1"))
            .run()
            .toString();
    assertTrue(code.contains("Dot4"), code);
  }

  @Test
  void exactSumsConvertTheirRowsOnce() {
    Scheduled scheduled = Scheduler.schedule(bytes(64), Target.jvm(64), Set.of("in1"));
    List<Scheduled.Launch> launches = scheduled.run();
    assertEquals(2, launches.size());
    assertEquals("out0_exact", launches.getFirst().buffers().getFirst());
    List<LoopFunction.BufferParam> read = launches.getLast().function().buffers();
    assertTrue(
        read.stream().skip(1).allMatch(buffer -> buffer.element() == Scalar.F32), read.toString());
  }

  @Test
  void exactSumsOfOneBlockNeedNoTotals() {
    Target target = Target.jvm(64);
    String one = Scheduler.schedule(bytes(514), target, Set.of("in1")).run().toString();
    String two = Scheduler.schedule(bytes(515), target, Set.of("in1")).run().toString();
    assertFalse(one.contains("Alloc["), one);
    assertTrue(two.contains("Alloc["), two);
  }

  private static Kernel bytes(long depth) {
    Buf a = new Buf("in0", Scalar.U8, DimExpr.list(64, depth));
    Buf b = new Buf("in1", Scalar.I8, DimExpr.list(depth, 64));
    Buf y = new Buf("out0", Scalar.I32, DimExpr.list(64, 64));
    Axis m = axis("m", 64);
    Axis n = axis("n", 64);
    Axis k = axis("k", depth);
    KExpr product =
        K.mul(
            K.cast(Scalar.I32, K.at(a, K.axis(m), K.axis(k))),
            K.cast(Scalar.I32, K.at(b, K.axis(k), K.axis(n))));
    return new Kernel(
        "gemm",
        List.of(a, b),
        List.of(y),
        List.of(Stage.of(y, List.of(m, n), K.sum(List.of(k), product))));
  }
}
