package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.CompareOp;

/**
 * Short axes on whose position a value depends by choice, as the points of Winograd's transforms
 * do: each point is another sum.
 */
final class ChosenPoints {
  /** Most points of axes that are written out. */
  private static final long MOST = 64;

  private ChosenPoints() {}

  /** A choice by whether an axis is at a place. */
  private record Position(Axis axis, KExpr.IntLit place) {
    static Optional<Position> of(KExpr.If choice) {
      return choice.condition() instanceof KExpr.Cmp cmp
              && cmp.op() == CompareOp.EQ
              && cmp.a() instanceof KExpr.AxisRef ref
              && cmp.b() instanceof KExpr.IntLit place
          ? Optional.of(new Position(ref.axis(), place))
          : Optional.empty();
    }
  }

  /** These axes of a stage, in its order; none where they have too many points to write out. */
  static List<Axis> axes(Stage stage, Optional<Axis> vector) {
    List<Axis> axes = new ArrayList<>();
    for (KExpr.If choice : KExprs.all(stage.value(), KExpr.If.class)) {
      Position.of(choice)
          .map(Position::axis)
          .filter(axis -> stage.axes().contains(axis) && !axes.contains(axis))
          .ifPresent(axes::add);
    }
    boolean few =
        LoopSchedule.points(axes) <= MOST && axes.stream().allMatch(a -> a.extent().isConst());
    boolean plain = KExprs.all(stage.value(), KExpr.Fold.class).isEmpty();
    boolean apart = vector.stream().noneMatch(axes::contains);
    return few && plain && apart
        ? stage.axes().stream().filter(axes::contains).toList()
        : List.of();
  }

  /** What is left where axes are at these places: of each choice by them the branch taken. */
  static KExpr taken(KExpr expr, Map<Axis, KExpr> at) {
    if (expr instanceof KExpr.If choice) {
      Optional<Position> position = Position.of(choice).filter(p -> at.containsKey(p.axis()));
      if (position.isPresent()) {
        boolean here = position.get().place().equals(at.get(position.get().axis()));
        return taken(here ? choice.then() : choice.otherwise(), at);
      }
    }
    return KExprs.mapOperands(expr, operand -> taken(operand, at));
  }
}
