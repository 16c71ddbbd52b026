package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * Brings a stage into the form that schedules start from: one flat index per access, comparisons
 * decided where extents decide them, no axes of extent 1, and neighbouring axes merged wherever
 * every access walks them as one.
 */
final class StageSimplifier {
  private StageSimplifier() {}

  static Stage simplify(Stage stage) {
    return simplify(stage, axis -> false);
  }

  /**
   * @param keep axes that stay what they are
   */
  static Stage simplify(Stage stage, Predicate<Axis> keep) {
    KExpr index =
        Affine.of(
                flatIndex(
                    stage.target(),
                    stage.index().stream().map(StageSimplifier::expression).toList()))
            .toKExpr();
    KExpr value = expression(stage.value());
    List<Axis> axes = stage.axes().stream().filter(axis -> !axis.extent().isConst(1)).toList();
    return mergeAxes(new Stage(flat(stage.target()), axes, List.of(index), value), keep);
  }

  static Buf flat(Buf buffer) {
    return new Buf(buffer.name(), buffer.element(), List.of(buffer.elements()));
  }

  private static KExpr flatIndex(Buf buffer, List<KExpr> index) {
    KExpr flat = K.index(0);
    DimExpr stride = DimExpr.ONE;
    for (int d = index.size() - 1; d >= 0; d--) {
      flat = K.add(K.mul(index.get(d), K.dim(stride)), flat);
      stride = stride.times(buffer.shape().get(d));
    }
    return flat;
  }

  /** Flattens accesses, drops folds over single points, decides comparisons. */
  private static KExpr expression(KExpr expr) {
    KExpr flat =
        KExprs.rewrite(
            expr,
            e ->
                switch (e) {
                  case KExpr.AxisRef ref -> K.axis(ref.axis());
                  case KExpr.At at ->
                      new KExpr.At(
                          flat(at.buffer()),
                          List.of(Affine.of(flatIndex(at.buffer(), at.index())).toKExpr()));
                  case KExpr.Within index -> index.unchecked();
                  case KExpr.Fold fold ->
                      K.fold(
                          fold.op(),
                          fold.axes().stream().filter(a -> !a.extent().isConst(1)).toList(),
                          fold.body());
                  default -> e;
                });
    return decided(Affine.canonical(flat));
  }

  /** Without comparisons whose outcome is known, and without what they choose against. */
  static KExpr decided(KExpr expr) {
    return KExprs.rewrite(
        expr,
        e ->
            switch (e) {
              case KExpr.Cmp cmp -> Interval.decide(cmp).<KExpr>map(K::bool).orElse(cmp);
              case KExpr.If choice ->
                  K.select(choice.condition(), choice.then(), choice.otherwise());
              case KExpr.Bin bin when bin.scalar() == Scalar.BOOL -> logical(bin);
              default -> e;
            });
  }

  private static KExpr logical(KExpr.Bin bin) {
    return switch (bin.op()) {
      case AND -> isFalse(bin.a()) || isFalse(bin.b()) ? K.bool(false) : K.and(bin.a(), bin.b());
      case OR -> isFalse(bin.a()) ? bin.b() : isFalse(bin.b()) ? bin.a() : bin;
      default -> bin;
    };
  }

  private static boolean isFalse(KExpr e) {
    return e instanceof KExpr.IntLit literal && literal.value() == 0;
  }

  /** Applies a change to every outermost INDEX expression of {@code expr}. */
  static KExpr mapIndices(KExpr expr, UnaryOperator<Affine> change) {
    return expr.scalar() == Scalar.INDEX
        ? change.apply(Affine.of(expr)).toKExpr()
        : KExprs.mapOperands(expr, e -> mapIndices(e, change));
  }

  private static void visitIndices(
      KExpr expr, Consumer<Affine> visitor, Consumer<KExpr.Cmp> guards) {
    if (expr.scalar() == Scalar.INDEX) {
      visitor.accept(Affine.of(expr));
    } else if (isGuard(expr)) {
      guards.accept((KExpr.Cmp) expr);
    } else {
      KExprs.operands(expr).forEach(e -> visitIndices(e, visitor, guards));
    }
  }

  private static boolean isGuard(KExpr expr) {
    return expr instanceof KExpr.Cmp cmp && cmp.a().scalar() == Scalar.INDEX;
  }

  private static Stage mergeAxes(Stage stage, Predicate<Axis> keep) {
    Stage current = stage;
    while (true) {
      Optional<Merge> merge = findMerge(current, keep);
      if (merge.isEmpty()) {
        return current;
      }
      current = merge.get().apply(current);
    }
  }

