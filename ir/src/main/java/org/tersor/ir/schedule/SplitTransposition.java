package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;

/**
 * A stage that reads along one axis and writes along another, on targets that shuffle no vectors:
 * what it computes is computed in vectors along the axis that it reads, and moved one by one.
 *
 * @param compute fills memory of the stage's points, the axis of its reads last
 * @param move writes them where the stage does
 */
record SplitTransposition(Stage compute, Stage move) {

  /**
   * @param memory name of a temporary for what is computed
   */
  static Optional<SplitTransposition> of(Stage stage, Target target, String memory) {
    if (target.has(Target.Feature.SHUFFLE) || !calculates(stage.value())) {
      return Optional.empty();
    }
    return TransposeSchedule.axes(stage, target).map(axes -> of(stage, axes.read(), memory));
  }

  private static SplitTransposition of(Stage stage, Axis read, String memory) {
    List<Axis> axes = new ArrayList<>(stage.axes());
    axes.remove(read);
    axes.add(read);
    Buf lines = new Buf(memory, stage.target().element(), axes.stream().map(Axis::extent).toList());
    KExpr moved = new KExpr.At(StageSimplifier.flat(lines), List.of(Positions.flat(axes)));
    return new SplitTransposition(
        Stage.of(lines, axes, stage.value()),
        new Stage(stage.target(), stage.axes(), stage.index(), moved));
  }

  /** Whether there is more to an element than to read it: else moving it once is enough. */
  private static boolean calculates(KExpr value) {
    boolean[] found = {false};
    KExprs.visit(
        value,
        e ->
            found[0] |=
                e instanceof KExpr.Un || (e instanceof KExpr.Bin bin && bin.scalar().isFloat()));
    return found[0];
  }
}
