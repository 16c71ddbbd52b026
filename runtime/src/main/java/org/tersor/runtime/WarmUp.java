package org.tersor.runtime;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Runs a model on zeros until its runs become no faster: what HotSpot has not compiled yet is
 * slower by factors.
 */
final class WarmUp {
  /** The best run of so long must not be faster than that of so long before, twice in a row. */
  private static final long WINDOW_NANOS = 200_000_000;

  private static final double STEADY = .95;

  private WarmUp() {}

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
    long begin = System.nanoTime();
    if (limit.compareTo(Duration.ZERO) <= 0) {
      return Duration.ZERO;
    }
    Map<String, Tensor> outputs = executable.run(inputs);
    long best = Long.MAX_VALUE;
    for (int steady = 0; steady < 2 && elapsed(begin).compareTo(limit) < 0; ) {
      long before = best;
      long window = System.nanoTime();
      do {
        long start = System.nanoTime();
        executable.run(inputs, outputs);
        best = Math.min(best, System.nanoTime() - start);
      } while (System.nanoTime() - window < WINDOW_NANOS && elapsed(begin).compareTo(limit) < 0);
      steady = before != Long.MAX_VALUE && best > before * STEADY ? steady + 1 : 0;
    }
    return elapsed(begin);
  }

  private static Duration elapsed(long begin) {
    return Duration.ofNanos(System.nanoTime() - begin);
  }
}
