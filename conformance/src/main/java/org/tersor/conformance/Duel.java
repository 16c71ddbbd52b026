package org.tersor.conformance;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.WarmUp;

/**
 * Times an executable against the reference: both are warmed up, then take turns, with quiet in
 * between.
 */
public final class Duel {
  private static final long QUIET_MILLIS = 20;

  /** A JVM compiles a large model's kernels for many seconds while it runs them. */
  private static final int LONGEST_WARMUP = 40;

  private Duel() {}

  /**
   * How long and how often.
   *
   * @param warmupSeconds least time of the executable's warm-up, which goes on while runs still
   *     become faster, up to {@value #LONGEST_WARMUP} times that; the reference gets a third of it
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
   * @param firstMs the executable's first call
   * @param warmupSeconds time until the executable's runs did not become faster any more and
   *     HotSpot had nothing left to compile
   */
  public record Result(
      double tersorMs,
      double ortMs,
      double ratio,
      double spread,
      int rounds,
      int runsPerRound,
      double firstMs,
      double warmupSeconds) {}

  /**
   * An executable whose code cannot read Java arrays. When it is timed, inputs are in its memory
   * before, and results stay there: those of ONNX Runtime are and do, too.
   */
  public interface Placing {
    /** A call on these inputs, to be made again and again by one thread. */
    Runnable placed(Map<String, Tensor> inputs);
  }

  /**
   * Calls on the same inputs; outputs are allocated once.
   *
   * @param firstMs the first of them
   */
  private record Calls(Runnable again, double firstMs) {
    static Calls of(Executable executable, Map<String, Tensor> inputs) {
      if (executable instanceof Placing placing) {
        Runnable call = placing.placed(inputs);
        long begin = System.nanoTime();
        call.run();
        return new Calls(call, (System.nanoTime() - begin) / 1e6);
      }
      long begin = System.nanoTime();
      Map<String, Tensor> outputs = executable.run(inputs);
      double ms = (System.nanoTime() - begin) / 1e6;
      return new Calls(() -> executable.run(inputs, outputs), ms);
    }
  }

  /** Runs it; the outputs of the executable are allocated once and reused. */
  public static Result run(
      Executable executable,
      Reference.Session session,
      Map<String, Tensor> inputs,
      Settings settings) {
    session.prepare(inputs);
    Calls first = Calls.of(executable, inputs);
    Runnable calls = first.again();
    WarmUp.Warm warm = warmUp(calls, settings.warmupSeconds());
    int refRuns = runs(settings.warmupSeconds() / 3, median(session.time(3)));
    long refPerRun = median(session.time(refRuns));
    int ours = runs(settings.roundSeconds(), warm.nanosPerRun());
    int theirs = runs(settings.roundSeconds(), refPerRun);
    double[] own = new double[settings.rounds()];
    double[] other = new double[settings.rounds()];
    double[] ratios = new double[settings.rounds()];
    for (int round = 0; round < settings.rounds(); round++) {
      quiet();
      own[round] = median(time(calls, ours)) / 1e6;
      quiet();
      other[round] = median(session.time(theirs)) / 1e6;
      ratios[round] = other[round] / own[round];
    }
    Arrays.sort(own);
    Arrays.sort(other);
    Arrays.sort(ratios);
    int n = ratios.length;
    double spread = (ratios[3 * n / 4] - ratios[n / 4]) / ratios[n / 2];
    return new Result(
        own[n / 2],
        other[n / 2],
        other[n / 2] / own[n / 2],
        spread,
        n,
        ours,
        first.firstMs(),
        seconds(warm));
  }

