package org.tersor.conformance;

import java.util.Arrays;
import java.util.Map;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/**
 * Times an executable against the reference: both are warmed up, then take turns, with quiet in
 * between.
 */
public final class Duel {
  private static final long QUIET_MILLIS = 20;

  private Duel() {}

  /**
   * How long and how often.
   *
   * @param warmupSeconds least time of the executable's warm-up; the reference gets a third of it
   * @param roundSeconds time of one turn (at least one run)
   */
  public record Settings(double warmupSeconds, int rounds, double roundSeconds) {
    public static final Settings DEFAULT = new Settings(1.5, 15, .05);
  }

  /**
   * Medians over the rounds of the medians of each round.
   *
   * @param ratio reference time by own time: above 1 the executable is faster
   * @param spread of the ratios of single rounds: (third quartile - first quartile) / median
   */
  public record Result(
      double tersorMs, double ortMs, double ratio, double spread, int rounds, int runsPerRound) {}

  /** Runs it; the outputs of the executable are allocated once and reused. */
  public static Result run(
      Executable executable,
      Reference.Session session,
      Map<String, Tensor> inputs,
      Settings settings) {
    session.prepare(inputs);
    Map<String, Tensor> outputs = executable.run(inputs);
    long perRun = warmUp(executable, inputs, outputs, settings.warmupSeconds());
    long[] first = session.time(3);
    int refRuns = runs(settings.warmupSeconds() / 3, median(first));
    long refPerRun = median(session.time(refRuns));
    int ours = runs(settings.roundSeconds(), perRun);
    int theirs = runs(settings.roundSeconds(), refPerRun);
    double[] own = new double[settings.rounds()];
    double[] other = new double[settings.rounds()];
    double[] ratios = new double[settings.rounds()];
    for (int round = 0; round < settings.rounds(); round++) {
      quiet();
      own[round] = median(time(executable, inputs, outputs, ours)) / 1e6;
      quiet();
      other[round] = median(session.time(theirs)) / 1e6;
      ratios[round] = other[round] / own[round];
    }
    Arrays.sort(own);
    Arrays.sort(other);
    Arrays.sort(ratios);
    int n = ratios.length;
    double spread = (ratios[3 * n / 4] - ratios[n / 4]) / ratios[n / 2];
    return new Result(own[n / 2], other[n / 2], other[n / 2] / own[n / 2], spread, n, ours);
  }

  /** Times the executable alone; {@code ortMs} and {@code ratio} are NaN. */
  public static Result alone(Executable executable, Map<String, Tensor> inputs, Settings settings) {
    Map<String, Tensor> outputs = executable.run(inputs);
    int runs =
        runs(
            settings.roundSeconds(), warmUp(executable, inputs, outputs, settings.warmupSeconds()));
    double[] own = new double[settings.rounds()];
    for (int round = 0; round < own.length; round++) {
      quiet();
      own[round] = median(time(executable, inputs, outputs, runs)) / 1e6;
    }
    Arrays.sort(own);
    int n = own.length;
    return new Result(
        own[n / 2], Double.NaN, Double.NaN, (own[3 * n / 4] - own[n / 4]) / own[n / 2], n, runs);
  }

  private static int runs(double seconds, long nanosPerRun) {
    return (int) Math.max(1, Math.min(100_000, seconds * 1e9 / Math.max(1, nanosPerRun)));
  }

  private static long warmUp(
      Executable executable,
      Map<String, Tensor> inputs,
      Map<String, Tensor> outputs,
      double seconds) {
    long end = System.nanoTime() + (long) (seconds * 1e9);
    long last = Long.MAX_VALUE;
    int runs = 0;
    do {
      long start = System.nanoTime();
      executable.run(inputs, outputs);
      last = Math.min(last, System.nanoTime() - start);
      runs++;
    } while (System.nanoTime() < end || runs < 3);
    return last;
  }

  private static long[] time(
      Executable executable, Map<String, Tensor> inputs, Map<String, Tensor> outputs, int runs) {
    long[] times = new long[runs];
    for (int i = 0; i < runs; i++) {
      long start = System.nanoTime();
      executable.run(inputs, outputs);
      times[i] = System.nanoTime() - start;
    }
    return times;
  }

  private static long median(long[] times) {
    long[] sorted = times.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  private static void quiet() {
    try {
      Thread.sleep(QUIET_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
