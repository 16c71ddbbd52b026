package org.tersor.ir.schedule;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * Moves what a value computes from weights alone into stages of its own, which run at load: the
 * factor {@code x_scale * w_scale[c] / y_scale} of a channel has a division that each pixel would
 * repeat.
 */
final class ConstantParts {
  /** Most elements of a part: it must stay cheaper to read than to compute. */
  private static final long MOST = 1 << 16;

  private final Stage stage;
  private final Predicate<Buf> constant;
  private final Consumer<Stage> add;
  private final Supplier<String> names;
  private final Map<KExpr, KExpr> named = new HashMap<>();

  private ConstantParts(
      Stage stage, Predicate<Buf> constant, Supplier<String> names, Consumer<Stage> add) {
    this.stage = stage;
    this.constant = constant;
    this.names = names;
    this.add = add;
  }

  /**
   * @param stage simplified
   * @param constant whether a buffer holds weights
   * @param names names for buffers
   * @param add takes the stages of the parts
   */
  static Stage extract(
      Stage stage, Predicate<Buf> constant, Supplier<String> names, Consumer<Stage> add) {
    ConstantParts parts = new ConstantParts(stage, constant, names, add);
    KExpr value = parts.outside(stage.value());
    return new Stage(stage.target(), stage.axes(), stage.index(), value);
  }

  private KExpr outside(KExpr expr) {
    // What a sum adds up belongs to its schedule, and guards protect reads.
    if (expr instanceof KExpr.Fold || expr instanceof KExpr.If || expr.scalar() == Scalar.INDEX) {
      return expr;
    }
    return isPart(expr)
        ? named.computeIfAbsent(expr, this::part)
        : KExprs.mapOperands(expr, this::outside);
  }

  private boolean isPart(KExpr expr) {
    Set<Buf> reads = StageSimplifier.buffers(expr);
    Set<Axis> axes = new HashSet<>(KExprs.freeAxes(expr));
    boolean computes =
        KExprs.all(expr, KExpr.Bin.class).stream().anyMatch(e -> e.scalar() != Scalar.INDEX)
            || KExprs.all(expr, KExpr.Un.class).stream().anyMatch(e -> e.scalar() != Scalar.INDEX);
    return computes
        && expr.scalar() != Scalar.BOOL
        && !reads.isEmpty()
        && reads.stream().allMatch(constant)
        && !axes.isEmpty()
        && axes.size() < stage.axes().size()
        && axes.stream().allMatch(axis -> stage.axes().contains(axis) && axis.extent().isConst())
        && KExprs.all(expr, KExpr.Dim.class).stream().allMatch(d -> d.value().isConst())
        && KExprs.all(expr, KExpr.Fold.class).isEmpty()
        && elements(axes) <= MOST;
  }

  private static long elements(Set<Axis> axes) {
    long elements = 1;
    for (Axis axis : axes) {
      elements = Math.min(1L << 40, elements * Math.min(1L << 20, axis.extent().constValue()));
    }
    return elements;
  }

  private KExpr part(KExpr expr) {
    Set<Axis> free = new HashSet<>(KExprs.freeAxes(expr));
    List<Axis> axes = stage.axes().stream().filter(free::contains).toList();
    List<DimExpr> shape = axes.stream().map(Axis::extent).toList();
    Buf buffer = new Buf(names.get(), expr.scalar(), shape);
    add.accept(Stage.of(buffer, axes, expr));
    KExpr index = K.index(0);
    for (Axis axis : axes) {
      index = K.add(K.mul(index, K.dim(axis.extent())), K.axis(axis));
    }
    return new KExpr.At(StageSimplifier.flat(buffer), List.of(Affine.of(index).toKExpr()));
  }
}
