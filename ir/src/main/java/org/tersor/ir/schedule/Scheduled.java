package org.tersor.ir.schedule;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * A kernel after scheduling for one target.
 *
 * @param temporaries buffers beyond the kernel's operands
 * @param load launches that depend on constants only (weight packing): run once when the artifact
 *     is loaded
 * @param run launches of every call, in order
 * @param rounded products of F32 whose factors are rounded to BF16
 */
public record Scheduled(
    List<Temporary> temporaries, List<Launch> load, List<Launch> run, int rounded) {
  public Scheduled {
    temporaries = List.copyOf(temporaries);
    load = List.copyOf(load);
    run = List.copyOf(run);
  }

  /**
   * A buffer made by the schedule or by a stage.
   *
   * @param packed filled by {@link Scheduled#load} and kept; else scratch of one call
   */
  public record Temporary(String name, Scalar element, DimExpr elements, boolean packed) {}

  /**
   * @param buffers for each buffer parameter of the function, the kernel's buffer or temporary of
   *     that name
   * @param dims for each dimension parameter, its value
   * @param tasks extent of the parallel loop, 1 for a serial body
   * @param choice the schedule that it is a part of, where there were several
   */
  public record Launch(
      LoopFunction function,
      List<String> buffers,
      List<DimExpr> dims,
      DimExpr tasks,
      Optional<ScheduleChoice> choice) {}
}
