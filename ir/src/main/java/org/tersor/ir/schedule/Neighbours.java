package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.runtime.DimExpr;

/**
 * Points beside each other whose short windows overlap: how many of them are computed together, and
 * in which order. None of it changes a sum.
 *
 * @param target what the loops are for
 */
record Neighbours(Target target) {
  private static final String VECTORS_OUTSIDE = " vectors outside";

  private static final List<Integer> COUNTS = List.of(4, 1, 2, 3, 6, 8);

  /** The same where long bodies cost more than they save, being compiled while they run. */
  private static final List<Integer> COUNTS_IN_SHORT = List.of(4, 1, 2, 3);

  /**
   * A way over the points.
   *
   * @param count points together
   * @param vectorsOutside whether a vector of what varies fastest has the loop over points inside,
   *     so that what they have in common (weights) stays in registers; else the loop over vectors
   *     is innermost
   */
  record Way(int count, boolean vectorsOutside) {
    private String text() {
      return count + (vectorsOutside ? VECTORS_OUTSIDE : "");
    }
  }

  /**
   * What the chooser takes.
   *
   * @param points how many points there are
   * @param vectors how many vectors at each of them
   */
  Way choose(LoopSchedule.Chooser chooser, String shape, DimExpr points, DimExpr vectors) {
    boolean ahead = target.has(Target.Feature.AHEAD_OF_TIME);
    // HotSpot does not know that results are not weights, so that it reads those again after each
    // store, and looks at the bounds of all reads before each loop: loops are to be long.
    boolean outside =
        !ahead
            && points.isConst()
            && vectors.isConst()
            && points.constValue() > vectors.constValue();
    List<Integer> counts = ahead ? COUNTS : COUNTS_IN_SHORT;
    List<Way> ways =
        counts.stream()
            .flatMap(count -> Stream.of(new Way(count, outside), new Way(count, !outside)))
            .toList();
    String chosen = chooser.choose(shape, ways.stream().map(Way::text).toList());
    return ways.stream().filter(way -> way.text().equals(chosen)).findFirst().orElseThrow();
  }

  /**
   * The values of points, of which each has one fold. For HotSpot, which orders little, they are
   * summed turn by turn; compilers of C find what points share by themselves, and order the turns
   * better than they are here.
   */
  List<Expr> values(NestEmitter nest, List<KExpr> points) {
    List<Expr> values = new ArrayList<>();
    List<KExpr.Fold> folds =
        points.stream().map(p -> KExprs.all(p, KExpr.Fold.class).getFirst()).toList();
    boolean plain =
        !target.has(Target.Feature.AHEAD_OF_TIME)
            && folds.getFirst().op() == ReduceOp.SUM
            && KExprs.all(points.getFirst(), KExpr.If.class).isEmpty();
    Optional<List<Expr>> sums = plain ? nest.together(folds) : Optional.empty();
    for (int i = 0; i < points.size(); i++) {
      KExpr point = points.get(i);
      if (sums.isEmpty()) {
        values.add(nest.lower(point));
      } else {
        Expr sum = sums.get().get(i);
        nest.defining(folds.get(i), sum, () -> values.add(nest.let("r", nest.lower(point))));
      }
    }
    return values;
  }
}
