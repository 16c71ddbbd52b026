package org.tersor.cli;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.tersor.runtime.Executable;
import org.tersor.runtime.StepClock;
import org.tersor.runtime.Tensor;

/** {@code tersor bench --profile}: which kernel a run spends its time in. */
final class Profile {
  private static final int ORIGIN = 60;

  private Profile() {}

  static void print(
      Common common,
      Executable executable,
      Map<String, Tensor> inputs,
      double warmupSeconds,
      int rounds) {
    Map<String, Tensor> outputs = executable.run(inputs);
    for (long end = System.nanoTime() + (long) (warmupSeconds * 1e9); System.nanoTime() < end; ) {
      executable.run(inputs, outputs);
    }
    StepClock clock = new StepClock();
    for (int round = 0; round < rounds; round++) {
      clock.during(() -> executable.run(inputs, outputs));
    }
    List<StepClock.Step> steps =
        clock.steps().stream()
            .sorted(Comparator.comparingDouble(step -> -micros(step, rounds)))
            .toList();
    double all = steps.stream().mapToDouble(step -> micros(step, rounds)).sum();
    common.sayJson(
        Map.of(
            "microsPerRun", all, "steps", steps.stream().map(step -> json(step, rounds)).toList()));
    common.say("%9s %6s %8s  %-24s %s", "us", "share", "GB/s", "kernel", "computes");
    for (StepClock.Step step : steps) {
      common.say(
          "%9.1f %5.1f%% %8.2f  %-24s %s",
          micros(step, rounds),
          100 * micros(step, rounds) / all,
          (double) step.bytes() / Math.max(1, step.nanos()),
          step.kernel(),
          shortened(step.origin()));
    }
    common.say("%9.1f us a run in %d steps (medians)", all, steps.size());
  }

  /** Time in one run of the model. */
  private static double micros(StepClock.Step step, int rounds) {
    return step.nanos() / 1e3 * step.runs() / rounds;
  }

  private static Map<String, Object> json(StepClock.Step step, int rounds) {
    return Map.of(
        "kernel", step.kernel(),
        "computes", step.origin(),
        "micros", micros(step, rounds),
        "runs", step.runs() / (double) rounds,
        "bytes", step.bytes());
  }

  private static String shortened(String origin) {
    return origin.length() > ORIGIN ? origin.substring(0, ORIGIN) + "..." : origin;
  }
}