  /** Times the executable alone; {@code ortMs} and {@code ratio} are NaN. */
  public static Result alone(Executable executable, Map<String, Tensor> inputs, Settings settings) {
    Calls first = Calls.of(executable, inputs);
    Runnable calls = first.again();
    WarmUp.Warm warm = warmUp(calls, settings.warmupSeconds());
    int runs = runs(settings.roundSeconds(), warm.nanosPerRun());
    double[] own = new double[settings.rounds()];
    for (int round = 0; round < own.length; round++) {
      quiet();
      own[round] = median(time(calls, runs)) / 1e6;
    }
    Arrays.sort(own);
    int n = own.length;
    return new Result(
        own[n / 2],
        Double.NaN,
        Double.NaN,
        (own[3 * n / 4] - own[n / 4]) / own[n / 2],
        n,
        runs,
        first.firstMs(),
        seconds(warm));
  }

  /** Something that takes turns with others. */
  public interface Contender {
    /** Runs until it is as fast as it becomes. */
    WarmUp.Warm warmUp(double seconds);

    /** Nanoseconds of each of some runs. */
    long[] time(int runs);
  }

  public static Contender of(Executable executable, Map<String, Tensor> inputs) {
    Runnable calls = Calls.of(executable, inputs).again();
    return new Contender() {
      @Override
      public WarmUp.Warm warmUp(double seconds) {
        return Duel.warmUp(calls, seconds);
      }

      @Override
      public long[] time(int runs) {
        return Duel.time(calls, runs);
      }
    };
  }

  public static Contender of(Reference.Session session, Map<String, Tensor> inputs) {
    session.prepare(inputs);
    return new Contender() {
      @Override
      public WarmUp.Warm warmUp(double seconds) {
        long begin = System.nanoTime();
        long perRun = median(session.time(runs(seconds / 3, median(session.time(3)))));
        return new WarmUp.Warm(perRun, Duration.ofNanos(System.nanoTime() - begin));
      }

      @Override
      public long[] time(int runs) {
        return session.time(runs);
      }
    };
  }

  /**
   * One contender.
   *
   * @param ms median over the rounds of the medians of each round
   */
  public record Turn(double ms, double warmupSeconds) {}

  /** All are warmed up, then take turns: what slows the machine for a while slows each of them. */
  public static List<Turn> turns(List<Contender> contenders, Settings settings) {
    List<WarmUp.Warm> warm =
        contenders.stream().map(c -> c.warmUp(settings.warmupSeconds())).toList();
    double[][] medians = new double[contenders.size()][settings.rounds()];
    for (int round = 0; round < settings.rounds(); round++) {
      for (int c = 0; c < medians.length; c++) {
        quiet();
        int runs = runs(settings.roundSeconds(), warm.get(c).nanosPerRun());
        medians[c][round] = median(contenders.get(c).time(runs)) / 1e6;
      }
    }
    List<Turn> turns = new ArrayList<>();
    for (int c = 0; c < medians.length; c++) {
      Arrays.sort(medians[c]);
      turns.add(new Turn(medians[c][settings.rounds() / 2], seconds(warm.get(c))));
    }
    return turns;
  }

  private static double seconds(WarmUp.Warm warm) {
    return warm.time().toNanos() / 1e9;
  }

  private static int runs(double seconds, long nanosPerRun) {
    return (int) Math.max(1, Math.min(100_000, seconds * 1e9 / Math.max(1, nanosPerRun)));
  }

  /**
   * Runs until runs become no faster and HotSpot compiles no more, see {@link WarmUp}.
   *
   * @param outputs to write results into
   * @return the seconds taken
   */
  public static double steady(
      Executable executable,
      Map<String, Tensor> inputs,
      Map<String, Tensor> outputs,
      double seconds) {
    return seconds(warmUp(() -> executable.run(inputs, outputs), seconds));
  }

  private static WarmUp.Warm warmUp(Runnable calls, double seconds) {
    Duration limit = Duration.ofMillis((long) (LONGEST_WARMUP * seconds * 1e3));
    return WarmUp.steady(calls, (long) (seconds * 1e9 / 2), limit);
  }

  private static long[] time(Runnable calls, int runs) {
    long[] times = new long[runs];
    for (int i = 0; i < runs; i++) {
      long start = System.nanoTime();
      calls.run();
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
