package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Operators along one axis: ArgMax, ArgMin, CumSum, CumProd, TopK. */
final class AxisOperators {
  private AxisOperators() {}

  static List<OpBase> all() {
    return List.of(
        new ArgBest("ArgMax", true),
        new ArgBest("ArgMin", false),
        new Cumulate("CumSum", ReduceOp.SUM, 11, 14),
        new Cumulate("CumProd", ReduceOp.PROD, 26),
        new TopK());
  }

  /** Whether a comes before b; NaN counts as larger and as smaller than everything, as in numpy. */
  static boolean better(Tensor x, int a, int b, boolean largest) {
    if (x.dtype().isFloat()) {
      double p = x.getDouble(a);
      double q = x.getDouble(b);
      return Double.isNaN(p) ? !Double.isNaN(q) : largest ? p > q : p < q;
    }
    long bias = x.dtype() == DType.U64 ? Long.MIN_VALUE : 0;
    long p = x.getLong(a) + bias;
    long q = x.getLong(b) + bias;
    return largest ? p > q : p < q;
  }

  /**
   * Position of the largest or smallest element; of the first or, by attribute, the last of equal
   * ones.
   */
  static final class ArgBest extends OpBase {
    private final boolean largest;

    ArgBest(String name, boolean largest) {
      super(
          OpSchema.of("", name, 1, 11, 12, 13)
              .sample("data[d*1-4]; axis=axis(data); keepdims=0|1; 12-: select_last_index=0|1")
              .input("data", "T")
              .output("reduced", "I")
              .types("T", Types.NUMERIC)
              .types("I", Types.I64)
              .attribute("axis", OpSchema.AttributeKind.INT)
              .attribute("keepdims", OpSchema.AttributeKind.INT)
              .attribute("select_last_index", OpSchema.AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.EXACT));
      this.largest = largest;
    }

    private static int axis(OpContext c) {
      return c.axis(c.intAttr("axis", 0), c.rank(0));
    }

    private static boolean last(OpContext c) {
      return c.intAttr("select_last_index", 0) != 0;
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (!c.in(0).isRanked()) {
        return List.of(TensorType.unranked(DType.I64));
      }
      List<DimExpr> dims = new ArrayList<>(c.dims(0));
      if (dims.get(axis(c)).isConst(0)) {
        throw c.error("TSR-0303", "there is no best of no elements");
      }
      if (c.intAttr("keepdims", 1) != 0) {
        dims.set(axis(c), DimExpr.ONE);
      } else {
        dims.remove(axis(c));
      }
      return List.of(TensorType.of(DType.I64, dims));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor x = c.input(0);
      int axis = axis(c);
      Tensor out = Tensor.zeros(DType.I64, outType(c, 0).staticShape());
      long[] shape = x.shape().clone();
      shape[axis] = 1;
      long stride = Shapes.strides(x.shape())[axis];
      long[] index = new long[shape.length];
      for (int o = 0; o < out.size(); o++) {
        int base = Shapes.ravel(index, x.shape());
        long best = 0;
        for (long k = 1; k < x.shape()[axis]; k++) {
          int here = (int) (base + k * stride);
          int there = (int) (base + best * stride);
          if (better(x, here, there, largest) || (last(c) && !better(x, there, here, largest))) {
            best = k;
          }
        }
        out.setLong(o, best);
        Shapes.next(index, shape);
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      int axis = axis(c);
      Buf x = in(c, 0);
      Buf out = out(c, 0, outType(c, 0));
      Scalar type = Elementwise.compute(c.dtype(0));
      Axis k = new Axis("k", x.shape().get(axis));
      List<Axis> outer = Shapes.axes(x.shape());
      outer.remove(axis);
      List<KExpr> from = Shapes.refs(outer);
      from.add(axis, K.axis(k));
      KExpr element = K.cast(type, K.at(x, from));
      Buf best = new Buf("best", type, outer.stream().map(Axis::extent).toList());
      Stage first =
          Stage.of(best, outer, K.fold(largest ? ReduceOp.MAX : ReduceOp.MIN, List.of(k), element));
      KExpr found = K.eq(element, K.at(best, Shapes.refs(outer)));
      if (type.isFloat()) {
        found = K.or(found, K.ne(element, element));
      }
      KExpr position = K.cast(Scalar.I64, K.axis(k));
      KExpr extent = K.cast(Scalar.I64, K.dim(k.extent()));
      KExpr value =
          last(c)
              ? K.fold(
                  ReduceOp.MAX, List.of(k), K.select(found, position, K.literal(Scalar.I64, 0L)))
              : K.fold(ReduceOp.MIN, List.of(k), K.select(found, position, extent));
      List<KExpr> to = Shapes.refs(outer);
      if (out.shape().size() > to.size()) {
        to.add(axis, K.index(0));
      }
      return compute(List.of(x), out, List.of(first, new Stage(out, outer, to, value)));
    }
  }

  /** Running sum or product along an axis, which is a scalar input. */
  static final class Cumulate extends OpBase {
    private final ReduceOp op;

