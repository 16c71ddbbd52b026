package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * What Resize computes before it resizes, where that is only known when the model runs: the size of
 * each resized dimension from its scale (rounded down, or to the nearest), or the one scale that
 * keeps the aspect ratio from wanted sizes.
 */
final class ResizeSizes extends OpBase {
  private final boolean scale;

  private ResizeSizes(boolean scale) {
    super(
        OpSchema.of(OpKey.TERSOR, scale ? "ResizeScale" : "ResizeSizes", 1)
            .input("X", "T")
            .input(scale ? "sizes" : "scales", "P")
            .output("Y", "O")
            .types("T", Types.ALL)
            .types("P", scale ? Types.I64 : Types.set(DType.F32))
            .types("O", scale ? Types.set(DType.F32) : Types.I64)
            .attribute("axes", OpSchema.AttributeKind.INTS)
            .attribute("largest", OpSchema.AttributeKind.INT)
            .attribute("nearest", OpSchema.AttributeKind.INT));
    this.scale = scale;
  }

  static List<ResizeSizes> all() {
    return List.of(new ResizeSizes(false), new ResizeSizes(true));
  }

  @Override
  List<ValueType> types(OpContext c) {
    int count = ResizePlan.axes(c, c.rank(0)).length;
    return List.of(TensorType.of(scale ? DType.F32 : DType.I64, count));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    int[] axes = ResizePlan.axes(c, c.rank(0));
    Tensor given = c.input(1);
    Tensor out = Tensor.zeros(scale ? DType.F32 : DType.I64, axes.length);
    if (scale) {
      boolean largest = c.intAttr("largest", 0) != 0;
      float common = largest ? 0 : Float.POSITIVE_INFINITY;
      for (int i = 0; i < axes.length; i++) {
        float own = (float) given.getLong(i) / c.input(0).shape()[axes[i]];
        common = largest ? Math.max(common, own) : Math.min(common, own);
      }
      java.util.Arrays.fill(out.floats(), common);
      return List.of(out);
    }
    float half = c.intAttr("nearest", 0) != 0 ? 0.5f : 0;
    for (int i = 0; i < axes.length; i++) {
      float size = c.input(0).shape()[axes[i]] * (float) given.getDouble(i) + half;
      out.longs()[i] = (long) Math.floor(size);
    }
    return List.of(out);
  }

  @Override
  Lowering code(OpContext c) {
    int[] axes = ResizePlan.axes(c, c.rank(0));
    Buf given = in(c, 1);
    Buf out = out(c, 0, outType(c, 0));
    Axis i = new Axis("i", DimExpr.of(axes.length));
    if (!scale) {
      KExpr size = K.mul(dimension(c, axes, i), K.at(given, K.axis(i)));
      if (c.intAttr("nearest", 0) != 0) {
        size = K.add(size, K.literal(Scalar.F32, 0.5));
      }
      KExpr value = K.cast(Scalar.I64, K.unary(UnaryOp.FLOOR, size));
      return compute(List.of(given), out, List.of(Stage.of(out, List.of(i), value)));
    }
    Axis r = new Axis("r", DimExpr.of(axes.length));
    KExpr own = K.div(K.cast(Scalar.F32, K.at(given, K.axis(r))), dimension(c, axes, r));
    ReduceOp op = c.intAttr("largest", 0) != 0 ? ReduceOp.MAX : ReduceOp.MIN;
    return compute(
        List.of(given), out, List.of(Stage.of(out, List.of(i), K.fold(op, List.of(r), own))));
  }

  /** The dimension of X that a position on {@code at} stands for, F32. */
  private static KExpr dimension(OpContext c, int[] axes, Axis at) {
    KExpr value = K.dim(c.dims(0).get(axes[axes.length - 1]));
    for (int i = axes.length - 2; i >= 0; i--) {
      value = K.select(K.eq(K.axis(at), K.index(i)), K.dim(c.dims(0).get(axes[i])), value);
    }
    return K.cast(Scalar.F32, value);
  }
}
