package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
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
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.LoopPrinter;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/** Depthwise convolutions of 8-bit codes, as scheduled, against the definition of their kernel. */
class WindowScheduleTest {
  private static final String TARGETS = "org.tersor.ir.schedule.SchedulerTest#targets";

  /** Image [n, h, w, c], weights [kh, kw, c], of a stride, a dilation and padding on all sides. */
  private record Case(
      int n, int h, int w, int c, int kh, int kw, int stride, int dilation, int pad) {
    int high() {
      return (h + 2 * pad - dilation * (kh - 1) - 1) / stride + 1;
    }

    int wide() {
      return (w + 2 * pad - dilation * (kw - 1) - 1) / stride + 1;
    }

    /**
     * @param centred whether no zero point of weights is subtracted
     */
    Kernel kernel(Scalar image, Scalar weight, boolean centred) {
      Buf x = new Buf("in0", image, shape(n, h, w, c));
      Buf k = new Buf("in1", weight, shape(kh, kw, c));
      Buf bias = new Buf("in2", Scalar.I32, shape(c));
      Buf zero = new Buf("in3", image, shape(1));
      Buf zeroK = new Buf("in4", weight, shape(1));
      Buf more = new Buf("in5", Scalar.I32, shape(n, high(), wide(), c));
      Buf y = new Buf("out0", Scalar.I32, more.shape());
      Axis an = axis("n", n);
      Axis oh = axis("oh", high());
      Axis ow = axis("ow", wide());
      Axis ac = axis("c", c);
      Axis ah = axis("kh", kh);
      Axis aw = axis("kw", kw);
      KExpr ih = at(oh, ah);
      KExpr iw = at(ow, aw);
      KExpr inside =
          K.and(
              K.and(K.ge(ih, K.index(0)), K.lt(ih, K.index(h))),
              K.and(K.ge(iw, K.index(0)), K.lt(iw, K.index(w))));
      KExpr code =
          K.sub(
              K.castInRange(Scalar.I32, K.at(x, K.axis(an), ih, iw, K.axis(ac))),
              K.castInRange(Scalar.I32, K.at(zero, K.index(0))));
      KExpr padded = pad == 0 ? code : K.select(inside, code, K.i32(0));
      KExpr tap = K.castInRange(Scalar.I32, K.at(k, K.axis(ah), K.axis(aw), K.axis(ac)));
      KExpr factor = centred ? tap : K.sub(tap, K.castInRange(Scalar.I32, K.at(zeroK, K.index(0))));
      KExpr sum = K.sum(List.of(ah, aw), K.mul(padded, factor));
      KExpr value =
          K.mul(
              K.add(K.add(sum, K.at(bias, K.axis(ac))), K.i32(1)),
              K.at(more, K.axis(an), K.axis(oh), K.axis(ow), K.axis(ac)));
      return new Kernel(
          "windows",
          List.of(x, k, bias, zero, zeroK, more),
          List.of(y),
          List.of(Stage.of(y, List.of(an, oh, ow, ac), value)));
    }

    private KExpr at(Axis out, Axis tap) {
      return K.add(
          K.add(K.mul(K.axis(out), K.index(stride)), K.mul(K.axis(tap), K.index(dilation))),
          K.index(-pad));
    }
  }

  private static List<DimExpr> shape(int... dims) {
    return Arrays.stream(dims).mapToObj(DimExpr::of).toList();
  }

  private static Axis axis(String name, int extent) {
    return new Axis(name, DimExpr.of(extent));
  }

  private static final List<Case> CASES =
      List.of(
          new Case(1, 7, 7, 32, 3, 3, 1, 1, 1),
          new Case(2, 9, 12, 20, 3, 3, 2, 1, 1),
          new Case(1, 8, 8, 16, 5, 5, 1, 1, 2),
          new Case(1, 10, 11, 33, 3, 3, 1, 2, 2),
          new Case(2, 6, 6, 16, 3, 3, 1, 1, 0),
          new Case(1, 3, 9, 17, 3, 2, 1, 1, 1),
          new Case(1, 1, 9, 16, 1, 3, 1, 1, 1),
          new Case(1, 9, 1, 16, 3, 1, 1, 1, 1),
          new Case(1, 2, 2, 16, 5, 5, 1, 1, 2),
          new Case(1, 5, 5, 4, 3, 3, 1, 1, 1));

  private static void check(Target target, Kernel kernel, Set<String> weights, String what) {
    KernelTestKit kit = KernelTestKit.of(kernel, Map.of(), weights, new Random(what.hashCode()));
    kit.check(target, LoopInterpreter::compile);
  }

  @ParameterizedTest
  @MethodSource(TARGETS)
  void everyKindOfCodeAndWindow(Target target) {
    for (Case sizes : CASES) {
      for (Scalar image : List.of(Scalar.U8, Scalar.I8)) {
        for (Scalar weight : List.of(Scalar.I8, Scalar.U8)) {
          for (boolean centred : new boolean[] {true, false}) {
            String what = target.name() + sizes + image + weight + centred;
            Kernel kernel = sizes.kernel(image, weight, centred);
            check(target, kernel, Set.of("in1", "in2", "in3", "in4"), what);
          }
        }
      }
    }
  }

  @Test
  void sumsFourBytesAtATime() {
    Target target = Target.nativeTarget("avx512vnni");
    Kernel kernel = CASES.getFirst().kernel(Scalar.U8, Scalar.I8, true);
    assertEquals(
        // Three words for each of four windows, and for one.
        15, dots(kernel, target, Set.of("in1", "in2", "in3", "in4")));
    assertEquals(0, dots(kernel, target, Set.of()), "weights that are inputs");
    assertEquals(
        0,
        dots(
            CASES.getFirst().kernel(Scalar.U8, Scalar.I8, false),
            target,
            Set.of("in1", "in2", "in3", "in4")),
        "weights with a zero point");
  }

  private static int dots(Kernel kernel, Target target, Set<String> weights) {
    return Scheduler.schedule(kernel, target, weights).run().stream()
        .mapToInt(launch -> LoopPrinter.print(launch.function()).split("dot4", -1).length - 1)
        .sum();
  }
}