    Cumulate(String name, ReduceOp op, int... versions) {
      super(
          OpSchema.of("", name, versions)
              .sample("x[d*1-4]; axis[]=axis(x); exclusive=0|1; reverse=0|1")
              .input("x", "T")
              .input("axis", "I")
              .output("y", "T")
              .types("T", Types.NUMERIC)
              .types("I", Types.INDICES)
              .attribute("exclusive", OpSchema.AttributeKind.INT)
              .attribute("reverse", OpSchema.AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.ACCUMULATION));
      this.op = op;
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(c.in(0));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor x = c.input(0);
      int axis = c.axis(c.input(1).getLong(0), x.rank());
      boolean exclusive = c.intAttr("exclusive", 0) != 0;
      boolean reverse = c.intAttr("reverse", 0) != 0;
      Tensor out = Tensor.zeros(x.dtype(), x.shape());
      long[] shape = x.shape().clone();
      long n = shape[axis];
      shape[axis] = 1;
      long stride = Shapes.strides(x.shape())[axis];
      long[] index = new long[shape.length];
      boolean real = x.dtype().isFloat();
      for (long o = 0; n > 0 && o < Tensor.count(shape); o++) {
        int base = Shapes.ravel(index, x.shape());
        double sum = op == ReduceOp.SUM ? 0 : 1;
        long whole = op == ReduceOp.SUM ? 0 : 1;
        for (long k = 0; k < n; k++) {
          int at = (int) (base + (reverse ? n - 1 - k : k) * stride);
          double nextSum = op == ReduceOp.SUM ? sum + x.getDouble(at) : sum * x.getDouble(at);
          long nextWhole =
              real ? 0 : op == ReduceOp.SUM ? whole + x.getLong(at) : whole * x.getLong(at);
          if (real) {
            out.setDouble(at, exclusive ? sum : nextSum);
          } else {
            out.setLong(at, exclusive ? whole : nextWhole);
          }
          sum = nextSum;
          whole = nextWhole;
        }
        Shapes.next(index, shape);
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      Buf x = in(c, 0);
      Buf out = out(c, 0, outType(c, 0));
      List<Axis> axes = Shapes.axes(x.shape());
      Optional<long[]> given = Shapes.constantLongs(c, 1);
      if (given.isPresent()) {
        KExpr sum = sum(c, x, axes, c.axis(given.get()[0], c.rank(0)));
        return compute(List.of(x), out, List.of(Stage.of(out, axes, K.cast(out.element(), sum))));
      }
      // The sums along every axis, of which the input chooses one.
      Buf axis = new Buf("in1", Scalar.of(c.dtype(1)), c.dims(1));
      List<KExpr> origin = java.util.Collections.nCopies(c.rank(1), K.index(0));
      KExpr chosen = Moves.position(K.at(axis, origin), DimExpr.of(c.rank(0)));
      KExpr value = sum(c, x, axes, 0);
      for (int d = 1; d < axes.size(); d++) {
        value = K.select(K.eq(chosen, K.index(d)), sum(c, x, axes, d), value);
      }
      return compute(
          List.of(x, axis), out, List.of(Stage.of(out, axes, K.cast(out.element(), value))));
    }

    private KExpr sum(OpContext c, Buf x, List<Axis> axes, int axis) {
      Scalar type = Elementwise.compute(c.dtype(0));
      Axis k = new Axis("k" + axis, x.shape().get(axis));
      List<KExpr> from = Shapes.refs(axes);
      KExpr here = from.set(axis, K.axis(k));
      boolean exclusive = c.intAttr("exclusive", 0) != 0;
      KExpr before =
          c.intAttr("reverse", 0) != 0
              ? exclusive ? K.gt(K.axis(k), here) : K.ge(K.axis(k), here)
              : exclusive ? K.lt(K.axis(k), here) : K.le(K.axis(k), here);
      KExpr neutral = K.literal(type, op == ReduceOp.SUM ? 0L : 1L);
      return K.fold(op, List.of(k), K.select(before, K.cast(type, K.at(x, from)), neutral));
    }
  }

