package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.KExpr;

/**
 * The summed axes of a contraction as the row factor walks them in memory: neighbours that it walks
 * as one are one axis. The innermost is a run of the inner loop, the others are loops around it.
 *
 * @param axes outermost first
 * @param row the row factor over these axes
 */
record KRuns(List<Axis> axes, KExpr row) {

  /** The axes of {@code k}, merged where every read of {@code row} walks them as one. */
  static KRuns of(List<Axis> k, KExpr row) {
    KRuns runs = new KRuns(k, row);
    for (int i = k.size() - 2; i >= 0; i--) {
      runs = runs.merged(i);
    }
    return runs;
  }

  private KRuns merged(int at) {
    StageSimplifier.Merge merge = new StageSimplifier.Merge(axes.get(at), axes.get(at + 1));
    if (!StageSimplifier.reads(row).values().stream().allMatch(merge::fits)) {
      return this;
    }
    List<Axis> fewer = new ArrayList<>(axes.subList(0, at));
    fewer.add(merge.merged());
    fewer.addAll(axes.subList(at + 2, axes.size()));
    return new KRuns(fewer, StageSimplifier.mapIndices(row, merge::change));
  }

  /** The axis of the inner loop. */
  Axis inner() {
    return axes.getLast();
  }
}
