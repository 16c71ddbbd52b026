package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;

/** Windows over [H, W, C] that reach beyond the image: sums with weights, extrema, averages. */
class BorderWindowsTest {
  /** A window of {@code size}, with {@code pad} elements before and the same behind the image. */
  record Shape(int high, int wide, int channels, int size, int step, int dilation, int pad) {
    int outputs(int extent) {
      return (extent + 2 * pad - (size - 1) * dilation - 1) / step + 1;
    }
  }

  record Case(Target target, Shape shape) {
    @Override
    public String toString() {
      return target.name() + " " + shape;
    }
  }

  static Stream<Case> cases() {
    List<Target> targets =
        List.of(Target.jvm(64), Target.jvm(16), Target.jvm(0), Target.nativeTarget("avx2"));
    List<Shape> shapes =
        List.of(
            new Shape(7, 9, 20, 3, 1, 1, 1),
            new Shape(9, 8, 32, 3, 2, 1, 1),
            new Shape(8, 7, 16, 5, 1, 1, 2),
            new Shape(11, 6, 17, 3, 1, 2, 2),
            new Shape(5, 5, 16, 13, 1, 1, 6),
            new Shape(3, 2, 33, 5, 2, 1, 2),
            new Shape(1, 6, 16, 3, 1, 1, 1),
            new Shape(6, 6, 16, 3, 3, 1, 2));
    return targets.stream().flatMap(t -> shapes.stream().map(s -> new Case(t, s)));
  }

  /** The parts of a kernel over windows. */
  private record Parts(Shape shape, Axis oh, Axis ow, Axis c, Axis kh, Axis kw, Buf x, Buf y) {
    static Parts of(Shape s) {
      return new Parts(
          s,
          SchedulerTest.axis("oh", s.outputs(s.high)),
          SchedulerTest.axis("ow", s.outputs(s.wide)),
          SchedulerTest.axis("c", s.channels),
          SchedulerTest.axis("kh", s.size),
          SchedulerTest.axis("kw", s.size),
          SchedulerTest.f32("in0", s.high, s.wide, s.channels),
          SchedulerTest.f32("out0", s.outputs(s.high), s.outputs(s.wide), s.channels));
    }

    private KExpr position(Axis output, Axis tap) {
      return K.sub(
          K.add(
              K.mul(K.axis(output), K.index(shape.step)),
              K.mul(K.axis(tap), K.index(shape.dilation))),
          K.index(shape.pad));
    }

    private static KExpr inside(KExpr at, int extent) {
      return K.and(K.ge(at, K.index(0)), K.lt(at, K.index(extent)));
    }

    KExpr guarded(KExpr value, double outside) {
      KExpr inside =
          K.and(inside(position(oh, kh), shape.high), inside(position(ow, kw), shape.wide));
      return K.select(inside, value, K.literal(Scalar.F32, outside));
    }

    KExpr read() {
      return K.at(x, position(oh, kh), position(ow, kw), K.axis(c));
    }

