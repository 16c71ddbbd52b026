package org.tersor.ir.ops;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
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
 * com.microsoft QLinearAdd and QLinearMul on 8-bit integers with broadcasting, in float32. Sum:
 * rint(b * rb + (a * ra + (zc - (ra * za + rb * zb)))) with ra = sa / sc, rb = sb / sc. Product:
 * rint((a - za) * (b - zb) * (sa * sb / sc)) + zc.
 */
final class QLinearBinary extends OpBase {
  private final boolean product;

  QLinearBinary(boolean product) {
    super(
        OpSchema.of("com.microsoft", product ? "QLinearMul" : "QLinearAdd", 1)
            .sample(
                "A[d*~]; A_scale[]=positive; A_zero_point![]; B[d*~]; B_scale[]=positive; B_zero_point![]; C_scale[]=positive; C_zero_point![]")
            .input("A", "T")
            .input("A_scale", "F")
            .optional("A_zero_point", "T")
            .input("B", "T")
            .input("B_scale", "F")
            .optional("B_zero_point", "T")
            .input("C_scale", "F")
            .optional("C_zero_point", "T")
            .output("C", "T")
            .types("T", Types.set(DType.U8, DType.I8))
            .types("F", Types.set(DType.F32)));
    this.product = product;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    boolean known = c.in(0).isRanked() && c.in(3).isRanked();
    return List.of(
        type(
            c.dtype(0),
            known
                ? Optional.of(Shapes.broadcast(c, List.of(c.dims(0), c.dims(3))))
                : Optional.empty()));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor a = c.input(0);
    Tensor b = c.input(3);
    Tensor y = Shapes.allocate(c, a.dtype(), outType(c, 0).staticShape());
    float sa = Quant.scaleAt(c, 1, 0);
    float sb = Quant.scaleAt(c, 4, 0);
    float sc = Quant.scaleAt(c, 6, 0);
    long za = Quant.zeroAt(c, 2, 0);
    long zb = Quant.zeroAt(c, 5, 0);
    long zc = Quant.zeroAt(c, 7, 0);
    float ra = sa / sc;
    float rb = sb / sc;
    float fixed = zc - (ra * za + rb * zb);
    long[] stepA = Shapes.broadcastStrides(a.shape(), y.rank());
    long[] stepB = Shapes.broadcastStrides(b.shape(), y.rank());
    for (int i = 0; i < y.size(); i++) {
      long[] index = Shapes.unravel(i, y.shape());
      int pa = 0;
      int pb = 0;
      for (int d = 0; d < index.length; d++) {
        pa += (int) (index[d] * stepA[d]);
        pb += (int) (index[d] * stepB[d]);
      }
      if (product) {
        float exact = (a.getLong(pa) - za) * (b.getLong(pb) - zb);
        y.setLong(i, Quant.saturate(y.dtype(), exact * (sa * sb / sc), zc));
      } else {
        y.setLong(
            i, Quant.saturate(y.dtype(), b.getLong(pb) * rb + (a.getLong(pa) * ra + fixed), 0));
      }
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<DimExpr> dims = outType(c, 0).dims();
    List<Axis> axes = Shapes.axes(dims);
    KExpr a = K.at(kernel.in(0), Shapes.index(c.dims(0), dims, axes));
    KExpr b = K.at(kernel.in(3), Shapes.index(c.dims(3), dims, axes));
    KExpr sa = kernel.scalar(1, Scalar.F32);
    KExpr sb = kernel.scalar(4, Scalar.F32);
    KExpr sc = kernel.scalar(6, Scalar.F32);
    KExpr za = zero(kernel, c, 2);
    KExpr zb = zero(kernel, c, 5);
    KExpr zc = zero(kernel, c, 7);
    DType type = c.dtype(0);
    if (product) {
      KExpr exact = K.cast(Scalar.F32, K.mul(Quant.centered(a, za), Quant.centered(b, zb)));
      kernel.stage(
          kernel.out(0), axes, Quant.saturated(type, K.mul(exact, K.div(K.mul(sa, sb), sc)), zc));
      return kernel.build();
    }
    KExpr ra = K.div(sa, sc);
    KExpr rb = K.div(sb, sc);
    KExpr shift = K.add(K.mul(ra, f32(za)), K.mul(rb, f32(zb)));
    KExpr fixed = K.sub(f32(zc), shift);
    KExpr sum = K.add(K.mul(f32(b), rb), K.add(K.mul(f32(a), ra), fixed));
    kernel.stage(kernel.out(0), axes, Quant.clamped(type, K.unary(UnaryOp.RINT, sum)));
    return kernel.build();
  }

  private static KExpr f32(KExpr value) {
    return K.cast(Scalar.F32, value);
  }

  static KExpr zero(KernelBuilder kernel, OpContext c, int index) {
    return Quant.isZero(c, index) ? K.i32(0) : kernel.scalar(index, Scalar.I32);
  }
}
