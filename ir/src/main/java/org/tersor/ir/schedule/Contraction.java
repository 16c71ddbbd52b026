package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * A stage of the form {@code out[batch, m, n] = epilogue(sum(k) row(batch, m, k) * column(batch, n,
 * k))}: matrix products, convolutions as implicit products, and whatever else factors like this.
 *
 * @param stage the simplified stage
 * @param fold the sum
 * @param row the factor without the contiguous output axes
 * @param column the factor that varies along the contiguous output axes
 * @param m the row axis; empty for a vector-matrix product
 * @param n the contiguous output axes, outermost first
 * @param batch all other output axes
 * @param k the axes summed over
 */
record Contraction(
    Stage stage,
    KExpr.Fold fold,
    Factor row,
    Factor column,
    Optional<Axis> m,
    List<Axis> n,
    List<Axis> batch,
    List<Axis> k) {
  /** A known extent above it fills tiles, whatever the others are. */
  private static final long UNKNOWN = 32;

  /**
   * A factor {@code value - zero}: for floats zero is absent; for 8-bit integers value is an I32
   * expression in the range of {@code element}.
   */
  record Factor(KExpr value, Optional<KExpr> zero, Scalar element) {
    Set<Axis> axes() {
      Set<Axis> axes = new HashSet<>(KExprs.freeAxes(value));
      zero.ifPresent(z -> axes.addAll(KExprs.freeAxes(z)));
      return axes;
    }

    Set<Buf> buffers() {
      return StageSimplifier.buffers(value);
    }

    /** The factor as one expression. */
    KExpr whole() {
      return zero.map(z -> K.sub(value, z)).orElse(value);
    }
  }

  boolean isInteger() {
    return fold.scalar() == Scalar.I32;
  }

  DimExpr extentN() {
    return DimExpr.product(n.stream().map(Axis::extent).toList());
  }

  DimExpr extentM() {
    return m.map(Axis::extent).orElse(DimExpr.ONE);
  }

  DimExpr extentK() {
    return DimExpr.product(k.stream().map(Axis::extent).toList());
  }

  static Optional<Contraction> match(Stage stage) {
    List<KExpr.Fold> folds =
        KExprs.all(stage.value(), KExpr.Fold.class).stream().distinct().toList();
    if (folds.size() != 1 || stage.axes().isEmpty()) {
      return Optional.empty();
    }
    KExpr.Fold fold = folds.getFirst();
    if (fold.op() != ReduceOp.SUM
        || !(fold.body() instanceof KExpr.Bin product)
        || product.op() != BinaryOp.MUL) {
      return Optional.empty();
    }
    Optional<Factor> left = factor(product.a(), fold);
    Optional<Factor> right = factor(product.b(), fold);
    if (left.isEmpty() || right.isEmpty()) {
      return Optional.empty();
    }
    return arrange(stage, fold, left.get(), right.get());
  }

  /** A factor of a sum of products; empty if it is none that schedules know. */
  static Optional<Factor> factor(KExpr expr, KExpr.Fold fold) {
    return switch (fold.scalar()) {
      case F32, F64 -> Optional.of(new Factor(expr, Optional.empty(), fold.scalar()));
      case I32 -> integerFactor(expr, fold);
      default -> Optional.empty();
    };
  }

  private static Optional<Factor> integerFactor(KExpr expr, KExpr.Fold fold) {
    if (expr instanceof KExpr.To to && isByte(to.a().scalar())) {
      return Optional.of(new Factor(to, Optional.empty(), to.a().scalar()));
    }
    if (expr instanceof KExpr.Bin difference && difference.op() == BinaryOp.SUB) {
      boolean zeroIsConstant =
          KExprs.freeAxes(difference.b()).stream().noneMatch(fold.axes()::contains);
      return zeroIsConstant && difference.a() instanceof KExpr.To to && isByte(to.a().scalar())
          ? Optional.of(new Factor(to, Optional.of(difference.b()), to.a().scalar()))
          : Optional.empty();
    }
    // Padding contributes 0, which is the code zero minus zero.
    if (expr instanceof KExpr.If choice
        && choice.otherwise() instanceof KExpr.IntLit zero
        && zero.value() == 0) {
      return integerFactor(choice.then(), fold)
          .map(f ->
              new Factor(
                  new KExpr.If(choice.condition(), f.value(), f.zero().orElse(K.i32(0))),
                  f.zero(),
                  f.element()));
    }
    return Optional.empty();
  }

  private static boolean isByte(Scalar scalar) {
    return scalar == Scalar.U8 || scalar == Scalar.I8;
  }

  private static Optional<Contraction> arrange(
      Stage stage, KExpr.Fold fold, Factor left, Factor right) {
    Affine store = Affine.of(stage.index().getFirst());
    Axis last = stage.axes().getLast();
    if (!store.isLinearIn(last) || !store.coefficient(last).isConst(1)) {
      return Optional.empty();
    }
    boolean inLeft = left.axes().contains(last);
    boolean inRight = right.axes().contains(last);
    if (inLeft == inRight) {
      return Optional.empty();
    }
    Factor column = inLeft ? left : right;
    Factor row = inLeft ? right : left;
    Set<Axis> rowAxes = row.axes();
    Set<Axis> columnAxes = column.axes();
    List<Axis> n = new ArrayList<>();
    DimExpr stride = DimExpr.ONE;
    List<Axis> others = new ArrayList<>();
    for (Axis axis : stage.axes().reversed()) {
      boolean contiguous =
          others.isEmpty() && store.isLinearIn(axis) && store.coefficient(axis).equals(stride);
      if (contiguous && columnAxes.contains(axis) && !rowAxes.contains(axis)) {
        n.addFirst(axis);
        stride = stride.times(axis.extent());
      } else {
        others.addFirst(axis);
      }
    }
    Optional<Axis> m =
        others.stream()
            .filter(axis -> rowAxes.contains(axis) && !columnAxes.contains(axis))
            .reduce((a, b) -> size(b) >= size(a) ? b : a);
    List<Axis> batch =
        others.stream().filter(axis -> m.isEmpty() || !m.get().equals(axis)).toList();
    List<Axis> k = fold.axes();
    if (k.stream().anyMatch(axis -> !rowAxes.contains(axis) && !columnAxes.contains(axis))) {
      return Optional.empty();
    }
    return Optional.of(new Contraction(stage, fold, row, column, m, List.copyOf(n), batch, k));
  }

  /** As rows of tiles: an axis of unknown extent may have one position, as most batches do. */
  private static long size(Axis axis) {
    return axis.extent().isConst() ? axis.extent().constValue() : UNKNOWN;
  }
}
