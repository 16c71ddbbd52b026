package org.tersor.ir.ops;

import java.util.ArrayList;
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
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Operators with numbers for each column (or one for all). */
final class FeatureColumns extends TabledOperator {
  /** What happens to a column. */
  enum Kind {
    /** (x - offset) * scale, as float. */
    SCALER,
    /** An element equal to the replaced value (NaN, too) becomes the imputed one. */
    IMPUTER
  }

  private final Kind kind;

  FeatureColumns(Kind kind, boolean own) {
    super(schema(kind, own));
    this.kind = kind;
  }

  private static OpSchema.Builder schema(Kind kind, boolean own) {
    return switch (kind) {
      case SCALER ->
          schema(own, "Scaler", 1)
              .sample(
                  "X[n f]; offset!=copies(f, -1.0..1.0); scale!=copies(f, 0.5..2.0) || X[n f]; offset!=copies(1, -1.0..1.0); scale!=copies(1, 0.5..2.0)")
              .input("X", "T")
              .output("Y", "F")
              .types("F", Types.set(DType.F32))
              .types("T", FeatureOperators.NUMBERS)
              .attribute("offset", AttributeKind.FLOATS)
              .attribute("scale", AttributeKind.FLOATS)
              .tolerance(OpSchema.Tolerance.ROUNDING);
      case IMPUTER ->
          schema(own, "Imputer", 1)
              .sample(
                  "X[n f]; imputed_value_floats=copies(f, -1.0..1.0); imputed_value_int64s=-; replaced_value_float=0.0; replaced_value_int64=- || X[n f]; imputed_value_int64s=copies(f, -3..3); replaced_value_int64=0|1; imputed_value_floats=-; replaced_value_float=-")
              .input("X", "T")
              .output("Y", "T")
              .types("T", FeatureOperators.NUMBERS)
              .attribute("imputed_value_floats", AttributeKind.FLOATS)
              .attribute("imputed_value_int64s", AttributeKind.INTS)
              .attribute("replaced_value_float", AttributeKind.FLOAT)
              .attribute("replaced_value_int64", AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.EXACT);
    };
  }

  /** The numbers of the columns; for a scaler offsets, then scales. */
  @Override
  List<Tensor> tables(OpContext c) {
    List<Tensor> tables = new ArrayList<>();
    if (kind == Kind.SCALER) {
      tables.add(doubles(c.floatsAttr("offset").orElse(List.of(0f))));
      tables.add(doubles(c.floatsAttr("scale").orElse(List.of(1f))));
    } else if (c.dtype(0).isFloat()) {
      tables.add(doubles(c.floatsAttr("imputed_value_floats").orElse(List.of())));
    } else {
      long[] values = c.intsAttr("imputed_value_int64s").orElse(new long[0]);
      tables.add(Tensor.of(values, values.length));
    }
    for (Tensor table : tables) {
      if (table.size() == 0) {
        throw c.error("TSR-0304", "there are no numbers for columns of this type");
      }
      if (table.size() > 1 && c.in(0).isRanked() && c.rank(0) > 0) {
        Shapes.agree(c, "number of columns", c.dims(0).getLast(), DimExpr.of(table.size()));
      }
    }
    return tables;
  }

  private static Tensor doubles(List<Float> values) {
    double[] table = new double[values.size()];
    for (int i = 0; i < table.length; i++) {
      table[i] = values.get(i);
    }
    return Tensor.of(table, table.length);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    tables(c);
    return List.of(kind == Kind.SCALER ? c.in(0).withDtype(DType.F32) : c.in(0));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    List<Tensor> tables = tables(c);
    Tensor x = c.input(0);
    Tensor y = Tensor.zeros(kind == Kind.SCALER ? DType.F32 : x.dtype(), x.shape());
    int columns = x.rank() == 0 ? 1 : (int) x.shape()[x.rank() - 1];
    for (int i = 0; i < x.size(); i++) {
      int column = i % columns;
      int first = tables.getFirst().size() == 1 ? 0 : column;
      if (kind == Kind.SCALER) {
        int second = tables.getLast().size() == 1 ? 0 : column;
        double moved = x.getDouble(i) - tables.getFirst().getDouble(first);
        y.setDouble(i, moved * tables.getLast().getDouble(second));
      } else if (x.dtype().isFloat()) {
        float replaced = c.floatAttr("replaced_value_float", 0);
        boolean hit =
            Float.isNaN(replaced) ? Double.isNaN(x.getDouble(i)) : x.getDouble(i) == replaced;
        y.setDouble(i, hit ? tables.getFirst().getDouble(first) : x.getDouble(i));
      } else {
        boolean hit = x.getLong(i) == c.intAttr("replaced_value_int64", 0);
        y.setLong(i, hit ? tables.getFirst().getLong(first) : x.getLong(i));
      }
    }
    return List.of(y);
  }

  @Override
  Lowering kernel(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    boolean real = kind == Kind.SCALER || c.dtype(0).isFloat();
    Scalar type = real ? Scalar.F64 : Scalar.I64;
    KExpr x = K.cast(type, kernel.value(0, Shapes.refs(axes)));
    KExpr column = axes.isEmpty() ? K.index(0) : K.axis(axes.getLast());
    KExpr first = number(kernel, 0, column);
    KExpr value;
    if (kind == Kind.SCALER) {
      value = K.mul(K.sub(x, first), number(kernel, 1, column));
    } else if (real) {
      double replaced = c.floatAttr("replaced_value_float", 0);
      KExpr hit = Double.isNaN(replaced) ? K.ne(x, x) : K.eq(x, K.literal(Scalar.F64, replaced));
      value = K.select(hit, first, x);
    } else {
      KExpr replaced = K.literal(Scalar.I64, c.intAttr("replaced_value_int64", 0));
      value = K.select(K.eq(x, replaced), first, x);
    }
    kernel.stage(kernel.out(0), axes, value);
    return kernel.build();
  }

  private KExpr number(KernelBuilder kernel, int index, KExpr column) {
    var table = kernel.in(table(index));
    return K.at(table, table.shape().getFirst().isConst(1) ? K.index(0) : column);
  }
}
