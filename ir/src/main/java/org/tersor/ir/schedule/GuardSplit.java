package org.tersor.ir.schedule;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * Guards of padded reads, by the output axis that decides them: in the interior of that axis they
 * hold whatever the summed axes are, so that only windows at the border need them. Where what is
 * outside adds nothing to a fold, windows at the border need none either: they have fewer taps.
 */
final class GuardSplit {
  /** Positions {@code from} to {@code to} - 1 of an axis, and the comparisons that hold there. */
  record Interior(long from, long to, Set<KExpr> hold) {}

  private final Map<Axis, Interior> interiors;
  private final Map<Axis, Map<Axis, WindowTaps>> taps;

  private GuardSplit(Map<Axis, Interior> interiors, Map<Axis, Map<Axis, WindowTaps>> taps) {
    this.interiors = interiors;
    this.taps = taps;
  }

  /** A split of nothing. */
  static GuardSplit none() {
    return new GuardSplit(Map.of(), Map.of());
  }

  /**
   * The split of a simplified stage, if it removes every guard inside of folds.
   *
   * @param vector the axis of the vectors, which must decide no guard
   */
  static Optional<GuardSplit> of(Stage stage, Axis vector) {
    Map<Axis, Interior> found = new LinkedHashMap<>();
    Set<KExpr> guards = new HashSet<>();
    for (KExpr.Fold fold : KExprs.all(stage.value(), KExpr.Fold.class)) {
      for (KExpr.If choice : KExprs.all(fold.body(), KExpr.If.class)) {
        guards.addAll(KExprs.all(choice.condition(), KExpr.Cmp.class));
      }
    }
    for (KExpr guard : guards) {
      Optional<Axis> axis = decider(stage, (KExpr.Cmp) guard);
      if (axis.isEmpty() || axis.get().equals(vector) || !axis.get().extent().isConst()) {
        return Optional.empty();
      }
      Interior before =
          found.getOrDefault(
              axis.get(), new Interior(0, axis.get().extent().constValue(), new HashSet<>()));
      Optional<Interior> after = narrowed(before, (KExpr.Cmp) guard, axis.get());
      if (after.isEmpty()) {
        return Optional.empty();
      }
      found.put(axis.get(), after.get());
    }
    Map<Axis, Map<Axis, WindowTaps>> taps = new LinkedHashMap<>();
    for (Map.Entry<Axis, Interior> each : found.entrySet()) {
      Axis axis = each.getKey();
      Interior interior = each.getValue();
      Optional<Map<Axis, WindowTaps>> of = WindowTaps.of(stage.value(), axis, interior.hold);
      of.ifPresent(limits -> taps.put(axis, limits));
      if (interior.from >= interior.to) {
        if (of.isEmpty()) {
          return Optional.empty();
        }
        long at = Math.clamp(interior.from, 0, axis.extent().constValue());
        each.setValue(new Interior(at, at, interior.hold));
      }
    }
    return found.isEmpty() ? Optional.empty() : Optional.of(new GuardSplit(found, taps));
  }

  /**
   * The positions of an axis of constant extent where every guard that depends on it holds; empty
   * if some guard is not of this kind.
   */
  static Optional<Interior> interior(Set<KExpr> guards, Axis axis) {
    if (!axis.extent().isConst()) {
      return Optional.empty();
    }
    Interior interior = new Interior(0, axis.extent().constValue(), Set.of());
    for (KExpr guard : guards) {
      if (KExprs.freeAxes(guard).contains(axis)) {
        boolean ofIndex = ((KExpr.Cmp) guard).a().scalar() == Scalar.INDEX;
        Optional<Interior> less =
            ofIndex ? narrowed(interior, (KExpr.Cmp) guard, axis) : Optional.empty();
        if (less.isEmpty() || less.get().from > less.get().to) {
          return Optional.empty();
        }
        interior = less.get();
      }
    }
    return Optional.of(interior);
  }

  /** The only output axis in a comparison. */
  private static Optional<Axis> decider(Stage stage, KExpr.Cmp guard) {
    if (guard.a().scalar() != Scalar.INDEX) {
      return Optional.empty();
    }
    List<Axis> axes =
        KExprs.freeAxes(guard).stream().filter(axis -> stage.axes().contains(axis)).toList();
    return axes.size() == 1 ? Optional.of(axes.getFirst()) : Optional.empty();
  }

  private static Optional<Interior> narrowed(Interior interior, KExpr.Cmp guard, Axis axis) {
    Affine difference = Affine.of(K.sub(guard.a(), guard.b()));
    DimExpr step = difference.coefficient(axis);
    if (!difference.isLinearIn(axis) || !step.isConst() || step.constValue() <= 0) {
      return Optional.empty();
    }
    Optional<Interval> rest = Interval.of(difference.without(axis).toKExpr());
    if (rest.isEmpty()) {
      return Optional.empty();
    }
    Set<KExpr> hold = new HashSet<>(interior.hold);
    hold.add(guard);
    long by = step.constValue();
    if (guard.op() == CompareOp.GE) {
      long from = Math.ceilDiv(-rest.get().low(), by);
      return Optional.of(new Interior(Math.max(interior.from, from), interior.to, hold));
    }
    if (guard.op() == CompareOp.LT) {
      long to = Math.ceilDiv(-rest.get().high(), by);
      return Optional.of(new Interior(interior.from, Math.min(interior.to, to), hold));
    }
    return Optional.empty();
  }

  /** The interior of an axis that decides guards. */
  Optional<Interior> interior(Axis axis) {
    return Optional.ofNullable(interiors.get(axis));
  }

  /**
   * The taps that windows along an axis have beyond its interior, by the axis of the taps; empty if
   * the guards stay there.
   */
  Optional<Map<Axis, WindowTaps>> taps(Axis axis) {
    return Optional.ofNullable(taps.get(axis));
  }

  /** A value where the guards of an interior hold. */
  static KExpr inside(KExpr value, Interior interior) {
    return StageSimplifier.decided(
        KExprs.rewrite(value, e -> interior.hold.contains(e) ? K.bool(true) : e));
  }
}
