package org.tersor.passes.lower;

import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import org.tersor.ir.graph.Value;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.schedule.Scheduled;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.TersorException;

/** The schedules of one program: equal kernels, as those of repeated layers, are scheduled once. */
final class KernelSchedules {
  private final KernelScheduler scheduler;
  private final Target target;
  private final Map<Work, Scheduled> done = new ConcurrentHashMap<>();

  private record Work(Kernel kernel, Set<String> constantInputs) {}

  KernelSchedules(KernelScheduler scheduler, Target target) {
    this.scheduler = scheduler;
    this.target = target;
  }

  Scheduled of(Kernel kernel, Set<String> constantInputs) {
    Work work = new Work(kernel, constantInputs);
    Scheduled known = done.get(work);
    return known != null ? known : schedule(work);
  }

  /** Equal work at the same time is done twice, which is better than to wait. */
  private Scheduled schedule(Work work) {
    Scheduled scheduled = scheduler.schedule(work.kernel(), target, work.constantInputs());
    done.put(work, scheduled);
    return scheduled;
  }

  /**
   * Schedules the kernels of a graph on all cores. What fails is left: asked for in order, it fails
   * again, so that the same model always has the same error.
   */
  void prepare(LoweredGraph lowered) {
    Set<Work> all = new LinkedHashSet<>();
    Set<Value> constants = new HashSet<>();
    for (KernelCall call : lowered.calls()) {
      Set<String> constantInputs = new TreeSet<>();
      for (Buf buffer : call.kernel().inputs()) {
        Value root = lowered.root(call.operand(buffer));
        if (lowered.constants().containsKey(root) || constants.contains(root)) {
          constantInputs.add(buffer.name());
        }
      }
      all.add(new Work(call.kernel(), constantInputs));
      if (isFolded(call, constantInputs)) {
        call.writes().forEach(value -> constants.add(lowered.root(value)));
      }
    }
    List.copyOf(all).parallelStream()
        .forEach(work -> {
          try {
            schedule(work);
          } catch (TersorException e) {
            // Thrown again by of().
          }
        });
  }

  /**
   * Whether a call is computed when the model is loaded, given which of its inputs are known then.
   */
  static boolean isFolded(KernelCall call, Set<String> constantInputs) {
    return call.foldable()
        && call.symbols().isEmpty()
        && constantInputs.size() == call.kernel().inputs().size();
  }
}
