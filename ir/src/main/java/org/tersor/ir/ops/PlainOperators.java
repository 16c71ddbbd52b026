package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Identity, Constant (all its attributes) and Dropout (inference). */
final class PlainOperators {
  private PlainOperators() {}

  static List<OpBase> all() {
    return List.of(new Identity(), new ConstantValue());
  }

  /** A value in an attribute. */
  static final class ConstantValue extends OpBase {
    ConstantValue() {
      super(
          OpSchema.of("", "Constant", 1, 9, 11, 12, 13, 19, 21, 23, 24, 25)
              .sample("-")
              .output("output", "T")
              .types("T", Types.ALL)
              .attribute("value", OpSchema.AttributeKind.TENSOR)
              .attribute("value_float", OpSchema.AttributeKind.FLOAT)
              .attribute("value_floats", OpSchema.AttributeKind.FLOATS)
              .attribute("value_int", OpSchema.AttributeKind.INT)
              .attribute("value_ints", OpSchema.AttributeKind.INTS)
              .attribute("value_string", OpSchema.AttributeKind.STRING)
              .attribute("value_strings", OpSchema.AttributeKind.STRINGS)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    private static Constant value(OpContext c) {
      for (Map.Entry<String, Attribute> entry : c.node().attributes().entrySet()) {
        switch (entry.getValue()) {
          case Attribute.TensorAttr a -> {
            return a.value();
          }
          case Attribute.FloatAttr a -> {
            return Constant.of(Tensor.of(new float[] {a.value()}));
          }
          case Attribute.IntAttr a -> {
            return Constant.of(Tensor.of(new long[] {a.value()}));
          }
          case Attribute.StringAttr a -> {
            return Constant.of(new Tensor(DType.STRING, new long[0], new String[] {a.value()}));
          }
          case Attribute.FloatsAttr a -> {
            float[] values = new float[a.values().size()];
            for (int i = 0; i < values.length; i++) {
              values[i] = a.values().get(i);
            }
            return Constant.of(Tensor.of(values, values.length));
          }
          case Attribute.IntsAttr a -> {
            long[] values = a.values().stream().mapToLong(Long::longValue).toArray();
            return Constant.of(Tensor.of(values, values.length));
          }
          case Attribute.StringsAttr a -> {
            return Constant.of(
                new Tensor(
                    DType.STRING,
                    new long[] {a.values().size()},
                    a.values().toArray(new String[0])));
          }
          case Attribute.GraphAttr _,
              Attribute.TypeAttr _,
              Attribute.TensorsAttr _,
              Attribute.GraphsAttr _,
              Attribute.TypesAttr _ -> {}
        }
      }
      throw c.error("TSR-0304", "there is no value");
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(value(c).type());
    }

    @Override
    List<Tensor> values(EvalContext c) {
      return List.of(value(c).load());
    }

    @Override
    Lowering code(OpContext c) {
      Constant value = value(c);
      return new Lowering.Decompose(builder -> List.of(builder.constant("", value)));
    }

    @Override
    public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
      Constant value = value(c);
      boolean small =
          value.dtype().isInteger() && value.shape().length <= 1 && value.elements() <= 4096;
      return small ? Optional.of(DimExpr.list(Shapes.longs(value.load()))) : Optional.empty();
    }
  }
}
