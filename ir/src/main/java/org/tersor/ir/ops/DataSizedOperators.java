package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Operators whose result size depends on the data; they have no kernel yet: NonZero, Compress. */
final class DataSizedOperators {
  private DataSizedOperators() {}

  static List<OpBase> all() {
    return List.of(new NonZero(), new Compress());
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
      Tensor x = c.input(0);
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

    @Override
    Lowering code(OpContext c) {
      throw notLowered(c, "the size of the result depends on the data");
    }
  }

  /** Slices along an axis (or elements of the flattened input) where a condition holds. */
  static final class Compress extends OpBase {
    Compress() {
      super(
          OpSchema.of("", "Compress", 9, 11)
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
      throw notLowered(c, "the size of the result depends on the data");
    }
  }
}
