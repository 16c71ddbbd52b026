package org.tersor.ir.schedule;

import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;

/**
 * What follows a sum, split into terms that are added to it first, with which its accumulators may
 * start, and the rest.
 *
 * @param start the terms
 * @param epilogue the rest, over the accumulator that holds sum and terms
 */
record AdditiveStart(Optional<KExpr> start, KExpr epilogue) {

  /**
   * @param value over the accumulator
   * @param correction a term that belongs to the sum itself
   */
  static AdditiveStart of(KExpr value, KExpr accumulator, Optional<KExpr> correction) {
    Optional<KExpr> start = correction;
    KExpr epilogue = value;
    for (Optional<KExpr> term = commonTerm(epilogue, accumulator);
        term.isPresent();
        term = commonTerm(epilogue, accumulator)) {
      KExpr added = term.get();
      start = Optional.of(start.map(s -> K.add(s, added)).orElse(added));
      epilogue = KExprs.rewrite(epilogue, e -> isSum(e, accumulator, added) ? accumulator : e);
    }
    return new AdditiveStart(start, epilogue);
  }

  /** The term t, if every use of the accumulator is one and the same acc + t. */
  private static Optional<KExpr> commonTerm(KExpr epilogue, KExpr accumulator) {
    Set<KExpr> uses = new LinkedHashSet<>();
    KExprs.visit(
        epilogue,
        e -> {
          if (KExprs.operands(e).contains(accumulator)) {
            uses.add(e);
          }
        });
    if (uses.size() != 1
        || !(uses.iterator().next() instanceof KExpr.Bin sum)
        || sum.op() != BinaryOp.ADD
        || sum.a().equals(sum.b())) {
      return Optional.empty();
    }
    return Optional.of(sum.a().equals(accumulator) ? sum.b() : sum.a());
  }

  private static boolean isSum(KExpr e, KExpr accumulator, KExpr term) {
    return e instanceof KExpr.Bin sum
        && sum.op() == BinaryOp.ADD
        && ((sum.a().equals(accumulator) && sum.b().equals(term))
            || (sum.b().equals(accumulator) && sum.a().equals(term)));
  }
}
