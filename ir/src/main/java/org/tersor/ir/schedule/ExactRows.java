package org.tersor.ir.schedule;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * Rows of 8-bit codes for a product that is summed in F32: codes less their zero point become F32
 * once, in vectors. In the loop over k a conversion of one element takes longer than the
 * multiply-adds that it is for.
 *
 * @param widening makes the rows
 * @param product reads them
 */
record ExactRows(Stage widening, Contraction product) {

  /** Elements of the buffer for each that the product reads, above which most would be wasted. */
  private static final long MOST_UNREAD = 4;

  static Optional<ExactRows> of(Scheduler scheduler, Contraction c) {
    boolean weights = c.row().buffers().stream().allMatch(scheduler::isConstant);
    if (weights
        || !(c.row().value() instanceof KExpr.To code)
        || !(code.a() instanceof KExpr.At at)
        || at.index().size() != 1
        || !KExprs.all(at.index().getFirst(), KExpr.At.class).isEmpty()
        || c.row().zero().stream().anyMatch(zero -> !KExprs.freeAxes(zero).isEmpty())
        || !readsMost(at)) {
      return Optional.empty();
    }
    Axis element = new Axis("element", at.buffer().elements());
    Buf rows = new Buf(c.stage().target().name() + "_exact", Scalar.F32, List.of(element.extent()));
    KExpr stored = new KExpr.At(at.buffer(), List.of(K.axis(element)));
    KExpr difference = KExprs.rewrite(c.row().whole(), e -> e.equals(at) ? stored : e);
    Contraction.Factor row =
        new Contraction.Factor(new KExpr.At(rows, at.index()), Optional.empty(), Scalar.F32);
    return Optional.of(
        new ExactRows(
            Stage.of(rows, List.of(element), K.castInRange(Scalar.F32, difference)),
            new Contraction(c.stage(), c.fold(), row, c.column(), c.m(), c.n(), c.batch(), c.k())));
  }

  private static boolean readsMost(KExpr.At at) {
    Set<Axis> axes = KExprs.freeAxes(at);
    DimExpr reads = DimExpr.product(axes.stream().map(Axis::extent).toList());
    DimExpr elements = at.buffer().elements();
    return reads.isConst()
        && elements.isConst()
        && elements.constValue() <= MOST_UNREAD * reads.constValue();
  }
}
