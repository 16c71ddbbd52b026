package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * DynamicQuantizeLinear (11): u8 codes of x, their scale = (max - min) / 255 and zero point =
 * saturate(rint(-min / scale)), the range being widened to contain 0. Where all of x is 0 the scale
 * is 1.
 */
final class DynamicQuantizeLinear extends OpBase {
  DynamicQuantizeLinear() {
    super(
        OpSchema.of("", "DynamicQuantizeLinear", 11)
            .input("x", "T1")
            .output("y", "T2")
            .output("y_scale", "T1")
            .output("y_zero_point", "T2")
            .types("T1", Types.set(DType.F32))
            .types("T2", Types.set(DType.U8))
            .tolerance(OpSchema.Tolerance.ROUNDING));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(c.in(0).withDtype(DType.U8), TensorType.of(DType.F32), TensorType.of(DType.U8));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    float min = 0;
    float max = 0;
    for (float v : x.floats()) {
      min = Math.min(min, v);
      max = Math.max(max, v);
    }
    float scale = max == min ? 1 : (max - min) / 255;
    long zero = Quant.saturate(DType.U8, -min / scale, 0);
    Tensor y = Shapes.allocate(c, DType.U8, x.shape());
    for (int i = 0; i < x.size(); i++) {
      y.setLong(i, Quant.saturate(DType.U8, x.floats()[i] / scale, zero));
    }
    Tensor zeroPoint = Tensor.zeros(DType.U8);
    zeroPoint.setLong(0, zero);
    return List.of(y, Tensor.of(new float[] {scale}), zeroPoint);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    KExpr x = kernel.value(0, Shapes.refs(axes));
    Reduction r = new Reduction(kernel, List.of(), axes);
    KExpr min = K.min(r.reduce("smallest", ReduceOp.MIN, x), K.f32(0));
    KExpr max = K.max(r.reduce("largest", ReduceOp.MAX, x), K.f32(0));
    KExpr range = K.div(K.sub(max, min), K.f32(255));
    KExpr scale = r.store("scale", K.select(K.eq(max, min), K.f32(1), range));
    KExpr zero = r.store("zero", Quant.saturated(DType.U8, K.div(K.neg(min), scale), K.i32(0)));
    if (c.hasOutput(1)) {
      kernel.stage(kernel.out(1), List.of(), scale);
    }
    if (c.hasOutput(2)) {
      kernel.stage(kernel.out(2), List.of(), zero);
    }
    kernel.stage(
        kernel.out(0), axes, Quant.saturated(DType.U8, K.div(x, scale), K.cast(Scalar.I32, zero)));
    return kernel.build();
  }
}
