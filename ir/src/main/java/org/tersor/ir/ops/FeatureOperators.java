package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Operators of ai.onnx.ml (1) that prepare features, one column or row at a time. */
final class FeatureOperators {
  private static final java.util.Set<DType> NUMBERS =
      Types.set(DType.F32, DType.F64, DType.I32, DType.I64);

  private FeatureOperators() {}

  static List<OpBase> all() {
    return List.of(
        new ArrayFeatureExtractor(),
        new Binarizer(),
        new Normalizer(),
        new Columns(Columns.Kind.SCALER, false),
        new Columns(Columns.Kind.SCALER, true),
        new Columns(Columns.Kind.IMPUTER, false),
        new Columns(Columns.Kind.IMPUTER, true),
        new OneHotEncoder(false),
        new OneHotEncoder(true),
        new FeatureVectorizer());
  }

  /** Columns Y of X [..., C]; of a line [C] the result is [1, numbers of Y]. */
  static final class ArrayFeatureExtractor extends OpBase {
    ArrayFeatureExtractor() {
      super(
          OpSchema.of(TabledOperator.ML, "ArrayFeatureExtractor", 1)
              .input("X", "T")
              .input("Y", "I")
              .output("Z", "T")
              .types("T", Types.union(NUMBERS, Types.set(DType.STRING)))
              .types("I", Types.I64)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    @Override
    List<? extends ValueType> types(OpContext c) {
      return List.of(type(c.dtype(0), shapes(c, 0, 2).map(s -> shape(c))));
    }

    private static List<DimExpr> shape(OpContext c) {
      if (c.rank(0) < 1) {
        throw c.error("TSR-0303", "X has no columns");
      }
      List<DimExpr> dims = new ArrayList<>(c.dims(0));
      dims.set(dims.size() - 1, c.in(1).elements());
      if (dims.size() == 1) {
        dims.addFirst(DimExpr.ONE);
      }
      return dims;
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor x = c.input(0);
      Tensor out = Shapes.allocate(c, x.dtype(), Window.numbers(shape(c)));
      int columns = (int) x.shape()[x.rank() - 1];
      int wanted = c.input(1).size();
      for (int i = 0; i < out.size(); i++) {
        long column = c.input(1).getLong(i % wanted);
        if (column < 0 || column >= columns) {
          throw c.error("TSR-0705", "column " + column + " is outside 0.." + (columns - 1));
        }
        Shapes.copy(x, i / wanted * columns + (int) column, out, i);
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      KernelBuilder kernel = new KernelBuilder(this, c);
      List<DimExpr> x = c.dims(0);
      List<Axis> axes = Shapes.axes("i", x.subList(0, x.size() - 1));
      List<Axis> y = Shapes.axes("y", c.dims(1));
      KExpr flat = K.index(0);
      for (Axis axis : y) {
        flat = K.add(K.mul(flat, K.dim(axis.extent())), K.axis(axis));
      }
      KExpr number = K.cast(Scalar.INDEX, K.at(kernel.in(1), Shapes.refs(y)));
      KExpr last = K.sub(K.dim(x.getLast()), K.index(1));
      List<KExpr> from = new ArrayList<>(Shapes.refs(axes));
      List<KExpr> to = new ArrayList<>(x.size() == 1 ? List.of(K.index(0)) : from);
      from.add(K.max(K.min(number, last), K.index(0)));
      to.add(flat);
      List<Axis> all = new ArrayList<>(axes);
      all.addAll(y);
      kernel.stage(kernel.out(0), all, to, K.at(kernel.in(0), from));
      return kernel.build();
    }
  }

  /** 1 above the threshold, else 0. */
  static final class Binarizer extends OpBase {
    Binarizer() {
      super(
          OpSchema.of(TabledOperator.ML, "Binarizer", 1)
              .input("X", "T")
              .output("Y", "T")
              .types("T", NUMBERS)
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

  /**
   * Rows of X divided by their largest element, the sum of magnitudes or the root of the sum of
   * squares; unchanged where that is 0.
   */
  static final class Normalizer extends OpBase {
    Normalizer() {
      super(
          OpSchema.of(TabledOperator.ML, "Normalizer", 1)
              .input("X", "T")
              .output("Y", "F")
              .types("T", NUMBERS)
              .attribute("norm", AttributeKind.STRING)
              .tolerance(OpSchema.Tolerance.ACCUMULATION));
    }

    private static String norm(OpContext c) {
      String norm = c.stringAttr("norm", "MAX");
      if (!List.of("MAX", "L1", "L2").contains(norm)) {
        throw c.error("TSR-0304", "norm '" + norm + "' is not MAX, L1 or L2");
      }
      if (c.in(0).isRanked() && (c.rank(0) < 1 || c.rank(0) > 2)) {
        throw c.error("TSR-0303", "X must be [N, C] or [C]");
      }
      return norm;
    }

    @Override
    List<? extends ValueType> types(OpContext c) {
      norm(c);
      return List.of(c.in(0).withDtype(DType.F32));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      String norm = norm(c);
      Tensor x = c.input(0);
      Tensor y = Tensor.zeros(DType.F32, x.shape());
      int width = (int) x.shape()[x.rank() - 1];
      for (int first = 0; first < x.size(); first += width) {
        double total = norm.equals("MAX") ? Double.NEGATIVE_INFINITY : 0;
        for (int i = first; i < first + width; i++) {
          double v = x.getDouble(i);
          total =
              switch (norm) {
                case "MAX" -> Math.max(total, v);
                case "L1" -> total + Math.abs(v);
                default -> total + v * v;
              };
        }
        total = norm.equals("L2") ? Math.sqrt(total) : total;
        for (int i = first; i < first + width; i++) {
          y.setDouble(i, total == 0 ? x.getDouble(i) : x.getDouble(i) / total);
        }
      }
      return List.of(y);
    }

    @Override
    Lowering code(OpContext c) {
      String norm = norm(c);
      KernelBuilder kernel = new KernelBuilder(this, c);
      List<Axis> axes = Shapes.axes(c.dims(0));
      Scalar type = c.dtype(0) == DType.F32 ? Scalar.F32 : Scalar.F64;
      KExpr x = K.cast(type, kernel.value(0, Shapes.refs(axes)));
      Reduction row = Reduction.over(kernel, axes, axes.size() - 1, axes.size());
      KExpr total =
          switch (norm) {
            case "MAX" -> row.reduce("total", ReduceOp.MAX, x);
            case "L1" -> row.sum("total", K.unary(UnaryOp.ABS, x));
            default -> K.unary(UnaryOp.SQRT, row.sum("total", K.mul(x, x)));
          };
      KExpr zero = K.literal(type, 0.0);
      kernel.stage(kernel.out(0), axes, K.select(K.eq(total, zero), x, K.div(x, total)));
      return kernel.build();
    }
  }

  /** Operators with numbers for each column (or one for all). */
  static final class Columns extends TabledOperator {
    /** What happens to a column. */
    enum Kind {
      /** (x - offset) * scale, as float. */
      SCALER,
      /** An element equal to the replaced value (NaN, too) becomes the imputed one. */
      IMPUTER
    }

    private final Kind kind;

    Columns(Kind kind, boolean own) {
      super(schema(kind, own));
      this.kind = kind;
    }

    private static OpSchema.Builder schema(Kind kind, boolean own) {
      return switch (kind) {
        case SCALER ->
            schema(own, "Scaler", 1)
                .input("X", "T")
                .output("Y", "F")
                .types("T", NUMBERS)
                .attribute("offset", AttributeKind.FLOATS)
                .attribute("scale", AttributeKind.FLOATS)
                .tolerance(OpSchema.Tolerance.ROUNDING);
        case IMPUTER ->
            schema(own, "Imputer", 1)
                .input("X", "T")
                .output("Y", "T")
                .types("T", NUMBERS)
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

  /** For each element a row of floats with 1 at its category. */
  static final class OneHotEncoder extends TabledOperator {
    OneHotEncoder(boolean own) {
      super(
          schema(own, "OneHotEncoder", 1)
              .input("X", "T")
              .output("Y", "F")
              .types("T", Types.union(NUMBERS, Types.set(DType.STRING)))
              .attribute("cats_int64s", AttributeKind.INTS)
              .attribute("cats_strings", AttributeKind.STRINGS)
              .attribute("zeros", AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    /** Positions among the names, then as if these were the categories. */
    @Override
    Lowering strings(OpContext c) {
      List<String> names = names(c);
      return new Lowering.Decompose(b -> {
        Map<String, Attribute> attributes = new HashMap<>(c.node().attributes());
        attributes.remove("cats_strings");
        attributes.put(
            "cats_int64s",
            new Attribute.IntsAttr(
                java.util.stream.LongStream.range(0, count(c)).boxed().toList()));
        Value positions =
            b.add(
                OpKey.TERSOR,
                StringOperators.INDEX,
                Map.of("keys", new Attribute.StringsAttr(names)),
                c.node().input(0));
        return List.of(b.add(ML, "OneHotEncoder", attributes, positions));
      });
    }

    private static List<String> names(OpContext c) {
      return c.stringsAttr("cats_strings").orElse(List.of());
    }

    private static int count(OpContext c) {
      boolean strings = c.dtype(0) == DType.STRING;
      int count = strings ? names(c).size() : c.intsAttr("cats_int64s").orElse(new long[0]).length;
      if (count == 0) {
        throw c.error("TSR-0304", "there are no categories of the type of X");
      }
      return count;
    }

    @Override
    List<? extends ValueType> types(OpContext c) {
      DimExpr count = DimExpr.of(count(c));
      return List.of(
          type(
              DType.F32,
              c.in(0)
                  .shape()
                  .map(s -> {
                    List<DimExpr> dims = new ArrayList<>(s);
                    dims.add(count);
                    return dims;
                  })));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor x = c.input(0);
      int count = count(c);
      long[] shape = java.util.Arrays.copyOf(x.shape(), x.rank() + 1);
      shape[x.rank()] = count;
      Tensor y = Shapes.allocate(c, DType.F32, shape);
      for (int i = 0; i < x.size(); i++) {
        boolean found = false;
        for (int k = 0; k < count; k++) {
          boolean hit =
              x.dtype() == DType.STRING
                  ? x.strings()[i].equals(names(c).get(k))
                  : x.getDouble(i) == c.intsAttr("cats_int64s").orElseThrow()[k];
          found |= hit;
          y.setDouble(i * count + k, hit ? 1 : 0);
        }
        if (!found && c.intAttr("zeros", 1) == 0) {
          throw c.error("TSR-0705", "element " + i + " is of no category, and zeros is 0");
        }
      }
      return List.of(y);
    }

    @Override
    List<Tensor> tables(OpContext c) {
      long[] categories = c.intsAttr("cats_int64s").orElse(new long[0]);
      return List.of(Tensor.of(categories, categories.length));
    }

    /** Unknown categories are rows of zeros: a kernel has no way to refuse them. */
    @Override
    Lowering kernel(OpContext c) {
      KernelBuilder kernel = new KernelBuilder(this, c);
      List<Axis> axes = Shapes.axes(kernel.out(0).shape());
      KExpr x = K.cast(Scalar.F64, kernel.value(0, Shapes.refs(axes.subList(0, axes.size() - 1))));
      KExpr category = K.cast(Scalar.F64, K.at(kernel.in(table(0)), K.axis(axes.getLast())));
      kernel.stage(kernel.out(0), axes, K.select(K.eq(x, category), K.f32(1), K.f32(0)));
      return kernel.build();
    }
  }

  /** Columns of all inputs [N, C] (or [C]: one row) side by side, as floats. */
  static final class FeatureVectorizer extends OpBase {
    FeatureVectorizer() {
      super(
          OpSchema.of(TabledOperator.ML, "FeatureVectorizer", 1)
              .variadic("X", "*")
              .output("Y", "F")
              .attribute("inputdimensions", AttributeKind.INTS)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    private static DimExpr width(OpContext c, int input) {
      if (!NUMBERS.contains(c.dtype(input))) {
        throw c.error("TSR-0302", "input " + input + " holds no numbers");
      }
      if (c.rank(input) < 1 || c.rank(input) > 2) {
        throw c.error("TSR-0303", "input " + input + " must be [N, C] or [C]");
      }
      DimExpr width = c.dims(input).getLast();
      long[] given = c.intsAttr("inputdimensions").orElse(new long[0]);
      if (given.length > 0) {
        if (given.length != c.inputCount()) {
          throw c.error("TSR-0304", "inputdimensions must have a number for each input");
        }
        Shapes.agree(c, "columns of input " + input, width, DimExpr.of(given[input]));
      }
      return width;
    }

    private static DimExpr rows(OpContext c, int input) {
      return c.rank(input) == 1 ? DimExpr.ONE : c.dims(input).getFirst();
    }

    @Override
    List<? extends ValueType> types(OpContext c) {
      if (shapes(c, 0, c.inputCount()).isEmpty()) {
        return List.of(TensorType.unranked(DType.F32));
      }
      DimExpr columns = DimExpr.ZERO;
      for (int i = 0; i < c.inputCount(); i++) {
        columns = columns.plus(width(c, i));
        Shapes.agree(c, "rows of input " + i, rows(c, i), rows(c, 0));
      }
      return List.of(TensorType.of(DType.F32, List.of(rows(c, 0), columns)));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor y = Shapes.allocate(c, DType.F32, outType(c, 0).staticShape());
      int columns = (int) y.shape()[1];
      int start = 0;
      for (int i = 0; i < c.inputCount(); i++) {
        Tensor x = c.input(i);
        int width = (int) x.shape()[x.rank() - 1];
        for (int e = 0; e < x.size(); e++) {
          y.setDouble(e / width * columns + start + e % width, x.getDouble(e));
        }
        start += width;
      }
      return List.of(y);
    }

    @Override
    Lowering code(OpContext c) {
      KernelBuilder kernel = new KernelBuilder(this, c);
      DimExpr start = DimExpr.ZERO;
      for (int i = 0; i < c.inputCount(); i++) {
        Axis n = new Axis("n", rows(c, i));
        Axis k = new Axis("k" + i, width(c, i));
        List<KExpr> from = c.rank(i) == 1 ? List.of(K.axis(k)) : List.of(K.axis(n), K.axis(k));
        kernel.stage(
            kernel.out(0),
            List.of(n, k),
            List.of(K.axis(n), K.add(K.dim(start), K.axis(k))),
            kernel.value(i, from));
        start = start.plus(k.extent());
      }
      return kernel.build();
    }
  }
}
