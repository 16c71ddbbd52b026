package org.tersor.passes.graph;

import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * {@code org.tersor.fq(x, scale, zero_point) -> y}: QuantizeLinear and DequantizeLinear in one, f32
 * to f32. The scheme is in the operands: the type of {@code zero_point} is the type of the codes,
 * {@code axis} the channel axis of scales.
 */
public final class FakeQuant implements Operator, OperatorProvider {
  /** Name of the operator. */
  public static final String TYPE = "fq";

  @Override
  public List<Operator> operators() {
    return List.of(this);
  }

  @Override
  public OpSchema schema() {
    return OpSchema.of(OpKey.TERSOR, TYPE, 1)
        .input("x", "T")
        .input("scale", "T")
        .input("zero_point", "Q")
        .output("y", "T")
        .attribute("axis", AttributeKind.INT)
        .types("T", java.util.EnumSet.of(DType.F32))
        .types(
            "Q", java.util.EnumSet.of(DType.U8, DType.I8, DType.U16, DType.I16, DType.U4, DType.I4))
        .build();
  }

  @Override
  public List<ValueType> infer(OpContext context) {
    return List.of(context.in(0));
  }

  @Override
  public List<Tensor> eval(EvalContext context) {
    Tensor x = context.input(0);
    Tensor scale = context.input(1);
    Tensor zero = context.input(2);
    Tensor y = Tensor.zeros(x.dtype(), x.shape());
    int inner = 1;
    if (scale.size() > 1) {
      for (int d = context.axis(context.intAttr("axis", 1), x.rank()) + 1; d < x.rank(); d++) {
        inner *= (int) x.shape()[d];
      }
    }
    for (int i = 0; i < x.size(); i++) {
      int c = scale.size() == 1 ? 0 : i / inner % scale.size();
      float s = (float) scale.getDouble(c);
      long z = zero.getLong(c);
      // The quotient is a float, as in QuantizeLinear.
      double q = Math.rint((float) x.getDouble(i) / s) + z;
      double code =
          Double.isNaN(q)
              ? z
              : Math.max(
                  (double) zero.dtype().minValue(), Math.min((double) zero.dtype().maxValue(), q));
      y.setDouble(i, (float) (code - z) * s);
    }
    return List.of(y);
  }

  @Override
  public Lowering lower(OpContext context) {
    Value x = context.node().input(0);
    Value scale = context.node().input(1);
    Value zero = context.node().input(2);
    Map<String, Attribute> attributes = context.node().attributes();
    return new Lowering.Decompose(build ->
        List.of(
            build.add(
                "DequantizeLinear",
                attributes,
                build.add("QuantizeLinear", attributes, x, scale, zero),
                scale,
                zero)));
  }
}
