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

  private final List<Plan> plans = new ArrayList<>();
  private final Map<Key, List<Long>> nanos = new LinkedHashMap<>();

  private record Key(int plan, Plan.Call call, List<Long> arguments, long bytes) {}

  /**
   * A step: a kernel with its operands, at one size of them.
   *
   * @param plan what it is a step of, the very object of the executable
   * @param call the step; {@link Plan.Call#kernel} is its kernel
   * @param arguments values of {@link Plan.Call#dims}
   * @param runs times that it ran
   * @param nanos median of them
   * @param bytes size of its operands, each once, in one run
   */
  public record Step(
      Plan plan, Plan.Call call, List<Long> arguments, long runs, long nanos, long bytes) {
    /** Name of the kernel's function. */
    public String kernel() {
      return plan.kernels().get(call.kernel());
    }

    /** The nodes that it computes. */
    public String origin() {
      return call.origin();
    }
  }

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

  private synchronized void add(Plan plan, Plan.Call call, Map<String, Long> dims, long taken) {
    List<Long> arguments = call.dims().stream().map(dim -> dim.eval(dims)).toList();
    Key key = new Key(number(plan), call, arguments, bytes(plan, call, dims));
    nanos.computeIfAbsent(key, k -> new ArrayList<>()).add(taken);
  }

  /** Parts of a model may be equal and yet different ones. */
  @SuppressWarnings("ReferenceEquality")
  private int number(Plan plan) {
    for (int i = 0; i < plans.size(); i++) {
      if (plans.get(i) == plan) {
        return i;
      }
    }
    plans.add(plan);
    return plans.size() - 1;
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
    nanos.forEach((key, sample) -> {
      List<Long> sorted = sample.stream().sorted().toList();
      long median = sorted.get(sorted.size() / 2);
      steps.add(
          new Step(plans.get(key.plan), key.call, key.arguments, sorted.size(), median, key.bytes));
    });
    return steps;
  }
}
