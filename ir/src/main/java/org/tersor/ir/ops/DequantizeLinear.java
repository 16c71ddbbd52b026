package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * DequantizeLinear (10, 13, 19, 21, 23, 24, 25) and com.microsoft DequantizeLinear: y = (x - zero)
 * * scale, computed in float32, granularity as in QuantizeLinear. The result has the scale's type,
 * or from 23 the one that output_dtype names.
 */
final class DequantizeLinear extends OpBase {
  DequantizeLinear(String domain) {
    super(
        QuantizeLinear.versions(domain, "DequantizeLinear")
            .input("x", "T1")
            .input("x_scale", "T2")
            .optional("x_zero_point", "T1")
            .output("y", "T3")
            .sample(
                "x[d*]; x_scale[]=positive; x_zero_point[]; axis=-; block_size=-; output_dtype=-"
                    + " || 13-: x[a* n b*]; 13-: axis!=len(a); 13-: x_scale[n]=positive;"
                    + " 13-: x_zero_point[n]; block_size=-; output_dtype=-")
            .attribute("axis", AttributeKind.INT)
            .attribute("block_size", AttributeKind.INT)
            .attribute("output_dtype", AttributeKind.INT)
            .types("T1", Types.union(QuantizeLinear.CODES, Types.set(DType.I32)))
            .types("T2", Types.union(Types.FLOATS, Types.set(DType.F8E8M0)))
            .types("T3", Types.FLOATS)
            .tolerance(OpSchema.Tolerance.ROUNDING));
  }

  private static DType outputType(OpContext c) {
    long code = c.intAttr("output_dtype", 0);
    return code != 0 ? OnnxTypes.of(c, code) : c.dtype(1) == DType.F8E8M0 ? DType.F32 : c.dtype(1);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    QuantizeLinear.checkGrains(c);
    return List.of(c.in(0).withDtype(outputType(c)));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    QuantizeLinear.checkGrains(c);
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, outputType(c), x.shape());
    for (int i = 0; i < x.size(); i++) {
      int at = QuantizeLinear.position(c, 1, Shapes.unravel(i, x.shape()));
      double zero = c.hasInput(2) ? c.input(2).getDouble(at) : 0;
      y.setDouble(i, (float) (x.getDouble(i) - zero) * (float) c.input(1).getDouble(at));
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    KExpr code = K.at(kernel.in(0), Shapes.refs(axes));
    KExpr whole =
        c.dtype(0).isFloat() || Quant.isZero(c, 2)
            ? code
            : Quant.centered(code, Quant.zero(kernel, c, 2, QuantizeLinear.index(c, 2, axes)));
    KExpr scale = K.cast(Scalar.F32, K.at(kernel.in(1), QuantizeLinear.index(c, 1, axes)));
    kernel.stage(kernel.out(0), axes, K.mul(K.cast(Scalar.F32, whole), scale));
    return kernel.build();
  }
}
