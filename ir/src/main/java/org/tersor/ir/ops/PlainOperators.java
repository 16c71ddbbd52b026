package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.Stage;
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
    return List.of(new Identity(), new ConstantValue(), new Dropout());
  }

  /** A value in an attribute. */
  static final class ConstantValue extends OpBase {
    ConstantValue() {
      super(
          OpSchema.of("", "Constant", 1, 9, 11, 12, 13, 19, 21, 23, 24, 25)
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

  /** The input; the mask is all true. Training is refused. */
  static final class Dropout extends OpBase {
    Dropout() {
      super(
          OpSchema.of("", "Dropout", 1, 6, 7, 10, 12, 13, 22)
              .input("data", "T")
              .optional("ratio", "R")
              .optional("training_mode", "B")
              .output("output", "T")
              .optionalOutput("mask", "M")
              .types("T", Types.FLOATS)
              .types("R", Types.FLOATS)
              .types("B", Types.BOOL)
              .types("M", Types.union(Types.FLOATS, Types.BOOL))
              .attribute("ratio", OpSchema.AttributeKind.FLOAT)
              .attribute("is_test", OpSchema.AttributeKind.INT)
              .attribute("seed", OpSchema.AttributeKind.INT)
              .attribute("consumed_inputs", OpSchema.AttributeKind.INTS)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    private static void refuseTraining(OpContext c) {
      boolean training =
          c.hasInput(2) && c.constant(2).map(t -> t.size() > 0 && t.getLong(0) != 0).orElse(true);
      boolean nothing =
          c.hasInput(1)
              && c.constant(1).map(t -> t.size() > 0 && t.getDouble(0) == 0).orElse(false);
      if (training && !nothing) {
        throw c.error(
            "TSR-0201",
            "dropout in training mode is not supported; export the model for inference");
      }
    }

    private static DType mask(OpContext c) {
      return c.version() >= 10 ? DType.BOOL : c.dtype(0);
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(c.in(0), c.in(0).withDtype(mask(c)));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      refuseTraining(c);
      Tensor x = c.input(0);
      Tensor mask = Tensor.zeros(mask(c), x.shape());
      for (int i = 0; i < x.size(); i++) {
        mask.setDouble(i, 1);
      }
      return List.of(x, mask);
    }

    @Override
    Lowering code(OpContext c) {
      refuseTraining(c);
      if (!c.hasOutput(1)) {
        return new Lowering.View(0);
      }
      Buf x = in(c, 0);
      Buf out = out(c, 0, outType(c, 0));
      Buf mask = out(c, 1, outType(c, 1));
      List<Axis> axes = Shapes.axes(x.shape());
      Stage first = Stage.of(out, axes, K.at(x, Shapes.refs(axes)));
      return compute(
          List.of(x),
          List.of(out, mask),
          List.of(first, Stage.of(mask, axes, Moves.literal(mask.element(), 1))));
    }
  }
}
