package org.tersor.runtime;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Times each step of the calls that run under it. Steps are then started one by one, so that a call
 * takes a little longer than without.
 */
public final class StepClock {
  private static final ScopedValue<StepClock> CURRENT = ScopedValue.newInstance();

  private final Map<Key, Times> times = new LinkedHashMap<>();

  private record Times(long bytes, List<Long> nanos) {}

  private record Key(String kernel, String origin) {}

  /**
   * A step: a kernel with its operands.
   *
   * @param kernel name of its function
   * @param origin the nodes that it computes
   * @param runs times that it ran
   * @param nanos median of them
   * @param bytes size of its operands, each once, in one run
   */
  public record Step(String kernel, String origin, long runs, long nanos, long bytes) {}

  /** Runs {@code call} under this clock. */
  public <T> T during(Supplier<T> call) {
    return ScopedValue.where(CURRENT, this).call(call::get);
  }

  /** Whether the current call is timed. */
  public static boolean isRunning() {
    return CURRENT.isBound();
  }

  /** Runs a step, and times it if the current call is timed. */
  public static void time(Plan plan, Plan.Call call, Map<String, Long> dims, Runnable step) {
    if (!CURRENT.isBound()) {
      step.run();
      return;
    }
    long start = System.nanoTime();
    step.run();
    CURRENT.get().add(plan, call, dims, System.nanoTime() - start);
  }

  private synchronized void add(Plan plan, Plan.Call call, Map<String, Long> dims, long nanos) {
    Key key = new Key(plan.kernels().get(call.kernel()), call.origin());
    times
        .computeIfAbsent(key, k -> new Times(bytes(plan, call, dims), new ArrayList<>()))
        .nanos
        .add(nanos);
  }

  private static long bytes(Plan plan, Plan.Call call, Map<String, Long> dims) {
    return call.buffers().stream()
        .distinct()
        .map(plan.buffers()::get)
        .mapToLong(b -> b.elements().eval(dims) * b.dtype().memoryBytes())
        .sum();
  }

  /** What was timed, in the order of the first run. */
  public synchronized List<Step> steps() {
    List<Step> steps = new ArrayList<>();
    times.forEach((key, sample) -> {
      List<Long> sorted = sample.nanos.stream().sorted().toList();
      long median = sorted.get(sorted.size() / 2);
      steps.add(new Step(key.kernel, key.origin, sorted.size(), median, sample.bytes));
    });
    return steps;
  }
}
