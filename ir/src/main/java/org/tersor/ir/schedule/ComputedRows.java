package org.tersor.ir.schedule;

import java.util.ArrayList;
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
 * Rows for a product that is summed in floats, computed once and in vectors: 8-bit codes less their
 * zero point, or what a kernel before has left to compute. In the loop over k one element takes
 * longer than the multiply-adds that it is for.
 *
 * @param widening makes the rows
 * @param product reads them
 */
record ComputedRows(Stage widening, Contraction product) {

  /** Columns up to which a row may as well be computed for each panel of them. */
  private static final long FEW_COLUMNS = 255;

  /** Elements of the buffer for each that the product reads, above which most would be wasted. */
  private static final long MOST_UNREAD = 4;

  /** Rows of a product of codes, as F32. */
  static Optional<ComputedRows> exact(Scheduler scheduler, Contraction c) {
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
        new ComputedRows(
            Stage.of(rows, List.of(element), K.castInRange(Scalar.F32, difference)),
            withRow(c, row)));
  }

  /**
   * Rows of a product of floats with more to compute than a conversion; those that are packed
   * anyway, as {@link Panels} decides, are computed there.
   */
  static Optional<ComputedRows> floats(Scheduler scheduler, Contraction c) {
    KExpr value = c.row().whole();
    boolean weights = c.row().buffers().stream().allMatch(scheduler::isConstant);
    if (weights
        || value.scalar() != Scalar.F32
        || c.k().size() != 1
        || c.m().isEmpty()
        || value instanceof KExpr.At
        || (value instanceof KExpr.To code && code.a() instanceof KExpr.At)
        || Panels.computesWhenPacked(value)
        || !(c.extentN().isConst() && c.extentN().constValue() > FEW_COLUMNS)) {
      return Optional.empty();
    }
    List<Axis> axes = new ArrayList<>(c.batch());
    axes.add(c.m().get());
    axes.addAll(c.k());
    Set<Axis> used = KExprs.freeAxes(value);
    axes.retainAll(used);
    if (axes.size() != used.size() || !used.containsAll(c.k())) {
      return Optional.empty();
    }
    Buf rows =
        new Buf(
            c.stage().target().name() + "_computed",
            Scalar.F32,
            axes.stream().map(Axis::extent).toList());
    KExpr read = new KExpr.At(StageSimplifier.flat(rows), List.of(Positions.flat(axes)));
    return Optional.of(
        new ComputedRows(
            Stage.of(rows, axes, value),
            withRow(c, new Contraction.Factor(read, Optional.empty(), Scalar.F32))));
  }

  private static Contraction withRow(Contraction c, Contraction.Factor row) {
    return new Contraction(c.stage(), c.fold(), row, c.column(), c.m(), c.n(), c.batch(), c.k());
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
