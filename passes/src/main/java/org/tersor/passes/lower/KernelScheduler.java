package org.tersor.passes.lower;

import java.util.Set;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.schedule.Scheduled;
import org.tersor.ir.schedule.Target;

/** Turns a kernel into loop IR for a target. */
@FunctionalInterface
public interface KernelScheduler {
  /**
   * @param constantInputs names of the kernel's inputs that are bound to weights
   */
  Scheduled schedule(Kernel kernel, Target target, Set<String> constantInputs);
}
