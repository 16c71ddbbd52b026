package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Operators whose results are as large as the data says: one kernel counts, and its result is a
 * size of the next.
 */
final class DataSizedOperators {
  private DataSizedOperators() {}

  static List<OpBase> all() {
    return List.of(
        new NonZero(),
        new NonZeroCount(),
        new NonZeroIndices(),
        new Compress(),
        new TakeFirst(),
        new Unique(),
        new UniqueSlices(),
        new NonMaxSuppression(),
        new NonMaxSuppression.Boxes());
  }

  private static List<Tensor> nonZero(Tensor x) {
    List<long[]> found = new ArrayList<>();
    long[] index = new long[x.rank()];
    for (int i = 0; i < x.size(); i++) {
      if (x.getDouble(i) != 0) {
        found.add(index.clone());
      }
      Shapes.next(index, x.shape());
    }
    Tensor out = Tensor.zeros(DType.I64, x.rank(), found.size());
    for (int i = 0; i < found.size(); i++) {
      for (int d = 0; d < x.rank(); d++) {
        out.longs()[d * found.size() + i] = found.get(i)[d];
      }
    }
    return List.of(out);
  }

  /** Positions of elements that are not zero, one column each. */
  static final class NonZero extends OpBase {
    NonZero() {
      super(
          OpSchema.of("", "NonZero", 9, 13)
              .input("X", "T")
              .output("Y", "I")
              .types("T", Types.NUMERIC_OR_BOOL)
              .types("I", Types.I64)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(
          TensorType.of(
              DType.I64,
              List.of(c.in(0).isRanked() ? DimExpr.of(c.rank(0)) : unknown(c, 0), unknown(c, 1))));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      return nonZero(c.input(0));
    }

    @Override
    Lowering code(OpContext c) {
      Value x = c.node().input(0);
      return new Lowering.Decompose(b -> {
        Value count = b.add(OpKey.TERSOR, "NonZeroCount", Map.of(), x);
        return List.of(b.add(OpKey.TERSOR, "NonZeroIndices", Map.of(), x, count));
      });
    }
  }

