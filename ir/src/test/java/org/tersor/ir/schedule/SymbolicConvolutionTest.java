package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

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
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/** Padded convolutions over images whose size is known at run time only. */
class SymbolicConvolutionTest {
  private static final int TAPS = 3;
  private static final int CHANNELS = 6;
  private static final int RESULTS = 20;

  private static final DimExpr HIGH = DimExpr.symbol("h");
  private static final DimExpr WIDE = DimExpr.symbol("w");

  private static DimExpr outputs(DimExpr extent, int step) {
    return extent.minus(1).floorDiv(step).plus(1);
  }

  private static KExpr inside(KExpr at, DimExpr extent) {
    return K.and(K.ge(at, K.index(0)), K.lt(at, K.dim(extent)));
  }

  private static Kernel kernel(int step) {
    Buf x = new Buf("in0", Scalar.F32, List.of(HIGH, WIDE, DimExpr.of(CHANNELS)));
    Buf weights = SchedulerTest.f32("in1", TAPS, TAPS, CHANNELS, RESULTS);
    Axis oh = new Axis("oh", outputs(HIGH, step));
    Axis ow = new Axis("ow", outputs(WIDE, step));
    Axis o = SchedulerTest.axis("o", RESULTS);
    Axis kh = SchedulerTest.axis("kh", TAPS);
    Axis kw = SchedulerTest.axis("kw", TAPS);
    Axis c = SchedulerTest.axis("c", CHANNELS);
    KExpr ih = K.add(K.add(K.mul(K.axis(oh), K.index(step)), K.axis(kh)), K.index(-1));
    KExpr iw = K.add(K.add(K.mul(K.axis(ow), K.index(step)), K.axis(kw)), K.index(-1));
    KExpr read =
        K.select(K.and(inside(ih, HIGH), inside(iw, WIDE)), K.at(x, ih, iw, K.axis(c)), K.f32(0));
    KExpr sum =
        K.sum(
            List.of(kh, kw, c),
            K.mul(read, K.at(weights, K.axis(kh), K.axis(kw), K.axis(c), K.axis(o))));
    Buf y = new Buf("out0", Scalar.F32, List.of(oh.extent(), ow.extent(), DimExpr.of(RESULTS)));
    return new Kernel(
        "conv", List.of(x, weights), List.of(y), List.of(Stage.of(y, List.of(oh, ow, o), sum)));
  }

  @ParameterizedTest
  @MethodSource("org.tersor.ir.schedule.SchedulerTest#targets")
  void everySizeGivesWhatTheKernelSays(Target target) {
    for (int step : new int[] {1, 2}) {
      for (long[] size : new long[][] {{9, 11}, {1, 1}, {4, 33}, {2, 0}}) {
        KernelTestKit.of(
                kernel(step), Map.of("h", size[0], "w", size[1]), Set.of("in1"), new Random(step))
            .check(target, LoopInterpreter::compile);
      }
    }
  }

  @Test
  void sumsReadAPaddedCopy() {
    Scheduled scheduled =
        Scheduler.schedule(kernel(2), Target.nativeTarget("avx512vnni"), Set.of("in1"));
    List<String> copies =
        scheduled.temporaries().stream()
            .map(Scheduled.Temporary::name)
            .filter(name -> name.endsWith("_pad0"))
            .toList();
    assertEquals(1, copies.size(), scheduled.temporaries().toString());
    assertTrue(
        scheduled.run().getLast().buffers().contains(copies.getFirst()),
        "the product reads something else");
  }

  @Test
  void rowsAreAnAxisOfKnownExtent() {
    Axis batch = new Axis("n", DimExpr.symbol("n"));
    Axis m = SchedulerTest.axis("m", 508);
    Axis o = SchedulerTest.axis("o", RESULTS);
    Axis t = SchedulerTest.axis("t", TAPS);
    Axis k = SchedulerTest.axis("k", CHANNELS);
    Buf x = new Buf("in0", Scalar.F32, List.of(batch.extent(), DimExpr.of(510), k.extent()));
    Buf w = SchedulerTest.f32("in1", TAPS, CHANNELS, RESULTS);
    Buf y = new Buf("out0", Scalar.F32, List.of(batch.extent(), m.extent(), o.extent()));
    KExpr read = K.at(x, K.axis(batch), K.add(K.axis(m), K.axis(t)), K.axis(k));
    KExpr sum = K.sum(List.of(t, k), K.mul(read, K.at(w, K.axis(t), K.axis(k), K.axis(o))));
    Stage stage = StageSimplifier.simplify(Stage.of(y, List.of(batch, m, o), sum));
    assertEquals(m, Contraction.match(stage).orElseThrow().m().orElseThrow());
  }
}
