package org.tersor.ir.spi;

import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.Plan;

/**
 * A model ready for code generation for one target.
 *
 * @param kernels code of {@link Plan#kernels}, in order, equal ones once
 * @param constants weights that {@link Plan.Storage#CONSTANT} buffers refer to
 * @param facts for {@code describe}: what ran where, fusions, precision
 */
public record Program(
    Plan plan,
    List<LoopFunction> kernels,
    List<Constant> constants,
    Target target,
    Map<String, String> facts) {}
