package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * MaxRoiPool (1, 22): regions rois [R, 5] (image, x1, y1, x2, y2, scaled and rounded, ends
 * included) of X [N, C, H, W], cut into pooled_shape cells that share elements at their borders;
 * the largest element of each, 0 for a cell without any.
 */
final class MaxRoiPool extends OpBase {
  MaxRoiPool() {
    super(
        OpSchema.of("", "MaxRoiPool", 1, 22)
            .sample(
                "X[3 c h w]; rois[r 5]=0..2; pooled_shape=dims(2 2)|dims(1 2)|dims(3 1); spatial_scale=0.5..1.0")
            .input("X", "T")
            .input("rois", "T")
            .output("Y", "T")
            .types("T", Types.FLOATS)
            .required("pooled_shape", AttributeKind.INTS)
            .attribute("spatial_scale", AttributeKind.FLOAT)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static List<DimExpr> shape(OpContext c) {
    if (c.rank(0) != 4 || c.rank(1) != 2) {
      throw c.error("TSR-0303", "X must be [N, C, H, W] and rois [R, 5]");
    }
    Shapes.agree(c, "numbers of a region", c.dims(1).get(1), DimExpr.of(5));
    long[] cells = Window.positive(c, "pooled_shape", 2);
    return List.of(
        c.dims(1).getFirst(), c.dims(0).get(1), DimExpr.of(cells[0]), DimExpr.of(cells[1]));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(
        shapes(c, 0, 2).isPresent()
            ? TensorType.of(c.dtype(0), shape(c))
            : TensorType.unranked(c.dtype(0)));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor rois = c.input(1);
    long[] shape = Window.numbers(shape(c));
    Tensor y = Shapes.allocate(c, x.dtype(), shape);
    int channels = (int) x.shape()[1];
    int h = (int) x.shape()[2];
    int w = (int) x.shape()[3];
    for (int i = 0; i < y.size(); i++) {
      long[] index = Shapes.unravel(i, shape);
      int r = (int) index[0];
      double number = rois.getDouble(r * 5);
      if (!(number >= 0 && number < x.shape()[0])) {
        throw c.error("TSR-0705", "region " + r + " is of image " + number);
      }
      int image = (int) number;
      int[] rows = cell(c, rois, r, 2, index[2], shape[2], h);
      int[] columns = cell(c, rois, r, 1, index[3], shape[3], w);
      double largest = Double.NEGATIVE_INFINITY;
      for (int a = rows[0]; a < rows[1]; a++) {
        for (int b = columns[0]; b < columns[1]; b++) {
          largest =
              Math.max(largest, x.getDouble(((image * channels + (int) index[1]) * h + a) * w + b));
        }
      }
      boolean empty = rows[0] >= rows[1] || columns[0] >= columns[1];
      y.setDouble(i, empty ? 0 : largest);
    }
    return List.of(y);
  }

  private static int[] cell(
      OpContext c, Tensor rois, int r, int first, long cell, long cells, int extent) {
    double scale = c.floatAttr("spatial_scale", 1);
    double begin = round(rois.getDouble(r * 5 + first) * scale);
    double end = round(rois.getDouble(r * 5 + first + 2) * scale);
    double size = Math.max(end - begin + 1, 1) / cells;
    double low = Math.floor(cell * size) + begin;
    double high = Math.ceil((cell + 1) * size) + begin;
    return new int[] {
      (int) Math.min(Math.max(low, 0), extent), (int) Math.min(Math.max(high, 0), extent)
    };
  }

  /** Half away from zero. */
  private static double round(double x) {
    return Math.copySign(Math.floor(Math.abs(x) + 0.5), x);
  }

  @Override
  Lowering code(OpContext c) {
    List<DimExpr> shape = shape(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    Scalar type = kernel.computeType(0);
    List<Axis> axes = Shapes.axes("o", shape);
    Axis r = axes.getFirst();
    Axis y = new Axis("y", c.dims(0).get(2));
    Axis x = new Axis("x", c.dims(0).get(3));
    KExpr image = Moves.position(kernel.value(1, K.axis(r), K.index(0)), c.dims(0).getFirst());
    KExpr element = kernel.value(0, image, K.axis(axes.get(1)), K.axis(y), K.axis(x));
    KExpr none = K.literal(type, Double.NEGATIVE_INFINITY);
    KExpr inRow = cell(kernel, c, r, axes.get(2), y, 2);
    KExpr inColumn = cell(kernel, c, r, axes.get(3), x, 1);
    KExpr row = K.fold(ReduceOp.MAX, List.of(x), K.select(inColumn, element, none));
    Buf largest = kernel.temp("largest", type, shape);
    kernel.stage(largest, axes, K.fold(ReduceOp.MAX, List.of(y), K.select(inRow, row, none)));
    KExpr found = K.at(largest, Shapes.refs(axes));
    kernel.stage(kernel.out(0), axes, K.select(K.eq(found, none), K.literal(type, 0.0), found));
    return kernel.build();
  }

  /** Whether a position lies in the cell. */
  private static KExpr cell(
      KernelBuilder kernel, OpContext c, Axis r, Axis cell, Axis position, int first) {
    Scalar type = kernel.computeType(0);
    KExpr scale = K.literal(type, (double) c.floatAttr("spatial_scale", 1));
    KExpr one = K.literal(type, 1.0);
    KExpr begin = round(K.mul(kernel.value(1, K.axis(r), K.index(first)), scale));
    KExpr end = round(K.mul(kernel.value(1, K.axis(r), K.index(first + 2)), scale));
    KExpr size =
        K.div(K.max(K.add(K.sub(end, begin), one), one), K.cast(type, K.dim(cell.extent())));
    KExpr number = K.cast(type, K.axis(cell));
    List<Axis> axes = List.of(r, cell);
    List<DimExpr> shape = List.of(r.extent(), cell.extent());
    Buf low = kernel.temp("low" + first, type, shape);
    kernel.stage(low, axes, K.add(K.unary(UnaryOp.FLOOR, K.mul(number, size)), begin));
    Buf high = kernel.temp("high" + first, type, shape);
    kernel.stage(high, axes, K.add(K.unary(UnaryOp.CEIL, K.mul(K.add(number, one), size)), begin));
    KExpr at = K.cast(type, K.axis(position));
    return K.and(K.ge(at, K.at(low, Shapes.refs(axes))), K.lt(at, K.at(high, Shapes.refs(axes))));
  }

  private static KExpr round(KExpr x) {
    KExpr half = K.literal(x.scalar(), 0.5);
    KExpr away = K.unary(UnaryOp.FLOOR, K.add(K.unary(UnaryOp.ABS, x), half));
    return K.select(K.lt(x, K.literal(x.scalar(), 0.0)), K.neg(away), away);
  }
}
