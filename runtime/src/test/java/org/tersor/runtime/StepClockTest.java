package org.tersor.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What a clock tells of the steps of a plan. */
class StepClockTest {
  private static final DimExpr N = DimExpr.symbol("N");
  private static final long PAUSE = TimeUnit.MILLISECONDS.toNanos(2);

  private final List<Boolean> seen = new ArrayList<>();

  /** y = x + x, by way of t = x; the second step waits. */
  private PlanExecutable executable() {
    KernelCode copy =
        (arrays, offsets, dims, from, to) -> {
          seen.add(StepClock.isRunning());
          System.arraycopy(arrays[0], offsets[0], arrays[1], offsets[1], Math.toIntExact(dims[0]));
        };
    KernelCode add =
        (arrays, offsets, dims, from, to) -> {
          LockSupport.parkNanos(PAUSE);
          float[] a = (float[]) arrays[0];
          float[] b = (float[]) arrays[1];
          float[] y = (float[]) arrays[2];
          for (int i = 0; i < dims[0]; i++) {
            y[offsets[2] + i] = a[offsets[0] + i] + b[offsets[1] + i];
          }
        };
    Plan plan =
        new Plan(
            "clock",
            List.of("N"),
            List.of(new Executable.Port("x", DType.F32, List.of(N))),
            List.of(new Executable.Port("y", DType.F32, List.of(N))),
            List.of(
                new Plan.Buffer("x", DType.F32, N, Plan.Storage.INPUT, 0),
                new Plan.Buffer("t", DType.F32, N, Plan.Storage.ARENA, 0),
                new Plan.Buffer("y", DType.F32, N, Plan.Storage.OUTPUT, 0)),
            List.of("copy", "add"),
            List.of(),
            List.of(
                new Plan.Call(0, List.of(0, 1), List.of(N), DimExpr.ONE, "first"),
                new Plan.Call(1, List.of(0, 1, 2), List.of(N), DimExpr.ONE, "second"),
                // The same operand twice counts once.
                new Plan.Call(1, List.of(1, 1, 2), List.of(N), DimExpr.ONE, "third")));
    return new PlanExecutable(plan, List.of(copy, add), List.of(), 1, Map.of());
  }

  private static Tensor input(int n) {
    return Tensor.zeros(DType.F32, n);
  }

  @Test
  void stepsAreTimedAtEachSize() {
    PlanExecutable executable = executable();
    StepClock clock = new StepClock();
    for (int n : new int[] {8, 8, 5, 8}) {
      clock.during(() -> executable.run(Map.of("x", input(n))));
    }
    List<StepClock.Step> steps = clock.steps();
    assertEquals(
        List.of("first", "second", "third", "first", "second", "third"),
        steps.stream().map(StepClock.Step::origin).toList());
    assertEquals(
        List.of("copy", "add", "add"),
        steps.stream().limit(3).map(StepClock.Step::kernel).toList());
    assertEquals(
        List.of(3L, 3L, 3L, 1L, 1L, 1L), steps.stream().map(StepClock.Step::runs).toList());
    assertEquals(
        List.of(64L, 96L, 64L, 40L, 60L, 40L), steps.stream().map(StepClock.Step::bytes).toList());
    assertEquals(
        List.of(List.of(8L), List.of(5L)),
        Stream.of(0, 3).map(steps::get).map(StepClock.Step::arguments).toList());
    assertTrue(steps.get(1).nanos() >= PAUSE, "a step that waits takes that long");
    steps.forEach(step -> assertSame(steps.getFirst().plan(), step.plan()));
  }

  @Test
  void callsOutsideAreNotTimed() {
    PlanExecutable executable = executable();
    StepClock clock = new StepClock();
    executable.run(Map.of("x", input(3)));
    assertEquals(List.of(), clock.steps());
    assertFalse(StepClock.isRunning());
    clock.during(() -> executable.run(Map.of("x", input(3))));
    assertEquals(List.of(false, true), seen);
  }

  @Test
  void equalPartsOfAModelStayApart() {
    PlanExecutable one = executable();
    PlanExecutable other = executable();
    StepClock clock = new StepClock();
    clock.during(() -> one.run(Map.of("x", input(3))));
    clock.during(() -> other.run(Map.of("x", input(3))));
    assertEquals(6, clock.steps().size());
    assertTrue(clock.steps().stream().allMatch(step -> step.runs() == 1));
  }
}
