package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
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

/** For each element a row of floats with 1 at its category. */
final class OneHotEncoder extends TabledOperator {
  OneHotEncoder(boolean own) {
    super(
        schema(own, "OneHotEncoder", 1)
            .sample(
                "X[n m]; cats_int64s=dims(0 1 2 3); cats_strings=-; zeros=1 || X[n m]; cats_strings=words(a, B, zebra); cats_int64s=-; zeros=1")
            .input("X", "T")
            .output("Y", "F")
            .types("F", Types.set(DType.F32))
            .types("T", Types.union(FeatureOperators.NUMBERS, Types.set(DType.STRING)))
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
          new Attribute.IntsAttr(java.util.stream.LongStream.range(0, count(c)).boxed().toList()));
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
                : (long) x.getDouble(i) == c.intsAttr("cats_int64s").orElseThrow()[k];
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
    KExpr x = K.cast(Scalar.I64, kernel.value(0, Shapes.refs(axes.subList(0, axes.size() - 1))));
    KExpr category = K.cast(Scalar.I64, K.at(kernel.in(table(0)), K.axis(axes.getLast())));
    kernel.stage(kernel.out(0), axes, K.select(K.eq(x, category), K.f32(1), K.f32(0)));
    return kernel.build();
  }
}
