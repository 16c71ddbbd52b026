package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Convolutions by tiles against the definition of the plain kernel. */
class WinogradTest {
  private static final String TARGETS = "org.tersor.ir.schedule.SchedulerTest#targets";
  private static final Set<String> WEIGHTS = Set.of("in1", "in2");

  /**
   * Image [n, h, w, groups * c], filters [groups * f, c, 3, 3], padding before and behind rows and
   * columns.
   */
  private record Case(
      int n, int h, int w, int groups, int c, int f, int step, int[] high, int[] wide) {
    Kernel kernel() {
      int rows = (h + high[0] + high[1] - 3) / step + 1;
      int columns = (w + wide[0] + wide[1] - 3) / step + 1;
      Buf x = f32("in0", n, h, w, groups * c);
      Buf k = f32("in1", groups * f, c, 3, 3);
      Buf bias = f32("in2", groups * f);
      Buf more = f32("in3", n, rows, columns, groups * f);
      Buf y = f32("out0", n, rows, columns, groups * f);
      Axis an = axis("n", n);
      Axis g = axis("g", groups);
      Axis m = axis("m", f);
      Axis oh = axis("oh", rows);
      Axis ow = axis("ow", columns);
      Axis ic = axis("ic", c);
      Axis kh = axis("kh", 3);
      Axis kw = axis("kw", 3);
      KExpr ih = at(oh, kh, high[0]);
      KExpr iw = at(ow, kw, wide[0]);
      KExpr inside =
          K.and(
              K.and(K.ge(ih, K.index(0)), K.lt(ih, K.index(h))),
              K.and(K.ge(iw, K.index(0)), K.lt(iw, K.index(w))));
      KExpr channel = K.add(K.mul(K.axis(g), K.index(f)), K.axis(m));
      KExpr read = K.at(x, K.axis(an), ih, iw, K.add(K.mul(K.axis(g), K.index(c)), K.axis(ic)));
      boolean pads = high[0] + high[1] + wide[0] + wide[1] > 0;
      KExpr sum =
          K.sum(
              List.of(ic, kh, kw),
              K.mul(
                  pads ? K.select(inside, read, K.f32(0)) : read,
                  K.at(k, channel, K.axis(ic), K.axis(kh), K.axis(kw))));
      List<KExpr> target = List.of(K.axis(an), K.axis(oh), K.axis(ow), channel);
      KExpr value =
          K.binary(
              BinaryOp.MAX,
              K.add(K.add(sum, K.at(bias, channel)), new KExpr.At(more, target)),
              K.f32(-3));
      List<Axis> axes = new ArrayList<>(List.of(an, g, m, oh, ow));
      axes.removeIf(a -> a.extent().isConst(1));
      return new Kernel(
          "conv",
          List.of(x, k, bias, more),
          List.of(y),
          List.of(new Stage(y, axes, target, value)));
    }

    private KExpr at(Axis out, Axis tap, int pad) {
      return K.add(K.add(K.mul(K.axis(out), K.index(step)), K.axis(tap)), K.index(-pad));
    }
  }

  private static Buf f32(String name, int... shape) {
    return new Buf(name, Scalar.F32, Arrays.stream(shape).mapToObj(DimExpr::of).toList());
  }

  private static Axis axis(String name, int extent) {
    return new Axis(name, DimExpr.of(extent));
  }

  private static final List<Case> CASES =
      List.of(
          new Case(1, 8, 8, 1, 16, 16, 1, new int[] {1, 1}, new int[] {1, 1}),
          new Case(2, 7, 9, 1, 5, 18, 1, new int[] {1, 1}, new int[] {1, 1}),
          new Case(1, 10, 6, 2, 4, 17, 1, new int[] {0, 2}, new int[] {1, 0}),
          new Case(2, 5, 5, 1, 3, 16, 1, new int[] {0, 0}, new int[] {0, 0}),
          new Case(1, 3, 12, 1, 8, 20, 1, new int[] {2, 2}, new int[] {0, 1}));

  private static final int SEED = 5;

  @ParameterizedTest
  @MethodSource(TARGETS)
  void everyPaddingAndGroup(Target target) {
    for (Case sizes : CASES) {
      for (WinogradTile tile : WinogradTile.values()) {
        Kernel plain = sizes.kernel();
        Kernel tiled = Winograd.rewrite(plain, WEIGHTS, tile).orElseThrow();
        Tensor expected =
            KernelTestKit.of(plain, Map.of(), WEIGHTS, new Random(SEED)).expected().getFirst();
        float[] actual =
            (float[])
                KernelTestKit.of(tiled, Map.of(), WEIGHTS, new Random(SEED))
                    .run(target, LoopInterpreter::compile)
                    .getFirst();
        // Products of numbers up to 8: each sum is within 64 times its length of 0.
        double most = 64.0 * 9 * sizes.c * (tile == WinogradTile.F2 ? 1e-6 : 1e-5);
        for (int i = 0; i < actual.length; i++) {
          assertEquals(
              expected.getDouble(i), actual[i], most, target.name() + " " + tile + " " + sizes);
        }
      }
    }
  }

  @Test
  void othersStayAsTheyAre() {
    Case twoSteps = new Case(1, 9, 9, 1, 16, 16, 2, new int[] {1, 1}, new int[] {1, 1});
    assertEquals(Optional.empty(), Winograd.rewrite(twoSteps.kernel(), WEIGHTS, WinogradTile.F2));
    assertEquals(
        Optional.empty(),
        Winograd.rewrite(CASES.getFirst().kernel(), Set.of(), WinogradTile.F2),
        "weights that are inputs");
  }

  @Test
  void tilesAreChosenByWhatTheyCost() {
    Kernel large = new Case(1, 56, 56, 1, 64, 64, 1, new int[] {1, 1}, new int[] {1, 1}).kernel();
    assertEquals(List.of("4 x 4"), chosen(large, Winograd.Tiles.AUTO));
    assertEquals(List.of("2 x 2"), chosen(large, Winograd.Tiles.SMALL));
    assertTrue(Winograd.rewrite(large, WEIGHTS, Winograd.Tiles.OFF).isEmpty());
    Kernel thin = CASES.get(1).kernel();
    assertTrue(Winograd.rewrite(thin, WEIGHTS, Winograd.Tiles.AUTO).isEmpty());
  }

  private static List<String> chosen(Kernel kernel, Winograd.Tiles tiles) {
    return Winograd.rewrite(kernel, WEIGHTS, tiles).orElseThrow().tiles();
  }
}