  /**
   * The k best elements of each line, best first, equal ones in order of position. The kernel
   * counts for each element how many come before it: quadratic in the length of the axis, but with
   * no data-dependent control flow.
   */
  static final class TopK extends OpBase {
    TopK() {
      super(
          OpSchema.of("", "TopK", 1, 10, 11, 24)
              .sample(
                  "X[d*1-4]; axis=axis(X); -9: k=1..dim(X, axis); 10-: K[1]=0..dim(X, axis); 11-: largest=0|1; 11-: sorted=1")
              .input("X", "T")
              .optional("K", "I")
              .output("Values", "T")
              .output("Indices", "I")
              .types("T", Types.NUMERIC)
              .types("I", Types.I64)
              .attribute("k", OpSchema.AttributeKind.INT)
              .attribute("axis", OpSchema.AttributeKind.INT)
              .attribute("largest", OpSchema.AttributeKind.INT)
              .attribute("sorted", OpSchema.AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    private static int axis(OpContext c) {
      return c.axis(c.intAttr("axis", -1), c.rank(0));
    }

    private static Optional<DimExpr> k(OpContext c) {
      Optional<DimExpr> k =
          c.version() < 10
              ? Optional.of(DimExpr.of(c.intAttr("k", -1)))
              : c.symbolic(1).map(List::getFirst);
      DimExpr all = c.dims(0).get(axis(c));
      if (k.isPresent()
          && k.get().isConst()
          && (k.get().constValue() < 0
              || (c.version() < 10 && k.get().constValue() < 1)
              || (all.isConst() && k.get().constValue() > all.constValue()))) {
        throw c.error("TSR-0303", "k is " + k.get() + " for " + all + " elements");
      }
      return k;
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (!c.in(0).isRanked()) {
        return List.of(c.in(0), TensorType.unranked(DType.I64));
      }
      List<DimExpr> dims = new ArrayList<>(c.dims(0));
      dims.set(axis(c), k(c).orElseGet(() -> unknown(c, 0)));
      return List.of(TensorType.of(c.dtype(0), dims), TensorType.of(DType.I64, dims));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor x = c.input(0);
      int axis = axis(c);
      boolean largest = c.intAttr("largest", 1) != 0;
      Tensor values = Tensor.zeros(x.dtype(), outType(c, 0).staticShape());
      Tensor indices = Tensor.zeros(DType.I64, values.shape());
      long[] shape = values.shape().clone();
      long k = shape[axis];
      shape[axis] = 1;
      long stride = Shapes.strides(x.shape())[axis];
      long[] index = new long[shape.length];
      for (long o = 0; o < Tensor.count(shape); o++) {
        int base = Shapes.ravel(index, x.shape());
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < x.shape()[axis]; i++) {
          order.add(i);
        }
        order.sort((a, b) -> {
          int p = (int) (base + a * stride);
          int q = (int) (base + b * stride);
          return better(x, p, q, largest) ? -1 : better(x, q, p, largest) ? 1 : 0;
        });
        long[] to = index.clone();
        for (int i = 0; i < k; i++) {
          to[axis] = i;
          int at = Shapes.ravel(to, values.shape());
          Shapes.copy(x, (int) (base + order.get(i) * stride), values, at);
          indices.setLong(at, order.get(i));
        }
        Shapes.next(index, shape);
      }
      return List.of(values, indices);
    }

    @Override
    Lowering code(OpContext c) {
      if (k(c).isEmpty()) {
        throw notLowered(c, "k is only known when it runs");
      }
      int axis = axis(c);
      boolean largest = c.intAttr("largest", 1) != 0;
      Buf x = in(c, 0);
      Scalar type = Elementwise.compute(c.dtype(0));
      List<Axis> axes = Shapes.axes(x.shape());
      Axis j = new Axis("j", x.shape().get(axis));
      List<KExpr> from = Shapes.refs(axes);
      KExpr mine = K.cast(type, K.at(x, from));
      KExpr here = from.set(axis, K.axis(j));
      KExpr other = K.cast(type, K.at(x, from));
      KExpr better = largest ? K.gt(other, mine) : K.lt(other, mine);
      KExpr same = K.eq(other, mine);
      if (type.isFloat()) {
        better = K.or(better, K.and(K.ne(other, other), K.eq(mine, mine)));
        same = K.or(same, K.and(K.ne(other, other), K.ne(mine, mine)));
      }
      KExpr first = K.or(better, K.and(same, K.lt(K.axis(j), here)));
      Buf rank = new Buf("rank", Scalar.I32, x.shape());
      List<Stage> stages = new ArrayList<>();
      stages.add(Stage.of(rank, axes, K.sum(List.of(j), K.select(first, K.i32(1), K.i32(0)))));
      List<Buf> outputs = new ArrayList<>();
      for (int o = 0; o < 2; o++) {
        if (!c.hasOutput(o)) {
          continue;
        }
        Buf out = out(c, o, outType(c, o));
        outputs.add(out);
        List<Axis> to = Shapes.axes("o" + o + "_", out.shape());
        Axis i = new Axis("s" + o, x.shape().get(axis));
        List<KExpr> source = Shapes.refs(to);
        KExpr place = K.cast(Scalar.I32, source.set(axis, K.axis(i)));
        KExpr chosen = K.eq(K.at(rank, source), place);
        // Exactly one element has that rank: the sum is its position.
        KExpr position =
            K.sum(
                List.of(i),
                K.select(chosen, K.cast(Scalar.I64, K.axis(i)), K.literal(Scalar.I64, 0L)));
        if (o == 1) {
          stages.add(Stage.of(out, to, position));
        } else {
          Buf where = new Buf("where", Scalar.I64, out.shape());
          stages.add(Stage.of(where, to, position));
          List<KExpr> element = Shapes.refs(to);
          element.set(axis, K.cast(Scalar.INDEX, K.at(where, Shapes.refs(to))));
          stages.add(Stage.of(out, to, K.at(x, element)));
        }
      }
      return compute(List.of(x), outputs, stages);
    }
  }
}
