package org.tersor.passes.graph;

import java.util.List;
import java.util.Map;
import java.util.Optional;
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
import org.tersor.runtime.TersorException;

/**
 * {@code org.tersor.fq(x, scale, zero_point) -> y}: QuantizeLinear and DequantizeLinear in one, f32
 * to f32. The scheme is in the operands: the type of {@code zero_point} is the type of the codes,
 * {@code axis} the channel axis of scales; {@code least} and {@code largest} the outermost codes
 * where they are not those of the type.
 */
public final class FakeQuant implements Operator, OperatorProvider {
  /** Name of the operator. */
  public static final String TYPE = "fq";

  static final String LEAST = "least";
  static final String LARGEST = "largest";

  /** Attributes of a node whose codes are fewer than its type has. */
  public static Map<String, Attribute> limits(long least, long largest) {
    return Map.of(LEAST, new Attribute.IntAttr(least), LARGEST, new Attribute.IntAttr(largest));
  }

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
        .attribute(LEAST, AttributeKind.INT)
        .attribute(LARGEST, AttributeKind.INT)
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
    long least = context.intAttr(LEAST, zero.dtype().minValue());
    long largest = context.intAttr(LARGEST, zero.dtype().maxValue());
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
      double code = Double.isNaN(q) ? z : Math.max((double) least, Math.min((double) largest, q));
      y.setDouble(i, (float) (code - z) * s);
    }
    return List.of(y);
  }

  /** The numbers that the outermost codes stand for: a Clip to them leaves no others. */
  static Optional<List<Tensor>> bounds(
      Map<String, Attribute> attributes, Optional<Tensor> scale, Optional<Tensor> zero) {
    if (!(attributes.get(LEAST) instanceof Attribute.IntAttr least)
        || !(attributes.get(LARGEST) instanceof Attribute.IntAttr largest)) {
      return Optional.empty();
    }
    if (scale.isEmpty() || zero.isEmpty() || scale.get().size() != 1) {
      throw new TersorException(
          "TSR-0304", "fq with least and largest codes needs one constant scale and zero point");
    }
    float s = (float) scale.get().getDouble(0);
    long z = zero.get().getLong(0);
    return Optional.of(
        List.of(
            new Tensor(DType.F32, new long[0], new float[] {(least.value() - z) * s}),
            new Tensor(DType.F32, new long[0], new float[] {(largest.value() - z) * s})));
  }

  /** The attributes that QuantizeLinear and DequantizeLinear have too. */
  static Map<String, Attribute> standard(Map<String, Attribute> attributes) {
    Map<String, Attribute> standard = new java.util.TreeMap<>(attributes);
    standard.remove(LEAST);
    standard.remove(LARGEST);
    return standard;
  }

  @Override
  public Lowering lower(OpContext context) {
    Value x = context.node().input(0);
    Value scale = context.node().input(1);
    Value zero = context.node().input(2);
    Map<String, Attribute> attributes = context.node().attributes();
    Optional<List<Tensor>> bounds = bounds(attributes, context.constant(1), context.constant(2));
    Map<String, Attribute> standard = standard(attributes);
    return new Lowering.Decompose(build -> {
      Value inside =
          bounds
              .map(b ->
                  build.add(
                      "Clip",
                      Map.of(),
                      x,
                      build.constant(b.getFirst()),
                      build.constant(b.getLast())))
              .orElse(x);
      return List.of(
          build.add(
              "DequantizeLinear",
              standard,
              build.add("QuantizeLinear", standard, inside, scale, zero),
              scale,
              zero));
    });
  }
}
