package org.tersor.codegen.jvm;

import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;

/**
 * A conversion of F32 to integers of at most 16 bits whose operand is held between two integers:
 * {@code i!(min(max(x, low), high))}. Of the zeros and NaN that MIN and MAX of the Vector API tell
 * apart, in about six instructions each, such a conversion makes the same.
 *
 * @param rounds whether the operand is rint(x); bounds are integers, so it may be held first
 */
record ClampedCast(Expr x, boolean rounds, long low, long high) {

  /**
   * 1.5 * 2^23: a smaller number added to it rounds to an integer, which then is the low bits of
   * the sum.
   */
  static final long ROUNDER = 3L << 22;

  /** Bounds for which that holds. */
  private static final long MOST = 1 << 21;

  static Optional<ClampedCast> of(Expr.Cast cast) {
    Scalar to = cast.type().scalar();
    boolean small = to.isInteger() && to.bytes() <= 2;
    if (!cast.inRange() || !small || cast.a().type().scalar() != Scalar.F32) {
      return Optional.empty();
    }
    return bound(cast.a(), BinaryOp.MIN)
        .flatMap(high ->
            bound(high.x, BinaryOp.MAX)
                .filter(low -> low.bound <= high.bound)
                .map(low ->
                    low.x instanceof Expr.Unary rint && rint.op() == UnaryOp.RINT
                        ? new ClampedCast(rint.a(), true, low.bound, high.bound)
                        : new ClampedCast(low.x, false, low.bound, high.bound)));
  }

  private record Bound(Expr x, long bound) {}

  private static Optional<Bound> bound(Expr e, BinaryOp op) {
    if (!(e instanceof Expr.Binary binary) || binary.op() != op) {
      return Optional.empty();
    }
    return constant(binary.b())
        .map(bound -> new Bound(binary.a(), bound))
        .or(() -> constant(binary.a()).map(bound -> new Bound(binary.b(), bound)));
  }

  private static Optional<Long> constant(Expr e) {
    return switch (e) {
      case Expr.Broadcast broadcast -> constant(broadcast.a());
      case Expr.FloatConst c
          when Math.abs(c.value()) <= MOST && c.value() == Math.rint(c.value()) ->
          Optional.of((long) c.value());
      default -> Optional.empty();
    };
  }
}
