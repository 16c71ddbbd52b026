package org.tersor.ir.schedule;

import java.util.Map;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.ElementSymbols;
import org.tersor.runtime.DimExpr;

/** Proofs that a read with a flat index stays inside its buffer. */
final class Bounds {
  private Bounds() {}

  /**
   * Whether the element exists wherever the axes of its index have a point, whatever guards say and
   * whatever other axes there are.
   */
  static boolean hold(KExpr.At at) {
    KExpr index = at.index().getFirst();
    DimExpr size = at.buffer().elements();
    boolean constant =
        size.isConst()
            && Interval.of(index)
                .map(range -> range.low() >= 0 && range.high() < size.constValue())
                .orElse(false);
    return constant || walks(Affine.of(index), size);
  }

  /** An affine index with steps forward only, whose last element is a constant before the end. */
  private static boolean walks(Affine index, DimExpr size) {
    if (!(index.constant().isConst() && index.constant().constValue() >= 0)) {
      return false;
    }
    DimExpr last = index.constant();
    for (Map.Entry<KExpr, DimExpr> term : index.terms().entrySet()) {
      if (!(term.getKey() instanceof KExpr.AxisRef ref)
          || ElementSymbols.mayBeNegative(term.getValue())) {
        return false;
      }
      last = last.plus(term.getValue().times(ref.axis().extent().minus(DimExpr.ONE)));
    }
    DimExpr left = size.minus(DimExpr.ONE).minus(last);
    return left.isConst() && left.constValue() >= 0;
  }
}
