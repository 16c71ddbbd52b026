package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * The positions of a summed axis at which a window reads what exists: those where guards of the
 * form {@code a * output + b * tap + c >= 0} or {@code < 0} hold.
 *
 * @param tap the summed axis
 * @param output the axis of the windows
 * @param limits one for each guard
 */
record WindowTaps(Axis tap, Axis output, List<Limit> limits) {
  /**
   * {@code tap >= -rest / step}, or {@code tap < -rest / step}; rounded up.
   *
   * @param rest over the output axis
   */
  private record Limit(boolean low, Affine rest, long step) {
    KExpr bound() {
      KExpr negative =
          rest.times(DimExpr.of(-1)).plus(Affine.constant(DimExpr.of(step - 1))).toKExpr();
      return step == 1 ? negative : K.floorDiv(negative, K.index(step));
    }
  }

  /** Positions {@code from} to {@code to} - 1. */
  record Range(KExpr from, KExpr to) {}

  /** The taps of the window at the present position of the output axis. */
  Range range() {
    KExpr from = K.index(0);
    KExpr to = K.dim(tap.extent());
    for (Limit limit : limits) {
      if (limit.low) {
        from = K.max(from, limit.bound());
      } else {
        to = K.min(to, limit.bound());
      }
    }
    return new Range(from, to);
  }

  /** The taps of the window at one position of the output axis. */
  Range at(long position) {
    Map<Axis, KExpr> there = Map.of(output, K.index(position));
    Range range = range();
    return new Range(
        K.index(constant(KExprs.substitute(range.from, there))),
        K.index(constant(KExprs.substitute(range.to, there))));
  }

  private static long constant(KExpr expr) {
    return Interval.of(Affine.of(expr).toKExpr())
        .filter(range -> range.low() == range.high())
        .orElseThrow()
        .low();
  }

  /**
   * The taps that guards leave, by their axis; empty if guards depend on more than one of them, or
   * if what is outside counts in a fold.
   *
   * @param hold comparisons that the output axis decides
   */
  static Optional<Map<Axis, WindowTaps>> of(KExpr value, Axis output, Set<KExpr> hold) {
    Map<Axis, List<Limit>> limits = new LinkedHashMap<>();
    Map<Axis, List<KExpr>> guards = new LinkedHashMap<>();
    for (KExpr guard : hold) {
      KExpr.Cmp cmp = (KExpr.Cmp) guard;
      Affine difference = Affine.of(K.sub(cmp.a(), cmp.b()));
      List<Axis> axes =
          KExprs.freeAxes(guard).stream().filter(axis -> !axis.equals(output)).toList();
      if (axes.size() != 1 || !axes.getFirst().extent().isConst()) {
        return Optional.empty();
      }
      Axis tap = axes.getFirst();
      DimExpr step = difference.coefficient(tap);
      boolean linear = difference.isLinearIn(tap) && difference.isLinearIn(output);
      if (!linear || !step.isConst() || step.constValue() <= 0) {
        return Optional.empty();
      }
      boolean low = cmp.op() == CompareOp.GE;
      if (!low && cmp.op() != CompareOp.LT) {
        return Optional.empty();
      }
      Affine rest = difference.without(tap);
      if (!rest.constant().isConst() || !rest.coefficient(output).isConst()) {
        return Optional.empty();
      }
      limits
          .computeIfAbsent(tap, t -> new ArrayList<>())
          .add(new Limit(low, rest, step.constValue()));
      guards.computeIfAbsent(tap, t -> new ArrayList<>()).add(guard);
    }
    Map<Axis, WindowTaps> taps = new LinkedHashMap<>();
    for (Axis tap : limits.keySet()) {
      List<KExpr> of = guards.getOrDefault(tap, List.of());
      boolean skips =
          KExprs.all(value, KExpr.Fold.class).stream()
              .filter(fold -> fold.axes().contains(tap))
              .allMatch(fold -> skips(fold, tap, of));
      if (!skips) {
        return Optional.empty();
      }
      taps.put(tap, new WindowTaps(tap, output, limits.getOrDefault(tap, List.of())));
    }
    return Optional.of(taps);
  }

  /** Whether a fold may leave out the taps at which one of the guards does not hold. */
  private static boolean skips(KExpr.Fold fold, Axis tap, List<KExpr> guards) {
    KExpr body = fold.body();
    if (fold.op() == ReduceOp.SUM
        && body instanceof KExpr.Bin product
        && product.op() == BinaryOp.MUL) {
      return chooses(product.a(), fold, tap, guards) || chooses(product.b(), fold, tap, guards);
    }
    return chooses(body, fold, tap, guards);
  }

  /** Whether a value is neutral where a guard does not hold, and reads nothing there. */
  private static boolean chooses(KExpr value, KExpr.Fold fold, Axis tap, List<KExpr> guards) {
    if (!(value instanceof KExpr.If choice) || !isNeutral(choice.otherwise(), fold)) {
      return false;
    }
    List<KExpr> terms = new ArrayList<>();
    conjunction(choice.condition(), terms);
    // A read that does not move with the taps would leave the loop that may have no turn.
    return terms.containsAll(guards)
        && KExprs.all(choice.then(), KExpr.At.class).stream()
            .allMatch(at -> KExprs.freeAxes(at).contains(tap))
        && KExprs.all(choice.then(), KExpr.Fold.class).isEmpty();
  }

  private static void conjunction(KExpr condition, List<KExpr> terms) {
    if (condition instanceof KExpr.Bin and && and.op() == BinaryOp.AND) {
      conjunction(and.a(), terms);
      conjunction(and.b(), terms);
    } else {
      terms.add(condition);
    }
  }

  private static boolean isNeutral(KExpr value, KExpr.Fold fold) {
    return switch (fold.op()) {
      case SUM ->
          (value instanceof KExpr.IntLit zero && zero.value() == 0)
              || (value instanceof KExpr.FloatLit none && none.value() == 0);
      case MAX -> isExtreme(value, fold.scalar(), Double.NEGATIVE_INFINITY, true);
      case MIN -> isExtreme(value, fold.scalar(), Double.POSITIVE_INFINITY, false);
      case PROD, AND, OR, XOR -> false;
    };
  }

  private static boolean isExtreme(KExpr value, Scalar scalar, double infinity, boolean least) {
    if (value instanceof KExpr.FloatLit literal) {
      return literal.value() == infinity;
    }
    return scalar == Scalar.I32
        && value instanceof KExpr.IntLit literal
        && literal.value() == (least ? Integer.MIN_VALUE : Integer.MAX_VALUE);
  }
}
