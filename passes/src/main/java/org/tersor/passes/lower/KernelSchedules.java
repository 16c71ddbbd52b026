package org.tersor.passes.lower;

import java.util.HashSet;
import java.util.IdentityHashMap;
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

  /** For each call the names of its inputs that are known when the model is loaded. */
  private final IdentityHashMap<KernelCall, Set<String>> constantInputs = new IdentityHashMap<>();

  private record Work(Kernel kernel, Set<String> constantInputs) {}

  KernelSchedules(KernelScheduler scheduler, Target target, LoweredGraph lowered) {
    this.scheduler = scheduler;
    this.target = target;
    Set<Value> constants = new HashSet<>();
    for (KernelCall call : lowered.calls()) {
      Set<String> known = new TreeSet<>();
      for (Buf buffer : call.kernel().inputs()) {
        Value root = lowered.root(call.operand(buffer));
        if (lowered.constants().containsKey(root) || constants.contains(root)) {
          known.add(buffer.name());
        }
      }
      constantInputs.put(call, known);
      if (isFolded(call)) {
        call.writes().forEach(value -> constants.add(lowered.root(value)));
      }
    }
  }

  /**
   * Whether a call is computed when the model is loaded: nothing that it reads depends on a run.
   */
  boolean isFolded(KernelCall call) {
    return call.foldable()
        && call.symbols().isEmpty()
        && constantInputs(call).size() == call.kernel().inputs().size();
  }

  private Set<String> constantInputs(KernelCall call) {
    return constantInputs.getOrDefault(call, Set.of());
  }

  Scheduled of(KernelCall call) {
    return of(call.kernel(), constantInputs(call));
  }

  Scheduled of(Kernel kernel, Set<String> constantInputs) {
    Work work = new Work(kernel, constantInputs);
    Scheduled known = done.get(work);
    return known != null ? known : schedule(work);
  }

  private Scheduled schedule(Work work) {
    Scheduled scheduled = scheduler.schedule(work.kernel(), target, work.constantInputs());
    done.put(work, scheduled);
    return scheduled;
  }

  /**
   * Schedules the kernels of the graph on all cores. What fails is left: asked for in order, it
   * fails again, so that the same model always has the same error.
   */
  void prepare() {
    Set<Work> all = new LinkedHashSet<>();
    constantInputs.forEach((call, known) -> all.add(new Work(call.kernel(), known)));
    List.copyOf(all).parallelStream()
        .forEach(work -> {
          try {
            schedule(work);
          } catch (TersorException e) {
            // Thrown again by of().
          }
        });
  }
}
