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
  /**
   * 1.5 * 2^23: a number of at most 2^21 that is added to it rounds to an integer, ties to even.
   */
  private static final double ROUNDER = 3L << 22;

  private static final double MOST = 1 << 21;

  private final Predicate<Buf> constant;
  private final boolean byAddition;

  private RoundTrips(Predicate<Buf> constant, boolean byAddition) {
    this.constant = constant;
    this.byAddition = byAddition;
  }

  /**
   * @param constant whether a buffer holds weights, which are taken for finite and, where they
   *     divide, for more than zero
   * @param target where no instruction rounds, a number is held between its bounds first and
   *     rounded by an addition, which makes no negative zero either
   */
  static KExpr drop(KExpr expr, Predicate<Buf> constant, Target target) {
    RoundTrips trips = new RoundTrips(constant, !target.has(Target.Feature.ROUND));
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
        ? Optional.of(byAddition ? byAddition(code.a()) : code.a())
        : Optional.empty();
  }

  private static KExpr byAddition(KExpr held) {
    if (!(held instanceof KExpr.Bin high
        && high.a() instanceof KExpr.Bin low
        && low.a() instanceof KExpr.Un rint
        && high.op() != low.op()
        && isSmall(high.b())
        && isSmall(low.b()))) {
      return held;
    }
    KExpr number = new KExpr.Bin(high.op(), new KExpr.Bin(low.op(), rint.a(), low.b()), high.b());
    KExpr rounder = new KExpr.FloatLit(Scalar.F32, ROUNDER);
    return new KExpr.Bin(BinaryOp.SUB, new KExpr.Bin(BinaryOp.ADD, number, rounder), rounder);
  }

  private static boolean isSmall(KExpr bound) {
    return bound instanceof KExpr.FloatLit literal && Math.abs(literal.value()) <= MOST;
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
