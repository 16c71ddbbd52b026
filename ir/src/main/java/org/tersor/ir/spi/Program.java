package org.tersor.ir.spi;

import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.ScheduleChoice;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.Plan;

/**
 * A model ready for code generation for one target.
 *
 * @param kernels code of {@link Plan#kernels}, in order, equal ones once
 * @param constants weights that {@link Plan.Storage#CONSTANT} buffers refer to
 * @param facts for {@code describe}: what ran where, fusions, precision
 * @param choices steps of every call for which there were several schedules
 */
public record Program(
    Plan plan,
    List<LoopFunction> kernels,
    List<Constant> constants,
    Target target,
    Map<String, String> facts,
    Map<Plan.Call, ScheduleChoice> choices) {

  /** Fact: how many products have factors that are rounded, which a user has asked for. */
  public static final String ROUNDED = "rounded to bfloat16";

  /** A program of which nothing is known about its schedules. */
  public Program(
      Plan plan,
      List<LoopFunction> kernels,
      List<Constant> constants,
      Target target,
      Map<String, String> facts) {
    this(plan, kernels, constants, target, facts, Map.of());
  }
}
