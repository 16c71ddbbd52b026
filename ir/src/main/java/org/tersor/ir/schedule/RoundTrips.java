package org.tersor.ir.schedule;

import java.util.Optional;
import java.util.function.Predicate;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;

/**
 * Codes that become floats again at once, where quantizers follow each other: {@code
 * f32(u8!(min(max(rint(x), 0), 255)))} is the number that is converted. What x is must show that it
 * is no NaN, which an integer cannot be.
 */
final class RoundTrips {
  private final Predicate<Buf> constant;

  private RoundTrips(Predicate<Buf> constant) {
    this.constant = constant;
  }

  /**
   * @param constant whether a buffer holds weights, which are taken for finite and, where they
   *     divide, for more than zero
   */
  static KExpr drop(KExpr expr, Predicate<Buf> constant) {
    RoundTrips trips = new RoundTrips(constant);
    return KExprs.rewrite(expr, e -> trips.whole(e).orElse(e));
  }

  private Optional<KExpr> whole(KExpr e) {
    return e instanceof KExpr.To back
            && back.scalar() == Scalar.F32
            && back.a() instanceof KExpr.To code
            && code.inRange()
            && code.scalar().isInteger()
            && code.scalar().bytes() <= 2
            && code.a().scalar() == Scalar.F32
            && isHeld(code.a())
        ? Optional.of(code.a())
        : Optional.empty();
  }

  /** Whether it is rounded, then held between whole numbers; that they fit the code is its word. */
  private boolean isHeld(KExpr e) {
    return switch (e) {
      case KExpr.Bin bin when bin.op() == BinaryOp.MIN || bin.op() == BinaryOp.MAX ->
          isWhole(bin.b()) && isHeld(bin.a());
      case KExpr.Un un -> un.op() == UnaryOp.RINT && isNumber(un.a());
      default -> false;
    };
  }

  private static boolean isWhole(KExpr e) {
    return e instanceof KExpr.FloatLit literal && literal.value() == Math.rint(literal.value());
  }

  private boolean isNumber(KExpr e) {
    return switch (e) {
      case KExpr.FloatLit literal -> Double.isFinite(literal.value());
      case KExpr.To to -> to.a().scalar().isInteger() || isNumber(to.a());
      case KExpr.At at -> constant.test(at.buffer());
      case KExpr.Bin bin -> isNumber(bin.a()) && isNumber(bin.b()) && isMade(bin.op());
      case KExpr.Un un -> un.op() == UnaryOp.RINT && isNumber(un.a());
      default -> false;
    };
  }

  /** Whether numbers make a number. */
  private static boolean isMade(BinaryOp op) {
    return switch (op) {
      case ADD, SUB, MUL, DIV, MIN, MAX -> true;
      default -> false;
    };
  }
}
