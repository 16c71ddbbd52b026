package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * AffineGrid (20): for size [N, C, D1..Dk] (k = 2 or 3) a grid [N, D1..Dk, k] of locations for
 * GridSample: theta [N, k, k + 1] times the location of each element, last dimension first, and 1.
 * Elements lie from -1 to 1, by their centres (align_corners) or their edges. Where a single one
 * stands for both corners, the function body divides by 0: NaN, but for a depth, which is at -1.
 */
final class AffineGrid extends OpBase {
  AffineGrid() {
    super(
        OpSchema.of("", "AffineGrid", 20)
            .sample("theta[n 2 3]; size=dims(n c h w)")
            .input("theta", "T1")
            .input("size", "T2")
            .output("grid", "T1")
            .types("T1", Types.FLOATS)
            .types("T2", Types.I64)
            .attribute("align_corners", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.ROUNDING));
  }

  private static boolean corners(OpContext c) {
    return c.intAttr("align_corners", 0) != 0;
  }

  /** Whether a coordinate is the third of a volume. */
  private static boolean isDepth(int d) {
    return d == 2;
  }

  /** Shape of the grid, if the size is known. */
  private static Optional<List<DimExpr>> shape(OpContext c) {
    List<DimExpr> theta = c.dims(0);
    if (theta.size() != 3) {
      throw c.error("TSR-0303", "theta must be [N, 2, 3] or [N, 3, 4]");
    }
    Optional<List<DimExpr>> size = c.symbolic(1);
    if (size.isEmpty()) {
      return Optional.empty();
    }
    int k = size.get().size() - 2;
    if (k != 2 && k != 3) {
      throw c.error("TSR-0303", "size must have 4 or 5 numbers, not " + size.get().size());
    }
    Shapes.agree(c, "rows of theta", theta.get(1), DimExpr.of(k));
    Shapes.agree(c, "columns of theta", theta.get(2), DimExpr.of(k + 1));
    Shapes.agree(c, "samples of theta", theta.getFirst(), size.get().getFirst());
    List<DimExpr> shape = new ArrayList<>(List.of(theta.getFirst()));
    for (DimExpr extent : size.get().subList(2, k + 2)) {
      if (extent.isConst()
          && (extent.constValue() < 0 || extent.constValue() > Integer.MAX_VALUE)) {
        throw c.error("TSR-0303", "a grid cannot have the extent " + extent);
      }
      shape.add(extent);
    }
    shape.add(DimExpr.of(k));
    return Optional.of(shape);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    if (!c.in(0).isRanked()) {
      return List.of(TensorType.unranked(c.dtype(0)));
    }
    Optional<List<DimExpr>> shape = shape(c);
    Optional<DimExpr> k = Optional.of(c.dims(0).get(1)).filter(DimExpr::isConst);
    if (shape.isEmpty() && k.isPresent()) {
      List<DimExpr> open = new ArrayList<>(List.of(c.dims(0).getFirst()));
      for (int d = 0; d < k.get().constValue() && d < 3; d++) {
        open.add(unknown(c, d));
      }
      open.add(k.get());
      shape = Optional.of(open);
    }
    return List.of(type(c.dtype(0), shape));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    long[] shape = Window.numbers(shape(c).orElseThrow());
    Tensor theta = c.input(0);
    Tensor grid = Shapes.allocate(c, theta.dtype(), shape);
    int k = shape.length - 2;
    long[] index = new long[shape.length];
    for (int i = 0; i < grid.size(); i++) {
      int row = (int) (index[0] * k + index[k + 1]) * (k + 1);
      double sum = theta.getDouble(row + k);
      for (int d = 0; d < k; d++) {
        long n = shape[k - d];
        double at = index[k - d];
        long steps = isDepth(d) ? Math.max(1, n - 1) : n - 1;
        double place = corners(c) ? 2 * at / steps - 1 : (2 * at + 1) / n - 1;
        sum += theta.getDouble(row + d) * place;
      }
      grid.setDouble(i, sum);
      Shapes.next(index, shape);
    }
    return List.of(grid);
  }

  @Override
  Lowering code(OpContext c) {
    List<DimExpr> shape =
        shape(c).orElseThrow(() -> notLowered(c, "the size is only known when it runs"));
    KernelBuilder kernel = new KernelBuilder(this, c);
    Scalar type = c.dtype(0) == DType.F64 ? Scalar.F64 : Scalar.F32;
    List<Axis> axes = Shapes.axes(shape);
    int k = shape.size() - 2;
    KExpr sample = K.axis(axes.getFirst());
    KExpr row = K.axis(axes.get(k + 1));
    KExpr sum = kernel.value(0, sample, row, K.index(k));
    KExpr one = K.literal(type, 1.0);
    for (int d = 0; d < k; d++) {
      KExpr doubled = K.cast(type, K.mul(K.axis(axes.get(k - d)), K.index(2)));
      KExpr n = K.dim(shape.get(k - d));
      KExpr steps = K.sub(n, K.index(1));
      KExpr place =
          corners(c)
              ? K.sub(
                  K.div(doubled, K.cast(type, isDepth(d) ? K.max(K.index(1), steps) : steps)), one)
              : K.sub(K.div(K.add(doubled, one), K.cast(type, n)), one);
      sum = K.add(sum, K.mul(kernel.value(0, sample, row, K.index(d)), place));
    }
    kernel.stage(kernel.out(0), axes, sum);
    return kernel.build();
  }
}
