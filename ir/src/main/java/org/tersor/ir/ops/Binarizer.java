package org.tersor.ir.ops;

import java.util.List;
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
import org.tersor.runtime.Tensor;

/** 1 above the threshold, else 0. */
final class Binarizer extends OpBase {
  Binarizer() {
    super(
        OpSchema.of(TabledOperator.ML, "Binarizer", 1)
            .input("X", "T")
            .output("Y", "T")
            .types("T", FeatureOperators.NUMBERS)
            .attribute("threshold", AttributeKind.FLOAT)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(c.in(0));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Tensor.zeros(x.dtype(), x.shape());
    for (int i = 0; i < x.size(); i++) {
      y.setDouble(i, x.getDouble(i) > c.floatAttr("threshold", 0) ? 1 : 0);
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    KExpr x = K.cast(Scalar.F64, kernel.value(0, Shapes.refs(axes)));
    KExpr above = K.gt(x, K.literal(Scalar.F64, (double) c.floatAttr("threshold", 0)));
    Scalar type = kernel.out(0).element();
    kernel.stage(kernel.out(0), axes, K.select(above, K.literal(type, 1L), K.literal(type, 0L)));
    return kernel.build();
  }
}
