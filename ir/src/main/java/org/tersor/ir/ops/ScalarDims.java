package org.tersor.ir.ops;

import java.util.Map;
import java.util.Optional;
import org.tersor.ir.op.ElementSymbols;
import org.tersor.runtime.DimExpr;

/** An elementwise expression over dimensions, where it has a meaning there. */
final class ScalarDims {
  private ScalarDims() {}

  static Optional<DimExpr> of(ScalarExpr expr, Map<String, DimExpr> operands) {
    return switch (expr) {
      case ScalarExpr.Num n ->
          n.value() == Math.rint(n.value())
              ? Optional.of(DimExpr.of((long) n.value()))
              : Optional.empty();
      case ScalarExpr.Name n -> Optional.ofNullable(operands.get(n.name()));
      case ScalarExpr.Call call -> {
        Optional<DimExpr> a = of(call.args().getFirst(), operands);
        if (call.fn() == ScalarExpr.Fn.NEG) {
          yield a.map(d -> d.times(-1));
        }
        Optional<DimExpr> b =
            call.args().size() == 2 ? of(call.args().get(1), operands) : Optional.empty();
        yield a.isPresent() && b.isPresent()
            ? binary(call.fn(), a.get(), b.get())
            : Optional.empty();
      }
    };
  }

  private static Optional<DimExpr> binary(ScalarExpr.Fn fn, DimExpr a, DimExpr b) {
    return switch (fn) {
      case ADD -> Optional.of(a.plus(b));
      case SUB -> Optional.of(a.minus(b));
      case MUL -> Optional.of(a.times(b));
      case MIN -> Optional.of(a.min(b));
      case MAX -> Optional.of(a.max(b));
      case DIV -> quotient(a, b);
      default -> Optional.empty();
    };
  }

  /** Truncating division: of what may be negative that of its magnitude, with its sign. */
  private static Optional<DimExpr> quotient(DimExpr a, DimExpr b) {
    if (!b.isConst() || b.constValue() <= 0) {
      return Optional.empty();
    }
    if (a.isConst()) {
      return Optional.of(DimExpr.of(a.constValue() / b.constValue()));
    }
    DimExpr above = a.max(DimExpr.ZERO).floorDiv(b);
    DimExpr below = a.times(-1).max(DimExpr.ZERO).floorDiv(b);
    return Optional.of(ElementSymbols.mayBeNegative(a) ? above.minus(below) : a.floorDiv(b));
  }
}
