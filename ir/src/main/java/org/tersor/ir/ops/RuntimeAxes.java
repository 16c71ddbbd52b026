package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.op.ElementSymbols;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DimExpr;

/**
 * Axes that are an input of which only the length is known: what shapes become, as expressions of
 * the elements. Axes count from the end when negative and are taken to be distinct.
 */
final class RuntimeAxes {
  private static final int MAX_RANK = 64;

  private final OpContext context;
  private final List<DimExpr> axes;
  private final int rank;

  private RuntimeAxes(OpContext context, List<DimExpr> axes, int rank) {
    this.context = context;
    this.axes = axes;
    this.rank = rank;
  }

  /** How many axes an input names, if its type tells. */
  static Optional<Integer> count(OpContext c, int input) {
    return c.in(input).isRanked() && c.in(input).elements().isConst()
        ? Optional.of((int) Math.min(MAX_RANK, c.in(input).elements().constValue()))
        : Optional.empty();
  }

  /**
   * @param rank what the axes count in
   */
  static Optional<RuntimeAxes> of(OpContext c, int input, int rank) {
    return c.symbolic(input).map(axes -> new RuntimeAxes(c, axes, rank));
  }

  int count() {
    return axes.size();
  }

  /** 1 if axis {@code d} is none of them, else 0. */
  DimExpr isOther(int d) {
    DimExpr other = DimExpr.ONE;
    for (DimExpr axis : axes) {
      other =
          other
              .times(distance(axis, d).min(DimExpr.ONE))
              .times(distance(axis, d - rank).min(DimExpr.ONE));
    }
    return context.abbreviate("other" + d, other);
  }

  private static DimExpr distance(DimExpr a, long b) {
    return a.minus(b).max(DimExpr.of(b).minus(a));
  }

  /** 1 if axis {@code d} is one of them, else 0. */
  DimExpr isOne(int d) {
    return DimExpr.ONE.minus(isOther(d));
  }

  /** {@code dims}, of the rank, without these axes. */
  List<DimExpr> removed(List<DimExpr> dims) {
    List<DimExpr> result = new ArrayList<>();
    for (int j = 0; j < rank - axes.size(); j++) {
      DimExpr dim = DimExpr.ZERO;
      DimExpr before = DimExpr.ZERO;
      for (int d = 0; d < rank; d++) {
        DimExpr other = isOther(d);
        dim =
            dim.plus(other.times(ElementSymbols.isEqual(before, DimExpr.of(j))).times(dims.get(d)));
        before = before.plus(other);
      }
      result.add(context.abbreviate("kept" + j, dim));
    }
    return result;
  }

  /** {@code dims}, of the rank less the number of axes, with dimensions of 1 at these axes. */
  List<DimExpr> inserted(List<DimExpr> dims) {
    List<DimExpr> result = new ArrayList<>();
    DimExpr before = DimExpr.ZERO;
    for (int p = 0; p < rank; p++) {
      DimExpr own = DimExpr.ZERO;
      for (int d = 0; d < dims.size(); d++) {
        own = own.plus(ElementSymbols.isEqual(before, DimExpr.of(d)).times(dims.get(d)));
      }
      DimExpr other = isOther(p);
      result.add(context.abbreviate("with" + p, ElementSymbols.select(other, own, DimExpr.ONE)));
      before = before.plus(other);
    }
    return result;
  }

  /**
   * A value per axis: {@code values[i]} at the axis that element {@code i} names, {@code otherwise}
   * at others.
   *
   * @param tag unique among the calls for a node
   */
  List<DimExpr> spread(String tag, List<DimExpr> values, List<DimExpr> otherwise) {
    List<DimExpr> result = new ArrayList<>();
    for (int d = 0; d < rank; d++) {
      DimExpr value = isOther(d).times(otherwise.get(d));
      for (int i = 0; i < axes.size(); i++) {
        DimExpr named =
            ElementSymbols.isEqual(axes.get(i), DimExpr.of(d))
                .plus(ElementSymbols.isEqual(axes.get(i), DimExpr.of((long) d - rank)));
        value = value.plus(named.times(values.get(i)));
      }
      result.add(context.abbreviate(tag + d, value));
    }
    return result;
  }
}