  /** Slices along an axis (or elements of the flattened input) where a condition holds. */
  static final class Compress extends OpBase {
    Compress() {
      super(
          OpSchema.of("", "Compress", 9, 11)
              .sample("input[d*1-4]; axis=axis(input); l=0..dim(input, axis); condition[l]")
              .input("input", "T")
              .input("condition", "B")
              .output("output", "T")
              .types("T", Types.ALL)
              .types("B", Types.BOOL)
              .attribute("axis", OpSchema.AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    @Override
    List<ValueType> types(OpContext c) {
      Shapes.rank(c, 1, 1);
      if (!c.has("axis")) {
        return List.of(TensorType.of(c.dtype(0), List.of(unknown(c, 0))));
      }
      if (!c.in(0).isRanked()) {
        return List.of(c.in(0));
      }
      List<DimExpr> dims = new ArrayList<>(c.dims(0));
      dims.set(c.axis(c.intAttr("axis", 0), dims.size()), unknown(c, 0));
      return List.of(TensorType.of(c.dtype(0), dims));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor x = c.has("axis") ? c.input(0) : c.input(0).reshaped(c.input(0).size());
      int axis = c.has("axis") ? c.axis(c.intAttr("axis", 0), x.rank()) : 0;
      List<Integer> kept = new ArrayList<>();
      Tensor condition = c.input(1);
      if (condition.size() > x.shape()[axis]) {
        throw c.error("TSR-0303", "the condition is longer than the axis");
      }
      for (int i = 0; i < condition.size(); i++) {
        if (condition.getLong(i) != 0) {
          kept.add(i);
        }
      }
      long[] shape = x.shape().clone();
      shape[axis] = kept.size();
      Tensor out = Tensor.zeros(x.dtype(), shape);
      long[] index = new long[shape.length];
      for (int i = 0; i < out.size(); i++) {
        long[] from = index.clone();
        from[axis] = kept.get((int) index[axis]);
        Shapes.copy(x, Shapes.ravel(from, x.shape()), out, i);
        Shapes.next(index, shape);
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      Value x = c.node().input(0);
      Value condition = c.node().input(1);
      return new Lowering.Decompose(b -> {
        Value rows = b.add("NonZero", condition);
        Value positions = b.add("Reshape", rows, b.constant(Tensor.of(new long[] {-1}, 1)));
        Value data =
            c.has("axis") ? x : b.add("Reshape", x, b.constant(Tensor.of(new long[] {-1}, 1)));
        Map<String, Attribute> axis = Map.of("axis", new Attribute.IntAttr(c.intAttr("axis", 0)));
        return List.of(b.add("Gather", axis, data, positions));
      });
    }
  }

  /** How many elements are not zero. */
  static final class NonZeroCount extends OpBase {
    NonZeroCount() {
      super(
          OpSchema.of(OpKey.TERSOR, "NonZeroCount", 1)
              .input("X", "T")
              .output("count", "I")
              .types("T", Types.NUMERIC_OR_BOOL)
              .types("I", Types.I64)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(TensorType.of(DType.I64, 1));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      long count = 0;
      for (int i = 0; i < c.input(0).size(); i++) {
        count += c.input(0).getDouble(i) != 0 ? 1 : 0;
      }
      return List.of(Tensor.of(new long[] {count}, 1));
    }

    @Override
    Lowering code(OpContext c) {
      Buf x = in(c, 0);
      Buf out = out(c, 0, outType(c, 0));
      Scalar type = Elementwise.compute(c.dtype(0));
      List<Axis> axes = Shapes.axes("r", x.shape());
      KExpr element = K.at(x, Shapes.refs(axes));
      KExpr found =
          x.element() == Scalar.BOOL
              ? element
              : K.ne(K.cast(type, element), K.cast(type, K.literal(Scalar.I32, 0L)));
      KExpr one = K.select(found, K.literal(Scalar.I64, 1L), K.literal(Scalar.I64, 0L));
      KExpr sum = axes.isEmpty() ? one : K.sum(axes, one);
      return compute(
          List.of(x), out, List.of(Stage.of(out, List.of(new Axis("i", DimExpr.ONE)), sum)));
    }
  }

  /** As NonZero, where the number of columns is known. */
  static final class NonZeroIndices extends OpBase {
    NonZeroIndices() {
      super(
          OpSchema.of(OpKey.TERSOR, "NonZeroIndices", 1)
              .input("X", "T")
              .input("count", "I")
              .output("Y", "I")
              .types("T", Types.NUMERIC_OR_BOOL)
              .types("I", Types.I64)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    @Override
    List<ValueType> types(OpContext c) {
      DimExpr count = c.symbolic(1).map(List::getFirst).orElseGet(() -> unknown(c, 1));
      DimExpr rank = c.in(0).isRanked() ? DimExpr.of(c.rank(0)) : unknown(c, 0);
      return List.of(TensorType.of(DType.I64, List.of(rank, count)));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      return nonZero(c.input(0));
    }

    @Override
    Lowering code(OpContext c) {
      Buf x = in(c, 0);
      Buf out = out(c, 0, outType(c, 0));
      DimExpr count = out.shape().get(1);
      List<DimExpr> dims = new ArrayList<>(List.of(x.elements(), count));
      StringBuilder names = new StringBuilder("n, count");
      StringBuilder stores = new StringBuilder();
      DimExpr stride = DimExpr.ONE;
      for (int d = x.shape().size() - 1; d >= 0; d--) {
        names.append(", s" + d + ", d" + d);
        dims.addAll(List.of(stride, x.shape().get(d)));
        stores.append("out0[" + d + " * count + at] = i64((i / s" + d + ") % d" + d + "); ");
        stride = stride.times(x.shape().get(d));
      }
      return LoopText.compute(
          List.of(x),
          List.of(out),
          List.of(),
          """
          kernel nonzero(in0: $T$, out0: mut i64; $DIMS$) {
            local at = 0;
            for i in 0..n {
              if ($FOUND$) & (at < count) {
                $STORES$
                at = at + 1;
              }
            }
          }
          """,
          dims,
          Map.of(
              "T", x.element().text(),
              "DIMS", names.toString(),
              "FOUND", LoopText.isNotZero(x.element(), "in0[i]"),
              "STORES", stores.toString()));
    }
  }

  /** The first rows of a tensor, as many as input 1 says: what was found, without what was not. */
  static final class TakeFirst extends OpBase {
    static final String NAME = "take_first";

    TakeFirst() {
      super(
          OpSchema.of(OpKey.TERSOR, NAME, 1)
              .input("X", "T")
              .input("count", "I")
              .output("Y", "T")
              .types("T", Types.ALL)
              .types("I", Types.I64)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    @Override
    List<ValueType> types(OpContext c) {
      List<DimExpr> dims = new ArrayList<>(c.dims(0));
      dims.set(0, c.symbolic(1).map(List::getFirst).orElseGet(() -> unknown(c, 0)));
      return List.of(TensorType.of(c.dtype(0), dims));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      long[] shape = c.input(0).shape().clone();
      shape[0] = Math.min(Math.max(c.input(1).getLong(0), 0), shape[0]);
      Tensor y = Tensor.zeros(c.dtype(0), shape);
      for (int i = 0; i < y.size(); i++) {
        Shapes.copy(c.input(0), i, y, i);
      }
      return List.of(y);
    }

    @Override
    Lowering code(OpContext c) {
      Buf x = in(c, 0);
      Buf out = out(c, 0, outType(c, 0));
      List<Axis> axes = Shapes.axes(out.shape());
      List<KExpr> from = Shapes.refs(axes);
      // A wrong count reads nothing that is not there.
      from.set(0, Moves.nearest(from.getFirst(), x.shape().getFirst()));
      return compute(List.of(x), out, List.of(Stage.of(out, axes, K.at(x, from))));
    }
  }
}