  private static Optional<Merge> findMerge(Stage stage, Predicate<Axis> keep) {
    List<Affine> indices = new ArrayList<>();
    List<KExpr.Cmp> guards = new ArrayList<>();
    visitIndices(stage.index().getFirst(), indices::add, guards::add);
    // Windows at the border are told apart by the axis that decides it: it stays alone.
    boolean elementwise = KExprs.all(stage.value(), KExpr.Fold.class).isEmpty();
    visitIndices(
        stage.value(),
        indices::add,
        elementwise
            ? guards::add
            : guard -> {
              indices.add(Affine.of(guard.a()));
              indices.add(Affine.of(guard.b()));
            });
    List<List<Axis>> nests = new ArrayList<>();
    nests.add(stage.axes());
    folds(stage.value(), fold -> nests.add(fold.axes()));
    for (List<Axis> nest : nests) {
      for (int i = 0; i + 1 < nest.size(); i++) {
        Merge merge = new Merge(nest.get(i), nest.get(i + 1));
        if (!keep.test(merge.outer)
            && !keep.test(merge.inner)
            && indices.stream().allMatch(merge::fits)
            && guards.stream().allMatch(merge::fits)) {
          return Optional.of(merge);
        }
      }
    }
    return Optional.empty();
  }

  /** Folds but those inside of an index, which is an atom to {@link Affine}. */
  private static void folds(KExpr expr, Consumer<KExpr.Fold> visitor) {
    if (expr.scalar() == Scalar.INDEX) {
      return;
    }
    KExprs.operands(expr).forEach(e -> folds(e, visitor));
    if (expr instanceof KExpr.Fold fold) {
      visitor.accept(fold);
    }
  }

  /** Two axes of which the outer one walks on where the inner one ends. */
  record Merge(Axis outer, Axis inner) {
    boolean fits(Affine index) {
      return index.isLinearIn(outer)
          && index.isLinearIn(inner)
          && index.coefficient(outer).equals(index.coefficient(inner).times(inner.extent()));
    }

    boolean fits(KExpr.Cmp guard) {
      return (fits(Affine.of(guard.a())) && fits(Affine.of(guard.b())))
          || scaled(guard).isPresent();
    }

    /**
     * A comparison that the outer axis alone decides, as one of the merged axis: {@code outer + r <
     * 0} is {@code outer * n + inner + r * n < 0} for n inner positions.
     */
    private Optional<KExpr.Cmp> scaled(KExpr.Cmp guard) {
      Affine difference = Affine.of(K.sub(guard.a(), guard.b()));
      boolean ofOuter =
          difference.isLinearIn(outer)
              && difference.isLinearIn(inner)
              && difference.coefficient(outer).isConst(1)
              && difference.coefficient(inner).isConst(0);
      if (!ofOuter || (guard.op() != CompareOp.LT && guard.op() != CompareOp.GE)) {
        return Optional.empty();
      }
      Affine rest = difference.without(outer).times(inner.extent());
      Affine at = new Affine(Map.of(new KExpr.AxisRef(merged()), DimExpr.ONE), DimExpr.ZERO);
      return Optional.of(new KExpr.Cmp(guard.op(), at.plus(rest).toKExpr(), K.index(0)));
    }

    /** A value over the merged axis. */
    private KExpr change(KExpr expr) {
      if (expr.scalar() == Scalar.INDEX) {
        return change(Affine.of(expr)).toKExpr();
      }
      if (isGuard(expr) && expr instanceof KExpr.Cmp guard) {
        boolean together = fits(Affine.of(guard.a())) && fits(Affine.of(guard.b()));
        if (!together) {
          return scaled(guard).orElseThrow();
        }
      }
      return KExprs.mapOperands(expr, this::change);
    }

    Axis merged() {
      return new Axis(outer.name() + "_" + inner.name(), outer.extent().times(inner.extent()));
    }

    /** The index over the merged axis. */
    Affine change(Affine index) {
      DimExpr coefficient = index.coefficient(inner);
      Affine rest = index.without(outer).without(inner);
      return coefficient.isConst(0)
          ? rest
          : rest.plus(new Affine(Map.of(new KExpr.AxisRef(merged()), coefficient), DimExpr.ZERO));
    }

    Stage apply(Stage stage) {
      KExpr value = change(stage.value());
      value =
          KExprs.rewrite(
              value,
              e ->
                  e instanceof KExpr.Fold fold && fold.axes().contains(outer)
                      ? new KExpr.Fold(fold.op(), replace(fold.axes()), fold.body())
                      : e);
      return new Stage(
          stage.target(),
          stage.axes().contains(outer) ? replace(stage.axes()) : stage.axes(),
          List.of(change(stage.index().getFirst())),
          value);
    }

    private List<Axis> replace(List<Axis> axes) {
      List<Axis> result = new ArrayList<>();
      for (Axis axis : axes) {
        if (axis.equals(outer)) {
          result.add(merged());
        } else if (!axis.equals(inner)) {
          result.add(axis);
        }
      }
      return result;
    }
  }

  /** Flat index of every element read, with the axes it depends on. */
  static Map<KExpr.At, Affine> reads(KExpr value) {
    Map<KExpr.At, Affine> reads = new LinkedHashMap<>();
    KExprs.all(value, KExpr.At.class)
        .forEach(at -> reads.put(at, Affine.of(at.index().getFirst())));
    return reads;
  }

  /** Buffers read, in order of first use. */
  static Set<Buf> buffers(KExpr value) {
    Set<Buf> buffers = new java.util.LinkedHashSet<>();
    KExprs.all(value, KExpr.At.class).forEach(at -> buffers.add(at.buffer()));
    return buffers;
  }
}
