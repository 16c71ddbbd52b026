package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
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
 * com.microsoft QLinearConcat: inputs Y_scale, Y_zero_point, then (tensor, scale, zero point) of
 * each part; each part is requantised: rint((x - zx) * sx / sy) + zy.
 */
final class QLinearConcat extends OpBase {
  QLinearConcat() {
    super(
        OpSchema.of("com.microsoft", "QLinearConcat", 1)
            .sample(
                "Y_scale[]=0.0625..4.0; Y_zero_point[];"
                    + " inputs=groups(T8, dims(a*0-2 ^n b*0-2), TF, dims(), T8, dims()); axis!=len(a)")
            .input("Y_scale", "TF")
            .input("Y_zero_point", "T8")
            .variadic("inputs", "TV")
            .output("Y", "T8")
            .required("axis", AttributeKind.INT)
            .types("TF", Types.set(DType.F32))
            .types("T8", Types.set(DType.U8, DType.I8)));
  }

  private static int parts(OpContext c) {
    if (c.inputCount() < 5 || (c.inputCount() - 2) % 3 != 0) {
      throw c.error(
          "TSR-0301", "inputs after the second must come in threes: tensor, scale, zero point");
    }
    return (c.inputCount() - 2) / 3;
  }

  private static int part(int number) {
    return 2 + 3 * number;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    DimExpr sum = DimExpr.ZERO;
    for (int p = 0; p < parts(c); p++) {
      if (!c.in(part(p)).isRanked()) {
        return List.of(type(c.dtype(1), Optional.empty()));
      }
      List<DimExpr> dims = c.dims(part(p));
      if (dims.size() != c.rank(part(0))) {
        throw c.error("TSR-0303", "parts of different rank cannot be joined");
      }
      sum = sum.plus(dims.get(axis(c)));
    }
    return List.of(type(c.dtype(1), Optional.of(Quant.with(c.dims(part(0)), axis(c), sum))));
  }

  private static int axis(OpContext c) {
    return c.axis(c.intAttr("axis", 0), c.rank(part(0)));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor y = Shapes.allocate(c, c.dtype(1), outType(c, 0).staticShape());
    int axis = axis(c);
    float sy = Quant.scaleAt(c, 0, 0);
    long zy = Quant.zeroAt(c, 1, 0);
    long offset = 0;
    for (int p = 0; p < parts(c); p++) {
      Tensor x = c.input(part(p));
      float sx = Quant.scaleAt(c, part(p) + 1, 0);
      long zx = Quant.zeroAt(c, part(p) + 2, 0);
      for (int i = 0; i < x.size(); i++) {
        long[] index = Shapes.unravel(i, x.shape());
        index[axis] += offset;
        y.setLong(
            Shapes.ravel(index, y.shape()),
            Quant.saturate(y.dtype(), (x.getLong(i) - zx) * sx / sy, zy));
      }
      offset += x.shape()[axis];
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    int axis = axis(c);
    DimExpr offset = DimExpr.ZERO;
    for (int p = 0; p < parts(c); p++) {
      List<Axis> axes = Shapes.axes("p" + p + "i", c.dims(part(p)));
      KExpr code = K.at(kernel.in(part(p)), Shapes.refs(axes));
      KExpr whole = Quant.centered(code, QLinearBinary.zero(kernel, c, part(p) + 2));
      KExpr value = K.mul(K.cast(Scalar.F32, whole), kernel.scalar(part(p) + 1, Scalar.F32));
      KExpr scaled = K.div(value, kernel.scalar(0, Scalar.F32));
      List<KExpr> target = new ArrayList<>(Shapes.refs(axes));
      target.set(axis, K.add(target.get(axis), K.dim(offset)));
      kernel.stage(
          kernel.out(0),
          axes,
          target,
          Quant.saturated(c.dtype(1), scaled, QLinearBinary.zero(kernel, c, 1)));
      offset = offset.plus(c.dims(part(p)).get(axis));
    }
    return kernel.build();
  }
}
