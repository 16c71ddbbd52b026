package org.tersor.ir.schedule;

import java.util.Optional;
import java.util.function.Predicate;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;

/**
 * Codes that become floats again at once, where quantizers follow each other: {@code
 * f32(u8!(min(max(rint(x) + z, 0), 255)))} is the number that is converted. What x is must show
 * that it is no NaN, which an integer cannot be. Where no instruction rounds, codes that stay are
 * the last bits of a sum, too.
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
    KExpr whole = KExprs.rewrite(expr, e -> trips.whole(e).orElse(e));
    return trips.byAddition ? KExprs.rewrite(whole, e -> lastBits(e).orElse(e)) : whole;
  }

  private Optional<KExpr> whole(KExpr e) {
    if (!(e instanceof KExpr.To back) || back.scalar() != Scalar.F32) {
      return Optional.empty();
    }
    if (back.a() instanceof KExpr.Bin difference
        && difference.op() == BinaryOp.SUB
        && isByte(difference.b())) {
      return number(difference.a()).map(code -> K.sub(code, K.cast(Scalar.F32, difference.b())));
    }
    return number(back.a());
  }

  /** The number that a code is made of. */
  private Optional<KExpr> number(KExpr e) {
    KExpr narrow = e instanceof KExpr.To wide && wide.scalar() == Scalar.I32 ? wide.a() : e;
    if (!(narrow instanceof KExpr.To code) || !isCode(code) || !isHeld(code.a())) {
      return Optional.empty();
    }
    return Optional.of(
        byAddition ? Held.of(code.a()).map(Held::number).orElse(code.a()) : code.a());
  }

  private static boolean isCode(KExpr.To code) {
    return code.inRange()
        && code.scalar().isInteger()
        && code.scalar().bytes() <= 2
        && code.a().scalar() == Scalar.F32;
  }

  private static Optional<KExpr> lastBits(KExpr e) {
    return e instanceof KExpr.To code && isCode(code)
        ? Held.of(code.a()).map(held -> held.code(code.scalar()))
        : Optional.empty();
  }

  /**
   * A number that is rounded, moved by a zero point and held between small whole numbers.
   *
   * @param between the number, held between these less the zero point, plus {@link #ROUNDER}
   * @param zero of type I32
   */
  private record Held(KExpr between, Optional<KExpr> zero) {
    static Optional<Held> of(KExpr held) {
      if (!(held instanceof KExpr.Bin high
          && high.a() instanceof KExpr.Bin low
          && isBound(high.op())
          && isBound(low.op())
          && high.op() != low.op()
          && isSmall(high.b())
          && isSmall(low.b()))) {
        return Optional.empty();
      }
      Optional<KExpr> zero = zeroOf(low.a());
      KExpr rounded = zero.isPresent() ? ((KExpr.Bin) low.a()).a() : low.a();
      if (!(rounded instanceof KExpr.Un rint && rint.op() == UnaryOp.RINT)) {
        return Optional.empty();
      }
      KExpr number =
          K.binary(
              high.op(), K.binary(low.op(), rint.a(), moved(low.b(), zero)), moved(high.b(), zero));
      return Optional.of(new Held(K.add(number, K.f32(ROUNDER)), zero));
    }

    private static KExpr moved(KExpr bound, Optional<KExpr> zero) {
      return zero.map(z -> K.sub(bound, K.cast(Scalar.F32, z))).orElse(bound);
    }

    private static Optional<KExpr> zeroOf(KExpr sum) {
      return sum instanceof KExpr.Bin moved
              && moved.op() == BinaryOp.ADD
              && moved.b() instanceof KExpr.To zero
              && isByte(zero.a())
          ? Optional.of(zero.a())
          : Optional.empty();
    }

    /** As F32. A zero point joins after rounding, as it may be odd. */
    KExpr number() {
      KExpr rounder = K.f32(ROUNDER);
      return K.sub(between, zero.map(z -> K.sub(rounder, K.cast(Scalar.F32, z))).orElse(rounder));
    }

    /** As a code: the last bits of the sum with {@link #ROUNDER} are those of the integer. */
    KExpr code(Scalar element) {
      KExpr bits = new KExpr.BitsAs(Scalar.I32, between);
      return K.cast(element, zero.map(z -> K.add(bits, z)).orElse(bits));
    }
  }

  private static boolean isBound(BinaryOp op) {
    return op == BinaryOp.MIN || op == BinaryOp.MAX;
  }

  private static boolean isSmall(KExpr bound) {
    return isWhole(bound) && Math.abs(((KExpr.FloatLit) bound).value()) <= MOST;
  }

  /** Whether it is an I32 that a byte holds. */
  private static boolean isByte(KExpr e) {
    return switch (e) {
      case KExpr.IntLit literal -> literal.value() >= -128 && literal.value() <= 255;
      case KExpr.To to ->
          to.scalar() == Scalar.I32
              && to.a() instanceof KExpr.At at
              && at.scalar().isInteger()
              && at.scalar().bytes() == 1;
      default -> false;
    };
  }

  /** Whether it is rounded, then held between whole numbers; that they fit the code is its word. */
  private boolean isHeld(KExpr e) {
    return switch (e) {
      case KExpr.Bin bin when isBound(bin.op()) -> isWhole(bin.b()) && isHeld(bin.a());
      case KExpr.Bin bin when Held.zeroOf(bin).isPresent() ->
          bin.a() instanceof KExpr.Un && isHeld(bin.a());
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
