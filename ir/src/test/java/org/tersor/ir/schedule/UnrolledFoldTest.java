package org.tersor.ir.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.tersor.ir.schedule.SchedulerTest.axis;
import static org.tersor.ir.schedule.SchedulerTest.f32;
import static org.tersor.ir.schedule.SchedulerTest.random;
import static org.tersor.ir.schedule.SchedulerTest.run;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.LoopPrinter;

/** How often the terms of a fold are written out. */
class UnrolledFoldTest {
  private static final int TERMS = 12;
  private static final Buf X = f32("in0", TERMS);
  private static final Buf Y = f32("out0");
  private static final Axis I = axis("i", TERMS);

  private static Kernel kernel(KExpr value) {
    return new Kernel("fold", List.of(X), List.of(Y), List.of(Stage.of(Y, List.of(), value)));
  }

  private static String loops(Kernel kernel, Target target) {
    StringBuilder text = new StringBuilder();
    for (Scheduled.Launch launch : Scheduler.schedule(kernel, target, Set.of()).run()) {
      text.append(LoopPrinter.print(launch.function()));
    }
    return text.toString();
  }

  private static long count(String text, String pattern) {
    return Pattern.compile(pattern).matcher(text).results().count();
  }

  /** The sign of a sum reads it in a condition and again in what depends on that condition. */
  @ParameterizedTest
  @MethodSource("org.tersor.ir.schedule.SchedulerTest#targets")
  void whatAConditionNeededIsKnownBehindIt(Target target) {
    KExpr term = K.at(X, K.axis(I));
    KExpr kept = K.select(K.gt(term, K.f32(0)), K.mul(term, term), K.f32(0));
    KExpr sum = K.sum(List.of(I), kept);
    KExpr sign =
        K.select(
            K.gt(sum, K.f32(5)),
            K.f32(1),
            K.select(K.lt(sum, K.f32(3)), K.f32(-1), K.mul(sum, K.f32(100))));
    Kernel kernel = kernel(sign);
    assertEquals(1, count(loops(kernel, target), "local acc"), target.name());
    float[] y = new float[1];
    run(kernel, target, Set.of(), Map.of("in0", random(TERMS, 1), "out0", y));
    assertEquals(1, y[0]);
    float[] four = new float[TERMS];
    four[7] = 2;
    run(kernel, target, Set.of(), Map.of("in0", four, "out0", y));
    assertEquals(400, y[0]);
    run(kernel, target, Set.of(), Map.of("in0", new float[TERMS], "out0", y));
    assertEquals(-1, y[0]);
  }

  /** Terms of few reads and many operations stay a loop; a short one is written out. */
  @ParameterizedTest
  @ValueSource(ints = {2, 100})
  void longTermsStayALoop(int operations) {
    KExpr term = K.at(X, K.axis(I));
    for (int i = 0; i < operations; i++) {
      term = K.add(K.mul(term, K.f32(.5)), K.f32(i));
    }
    KExpr sum = K.sum(List.of(I), K.max(term, K.f32(0)));
    Kernel kernel = kernel(sum);
    long turns = count(loops(kernel, Target.jvm(0)), "acc\\d+ = ");
    assertEquals(
        operations == 2 ? TERMS : 1, turns - count(loops(kernel, Target.jvm(0)), "local acc"));
    float[] y = new float[1];
    run(kernel, Target.jvm(0), Set.of(), Map.of("in0", new float[TERMS], "out0", y));
    double expected = 0;
    for (int i = 0; i < operations; i++) {
      expected = expected * .5 + i;
    }
    assertEquals(TERMS * expected, y[0], 1e-3);
  }
}
