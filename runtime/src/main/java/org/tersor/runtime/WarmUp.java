package org.tersor.runtime;

import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Runs until runs become no faster and HotSpot compiles no more: what it has not compiled yet is
 * slower by factors, and runs may be no faster for seconds while a long queue of kernels waits.
 * HotSpot counts a compilation when it is over: one that takes longer than two windows is not seen.
 */
public final class WarmUp {
  private static final long WINDOW_NANOS = 200_000_000;

  /** Ends after two windows in a row that improved the best run by less. */
  private static final double STEADY = .97;

  /** In both of them HotSpot's compilers work less than this share of the time. */
  private static final double COMPILING = .03;

  /** A shorter window has fewer runs than this only if time is up. */
  private static final int LEAST_RUNS = 3;

  private WarmUp() {}

  /** Best run at the end, and how long it took to come there. */
  public record Warm(long nanosPerRun, Duration time) {}

  /** Without the module java.management nothing is known of the compilers. */
  private static final class Compilers {
    private static final @Nullable CompilationMXBean BEAN =
        ManagementFactory.getCompilationMXBean();

    static long millis() {
      return BEAN != null && BEAN.isCompilationTimeMonitoringSupported()
          ? BEAN.getTotalCompilationTime()
          : 0;
    }
  }

  private static final boolean MONITORED =
      ModuleLayer.boot().findModule("java.management").isPresent();

  /**
   * Repeats a call until it is as fast as it becomes.
   *
   * @param windowNanos the best call of so long is compared with the best one before
   * @param limit longest time, checked between calls
   */
  public static Warm steady(Runnable call, long windowNanos, Duration limit) {
    long begin = System.nanoTime();
    long best = Long.MAX_VALUE;
    for (int steady = 0; steady < 2 && elapsed(begin).compareTo(limit) < 0; ) {
      long before = best;
      long compiled = compilingMillis();
      long window = System.nanoTime();
      int runs = 0;
      do {
        long start = System.nanoTime();
        call.run();
        best = Math.min(best, System.nanoTime() - start);
        runs++;
      } while ((System.nanoTime() - window < windowNanos || runs < LEAST_RUNS)
          && elapsed(begin).compareTo(limit) < 0);
      boolean faster = before == Long.MAX_VALUE || best <= before * STEADY;
      double compiling = (compilingMillis() - compiled) * 1e6 / (System.nanoTime() - window);
      steady = faster || compiling > COMPILING ? 0 : steady + 1;
    }
    return new Warm(best, elapsed(begin));
  }

  private static long compilingMillis() {
    return MONITORED ? Compilers.millis() : 0;
  }

  /** Runs a model on zeros. */
  static Duration run(Executable executable, Map<String, Long> dims, Duration limit) {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    for (Executable.Port port : executable.inputs()) {
      if (!port.isTensor()) {
        return Duration.ZERO;
      }
      Map<String, Long> known = new LinkedHashMap<>(dims);
      port.shape().forEach(dim -> dim.symbols().forEach(s -> known.putIfAbsent(s, 1L)));
      long[] shape = port.shape().stream().mapToLong(dim -> dim.eval(known)).toArray();
      inputs.put(port.name(), Tensor.zeros(port.dtype(), shape));
    }
    if (limit.compareTo(Duration.ZERO) <= 0) {
      return Duration.ZERO;
    }
    long begin = System.nanoTime();
    Map<String, Tensor> outputs = executable.run(inputs);
    Duration rest = limit.minus(elapsed(begin));
    steady(() -> executable.run(inputs, outputs), WINDOW_NANOS, rest);
    return elapsed(begin);
  }

  private static Duration elapsed(long begin) {
    return Duration.ofNanos(System.nanoTime() - begin);
  }
}