    Kernel kernel(List<Buf> inputs, KExpr value) {
      return new Kernel(
          "windows", inputs, List.of(y), List.of(Stage.of(y, List.of(oh, ow, c), value)));
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void sumsWithWeights(Case test) {
    Parts p = Parts.of(test.shape);
    Buf w = SchedulerTest.f32("in1", test.shape.size, test.shape.size, test.shape.channels);
    KExpr weight = K.at(w, K.axis(p.kh), K.axis(p.kw), K.axis(p.c));
    KExpr sum = K.sum(List.of(p.kh, p.kw), K.mul(p.guarded(p.read(), 0), weight));
    float[] xs = numbers(p.x, 1);
    float[] ws = numbers(w, 2);
    float[] ys = run(p.kernel(List.of(p.x, w), sum), test.target, Map.of("in0", xs, "in1", ws));
    assertArrayEquals(
        expected(
            p,
            xs,
            values -> {
              float total = 0;
              for (Tap tap : values) {
                total += tap.value * ws[tap.number * test.shape.channels + tap.channel];
              }
              return total;
            }),
        ys);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void extrema(Case test) {
    Parts p = Parts.of(test.shape);
    float[] xs = numbers(p.x, 3);
    xs[5] = Float.NaN;
    for (boolean most : new boolean[] {true, false}) {
      double outside = most ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY;
      KExpr fold =
          K.fold(
              most ? ReduceOp.MAX : ReduceOp.MIN,
              List.of(p.kh, p.kw),
              p.guarded(p.read(), outside));
      float[] ys = run(p.kernel(List.of(p.x), fold), test.target, Map.of("in0", xs));
      float[] expected =
          expected(
              p,
              xs,
              values -> {
                float best = (float) outside;
                for (Tap tap : values) {
                  best = most ? Math.max(best, tap.value) : Math.min(best, tap.value);
                }
                return best;
              });
      assertArrayEquals(expected, ys);
    }
  }

  /** A value outside that counts keeps its guards: it is the greatest here. */
  @ParameterizedTest
  @MethodSource("cases")
  void extremaWithPaddingThatCounts(Case test) {
    Parts p = Parts.of(test.shape);
    float[] xs = numbers(p.x, 4);
    KExpr fold = K.fold(ReduceOp.MAX, List.of(p.kh, p.kw), p.guarded(p.read(), 100));
    float[] ys = run(p.kernel(List.of(p.x), fold), test.target, Map.of("in0", xs));
    int taps = test.shape.size * test.shape.size;
    assertArrayEquals(
        expected(
            p,
            xs,
            values -> {
              float best = values.size() < taps ? 100 : Float.NEGATIVE_INFINITY;
              for (Tap tap : values) {
                best = Math.max(best, tap.value);
              }
              return best;
            }),
        ys);
  }

  /** Two folds of the same axes, one of which reads nothing. */
  @ParameterizedTest
  @MethodSource("cases")
  void averagesOfWhatIsThere(Case test) {
    Parts p = Parts.of(test.shape);
    float[] xs = numbers(p.x, 5);
    List<Axis> taps = List.of(p.kh, p.kw);
    KExpr sum = K.sum(taps, p.guarded(p.read(), 0));
    KExpr count = K.sum(taps, p.guarded(K.f32(1), 0));
    KExpr all = K.sum(taps, K.f32(1));
    KExpr value = K.add(K.div(sum, K.binary(BinaryOp.MAX, count, K.f32(1))), all);
    float[] ys = run(p.kernel(List.of(p.x), value), test.target, Map.of("in0", xs));
    assertArrayEquals(
        expected(
            p,
            xs,
            values -> {
              float total = 0;
              for (Tap tap : values) {
                total += tap.value;
              }
              return total / Math.max(1, values.size()) + test.shape.size * test.shape.size;
            }),
        ys);
  }

  /** Large windows take their extrema by rows and columns. */
  @Test
  void largeWindowsAreSplit() {
    Parts p = Parts.of(new Shape(13, 13, 16, 13, 1, 1, 6));
    KExpr fold =
        K.fold(ReduceOp.MAX, List.of(p.kh, p.kw), p.guarded(p.read(), Double.NEGATIVE_INFINITY));
    assertEquals(2, SeparableExtrema.apply(p.kernel(List.of(p.x), fold)).stages().size());
    Parts small = Parts.of(new Shape(13, 13, 16, 3, 2, 1, 1));
    KExpr three =
        K.fold(
            ReduceOp.MAX,
            List.of(small.kh, small.kw),
            small.guarded(small.read(), Double.NEGATIVE_INFINITY));
    assertEquals(1, SeparableExtrema.apply(small.kernel(List.of(small.x), three)).stages().size());
  }

  /** No read of a window needs a mask where what is outside adds nothing. */
  @Test
  void nothingIsMasked() {
    Parts p = Parts.of(new Shape(7, 9, 32, 3, 1, 1, 1));
    Buf w = SchedulerTest.f32("in1", 3, 3, 32);
    KExpr weight = K.at(w, K.axis(p.kh), K.axis(p.kw), K.axis(p.c));
    KExpr sum = K.sum(List.of(p.kh, p.kw), K.mul(p.guarded(p.read(), 0), weight));
    Scheduled scheduled =
        Scheduler.schedule(p.kernel(List.of(p.x, w), sum), Target.jvm(64), Set.of("in1"));
    assertEquals(1, scheduled.run().size());
    String text = LoopPrinter.print(scheduled.run().getFirst().function());
    assertTrue(!text.contains(" if ") && !text.contains("select"), text);
  }

  /**
   * Of four windows in a row that are summed together, each element is read once, and weights
   * before the loop over windows where that is the inner one.
   */
  @ParameterizedTest
  @ValueSource(ints = {32, 1024})
  void neighboursShareWhatTheyRead(int channels) {
    boolean windowsInside = channels == 32;
    Parts p = Parts.of(new Shape(14, 14, channels, 3, 1, 1, 1));
    Buf w = SchedulerTest.f32("in1", 3, 3, channels);
    KExpr weight = K.at(w, K.axis(p.kh), K.axis(p.kw), K.axis(p.c));
    KExpr sum = K.sum(List.of(p.kh, p.kw), K.mul(p.guarded(p.read(), 0), weight));
    Scheduled scheduled =
        Scheduler.schedule(p.kernel(List.of(p.x, w), sum), Target.jvm(64), Set.of("in1"));
    String text = LoopPrinter.print(scheduled.run().getFirst().function());
    List<String> loops =
        Pattern.compile("for [^{]*\\{[^{}]*\\}")
            .matcher(text)
            .results()
            .map(MatchResult::group)
            .filter(loop -> count(loop, "out0[") == 4)
            .toList();
    assertEquals(3, loops.size(), "above, between and below: " + text);
    assertEquals(List.of(2 * 6, 3 * 6, 2 * 6), loops.stream().map(l -> count(l, "in0[")).toList());
    assertEquals(
        windowsInside ? List.of(0, 0, 0) : List.of(2 * 3, 3 * 3, 2 * 3),
        loops.stream().map(l -> count(l, "in1[")).toList());
  }

  private static int count(String text, String part) {
    return text.split(Pattern.quote(part), -1).length - 1;
  }

  private record Tap(int number, int channel, float value) {}

  /** Every result from the taps that lie in the image, in order. */
  private static float[] expected(Parts p, float[] xs, ToDoubleFunction<List<Tap>> of) {
    Shape s = p.shape;
    float[] ys = new float[(int) p.y.elements().constValue()];
    for (int i = 0; i < ys.length; i++) {
      int channel = i % s.channels;
      int column = i / s.channels % s.outputs(s.wide);
      int row = i / s.channels / s.outputs(s.wide);
      List<Tap> taps = new ArrayList<>();
      for (int t = 0; t < s.size * s.size; t++) {
        int h = row * s.step + t / s.size * s.dilation - s.pad;
        int w = column * s.step + t % s.size * s.dilation - s.pad;
        if (h >= 0 && h < s.high && w >= 0 && w < s.wide) {
          taps.add(new Tap(t, channel, xs[(h * s.wide + w) * s.channels + channel]));
        }
      }
      ys[i] = (float) of.applyAsDouble(taps);
    }
    return ys;
  }

  private static float[] run(Kernel kernel, Target target, Map<String, float[]> inputs) {
    Map<String, Object> all = new HashMap<>(inputs);
    float[] result = new float[(int) kernel.outputs().getFirst().elements().constValue()];
    all.put("out0", result);
    SchedulerTest.run(kernel, target, Set.of("in1"), all);
    return result;
  }

  /** Multiples of 1/8, whose sums of products are exact. */
  private static float[] numbers(Buf buffer, long seed) {
    Random random = new Random(seed);
    float[] values = new float[(int) buffer.elements().constValue()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (random.nextInt(65) - 32) / 8f;
    }
    return values;
  }
}
