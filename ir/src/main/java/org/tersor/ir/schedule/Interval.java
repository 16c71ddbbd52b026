package org.tersor.ir.schedule;

import java.util.Optional;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.runtime.DimExpr;

/** Bounds of an INDEX expression, both inclusive, where extents are constant. */
record Interval(long low, long high) {

  static Optional<Interval> of(KExpr expr) {
    try {
      return switch (expr) {
        case KExpr.IntLit e -> Optional.of(new Interval(e.value(), e.value()));
        case KExpr.Dim e -> ofDim(e.value());
        case KExpr.AxisRef e ->
            ofDim(e.axis().extent()).map(x -> new Interval(0, Math.max(0, x.high - 1)));
        case KExpr.Bin e -> of(e.a()).flatMap(a -> of(e.b()).flatMap(b -> combine(e.op(), a, b)));
        case KExpr.If e ->
            of(e.then())
                .flatMap(a ->
                    of(e.otherwise())
                        .map(b -> new Interval(Math.min(a.low, b.low), Math.max(a.high, b.high))));
        default -> Optional.empty();
      };
    } catch (ArithmeticException overflow) {
      return Optional.empty();
    }
  }

  private static Optional<Interval> ofDim(DimExpr value) {
    return value.isConst()
        ? Optional.of(new Interval(value.constValue(), value.constValue()))
        : Optional.empty();
  }

  private static Optional<Interval> combine(BinaryOp op, Interval a, Interval b) {
    return switch (op) {
      case ADD ->
          Optional.of(new Interval(Math.addExact(a.low, b.low), Math.addExact(a.high, b.high)));
      case SUB ->
          Optional.of(
              new Interval(Math.subtractExact(a.low, b.high), Math.subtractExact(a.high, b.low)));
      case MUL -> {
        long p = Math.multiplyExact(a.low, b.low);
        long q = Math.multiplyExact(a.low, b.high);
        long r = Math.multiplyExact(a.high, b.low);
        long s = Math.multiplyExact(a.high, b.high);
        yield Optional.of(
            new Interval(
                Math.min(Math.min(p, q), Math.min(r, s)),
                Math.max(Math.max(p, q), Math.max(r, s))));
      }
      case FLOORDIV ->
          b.low == b.high && b.low > 0
              ? Optional.of(new Interval(Math.floorDiv(a.low, b.low), Math.floorDiv(a.high, b.low)))
              : Optional.empty();
      case FLOORMOD -> b.low > 0 ? Optional.of(new Interval(0, b.high - 1)) : Optional.empty();
      case MIN -> Optional.of(new Interval(Math.min(a.low, b.low), Math.min(a.high, b.high)));
      case MAX -> Optional.of(new Interval(Math.max(a.low, b.low), Math.max(a.high, b.high)));
      default -> Optional.empty();
    };
  }

  /** The truth of a comparison of two INDEX expressions if the bounds decide it. */
  static Optional<Boolean> decide(KExpr.Cmp cmp) {
    if (cmp.a().scalar() != org.tersor.ir.loop.Scalar.INDEX) {
      return Optional.empty();
    }
    // The difference cancels common terms, which separate bounds would lose.
    KExpr difference = Affine.of(new KExpr.Bin(BinaryOp.SUB, cmp.a(), cmp.b())).toKExpr();
    return of(difference)
        .flatMap(d ->
            switch (cmp.op()) {
              case LT -> decide(d.high < 0, d.low >= 0);
              case LE -> decide(d.high <= 0, d.low > 0);
              case GT -> decide(d.low > 0, d.high <= 0);
              case GE -> decide(d.low >= 0, d.high < 0);
              case EQ -> decide(d.low == 0 && d.high == 0, d.low > 0 || d.high < 0);
              case NE -> decide(d.low > 0 || d.high < 0, d.low == 0 && d.high == 0);
            });
  }

  private static Optional<Boolean> decide(boolean yes, boolean no) {
    return yes ? Optional.of(true) : no ? Optional.of(false) : Optional.empty();
  }
}
