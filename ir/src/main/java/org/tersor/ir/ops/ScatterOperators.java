package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
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

/**
 * ScatterElements (and its old name Scatter) and ScatterND. Without reduction a kernel copies the
 * data and then writes the updates, whose indices must differ as ONNX says; with one, each output
 * element folds over the updates that may hit it.
 */
final class ScatterOperators extends OpBase {
  private final boolean tuples;

  private ScatterOperators(String name, boolean tuples, int... versions) {
    super(
        OpSchema.of("", name, versions)
            .sample(
                name.equals("Scatter")
                    ? "-10: data[a* n b*]; -10: axis=len(a); -10: indices[a* 1 b*]=index(n);"
                        + " -10: updates[a* 1 b*]; reduction=-"
                    : tuples
                        ? "data[n d*]; indices[1 1]=index(n); updates[1 d*]; axis=-; reduction=-"
                            + " || 16-: data[n d*]; 16-: indices[k 1]=index(n); 16-: updates[k d*];"
                            + " axis=-; 16-: reduction=add|mul"
                        : "data[a* n b*]; axis=len(a); indices[a* 1 b*]=index(n); updates[a* 1 b*];"
                            + " reduction=- || 16-: data[a* n b*]; axis=len(a);"
                            + " 16-: indices[a* m b*]=index(n); 16-: updates[a* m b*];"
                            + " 16-: reduction=add|mul")
            .input("data", "T")
            .input("indices", "I")
            .input("updates", "T")
            .output("output", "T")
            .types("T", Types.ALL)
            .types("I", Types.INDICES)
            .attribute("axis", OpSchema.AttributeKind.INT)
            .attribute("reduction", OpSchema.AttributeKind.STRING)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
    this.tuples = tuples;
  }

  static List<OpBase> all() {
    return List.of(
        new ScatterOperators("Scatter", false, 9, 11),
        new ScatterOperators("ScatterElements", false, 11, 13, 16, 18),
        new ScatterOperators("ScatterND", true, 11, 13, 16, 18));
  }

  private static Optional<ReduceOp> reduction(OpContext c) {
    return switch (c.stringAttr("reduction", "none")) {
      case "none" -> Optional.empty();
      case "add" -> Optional.of(ReduceOp.SUM);
      case "mul" -> Optional.of(ReduceOp.PROD);
      case "min" -> Optional.of(ReduceOp.MIN);
      case "max" -> Optional.of(ReduceOp.MAX);
      default -> throw c.error("TSR-0304", "reduction must be none, add, mul, min or max");
    };
  }

  @Override
  List<ValueType> types(OpContext c) {
    return List.of(c.in(0));
  }

  /** Length of an index tuple of ScatterND. */
  private static int tuple(OpContext c) {
    DimExpr last = c.rank(1) == 0 ? DimExpr.ZERO : c.dims(1).getLast();
    if (!last.isConst() || last.constValue() > c.rank(0)) {
      throw c.error("TSR-0303", "indices of " + last + " numbers do not fit the data");
    }
    return (int) last.constValue();
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor data = c.input(0);
    Tensor indices = c.input(1);
    Tensor updates = c.input(2);
    Optional<ReduceOp> reduction = reduction(c);
    Tensor out = Tensor.zeros(data.dtype(), data.shape());
    System.arraycopy(data.array(), 0, out.array(), 0, data.size() * data.dtype().slots());
    int axis = tuples ? 0 : c.axis(c.intAttr("axis", 0), data.rank());
    int tuple = tuples ? tuple(c) : 0;
    checkUpdates(c, data, indices, updates, tuple);
    long[] index = new long[updates.rank()];
    for (int i = 0; i < updates.size(); i++) {
      long[] to = new long[data.rank()];
      if (tuples) {
        int points = indices.rank() - 1;
        long[] which = Arrays.copyOf(index, points + 1);
        for (int k = 0; k < tuple; k++) {
          which[points] = k;
          to[k] =
              GatherOperators.checked(
                  c, indices.getLong(Shapes.ravel(which, indices.shape())), data.shape()[k]);
        }
        System.arraycopy(index, points, to, tuple, data.rank() - tuple);
      } else {
        System.arraycopy(index, 0, to, 0, to.length);
        to[axis] = GatherOperators.checked(c, indices.getLong(i), data.shape()[axis]);
      }
      int at = Shapes.ravel(to, data.shape());
      if (reduction.isEmpty()) {
        Shapes.copy(updates, i, out, at);
      } else {
        combine(reduction.get(), out, at, updates, i);
      }
      Shapes.next(index, updates.shape());
    }
    return List.of(out);
  }

  private void checkUpdates(OpContext c, Tensor data, Tensor indices, Tensor updates, int tuple) {
    long[] wanted = indices.shape();
    if (tuples) {
      int points = indices.rank() - 1;
      wanted = Arrays.copyOf(indices.shape(), points + data.rank() - tuple);
      System.arraycopy(data.shape(), tuple, wanted, points, data.rank() - tuple);
    }
    boolean fits = tuples || indices.rank() == data.rank();
    for (int d = 0; fits && !tuples && d < data.rank(); d++) {
      fits =
          indices.shape()[d] <= data.shape()[d] || d == c.axis(c.intAttr("axis", 0), data.rank());
    }
    if (!fits || !Arrays.equals(wanted, updates.shape())) {
      throw c.error("TSR-0303", "updates do not have the shape that data and indices ask for");
    }
  }

  private static void combine(ReduceOp op, Tensor out, int at, Tensor updates, int from) {
    if (out.dtype().isFloat()) {
      double a = out.getDouble(at);
      double b = updates.getDouble(from);
      out.setDouble(
          at,
          op == ReduceOp.SUM
              ? a + b
              : op == ReduceOp.PROD ? a * b : op == ReduceOp.MIN ? Math.min(a, b) : Math.max(a, b));
      return;
    }
    long bias = out.dtype() == DType.U64 ? Long.MIN_VALUE : 0;
    long a = out.getLong(at);
    long b = updates.getLong(from);
    out.setLong(
        at,
        op == ReduceOp.SUM
            ? a + b
            : op == ReduceOp.PROD
                ? a * b
                : (op == ReduceOp.MIN ? Math.min(a + bias, b + bias) : Math.max(a + bias, b + bias))
                    - bias);
  }

  @Override
  Lowering code(OpContext c) {
    Buf data = in(c, 0);
    Buf indices = in(c, 1);
    Buf updates = in(c, 2);
    Buf out = out(c, 0, outType(c, 0));
    Optional<ReduceOp> reduction = reduction(c);
    if (updates.elements().isConst(0)) {
      return new Lowering.View(0);
    }
    if (reduction.isPresent()) {
      Stage stage =
          tuples
              ? foldTuples(c, data, indices, updates, out, reduction.get())
              : foldAxis(c, data, indices, updates, out, reduction.get());
      return compute(List.of(data, indices, updates), out, List.of(stage));
    }
    List<Axis> all = Shapes.axes(data.shape());
    Stage copy = Stage.of(out, all, K.at(data, Shapes.refs(all)));
    List<Axis> axes = Shapes.axes("u", updates.shape());
    List<KExpr> at = Shapes.refs(axes);
    List<KExpr> to = new ArrayList<>();
    if (tuples) {
      int points = indices.shape().size() - 1;
      for (int k = 0; k < tuple(c); k++) {
        List<KExpr> which = new ArrayList<>(at.subList(0, points));
        which.add(K.index(k));
        to.add(Moves.position(K.at(indices, which), data.shape().get(k)));
      }
      to.addAll(at.subList(points, at.size()));
    } else {
      int axis = c.axis(c.intAttr("axis", 0), c.rank(0));
      to.addAll(at);
      to.set(axis, Moves.position(K.at(indices, at), data.shape().get(axis)));
    }
    return compute(
        List.of(data, indices, updates),
        out,
        List.of(copy, new Stage(out, axes, to, K.at(updates, at))));
  }

  private static KExpr identity(ReduceOp op, Scalar type) {
    DType dtype = type.dtype();
    return switch (op) {
      case SUM, OR, XOR, AND -> K.literal(type, 0L);
      case PROD -> K.literal(type, 1L);
      case MIN ->
          type.isFloat()
              ? K.literal(type, Double.POSITIVE_INFINITY)
              : K.literal(type, dtype.maxValue());
      case MAX ->
          type.isFloat()
              ? K.literal(type, Double.NEGATIVE_INFINITY)
              : K.literal(type, dtype.minValue());
    };
  }

  /** All updates on the line along the axis that passes through the element. */
  private static Stage foldAxis(
      OpContext c, Buf data, Buf indices, Buf updates, Buf out, ReduceOp op) {
    int axis = c.axis(c.intAttr("axis", 0), c.rank(0));
    Scalar type = Elementwise.compute(c.dtype(0));
    List<Axis> axes = Shapes.axes(data.shape());
    Axis j = new Axis("j", indices.shape().get(axis));
    List<KExpr> at = Shapes.refs(axes);
    List<KExpr> from = new ArrayList<>(at);
    from.set(axis, K.axis(j));
    // Beyond the indices there are no updates.
    KExpr inside = K.bool(true);
    for (int d = 0; d < axes.size(); d++) {
      DimExpr extent = indices.shape().get(d);
      if (d != axis && !extent.equals(data.shape().get(d))) {
        inside = K.and(inside, K.lt(at.get(d), K.dim(extent)));
      }
    }
    KExpr position = Moves.position(K.at(indices, from), data.shape().get(axis));
    KExpr hit = K.select(inside, K.eq(position, at.get(axis)), K.bool(false));
    KExpr update = K.select(hit, K.cast(type, K.at(updates, from)), identity(op, type));
    KExpr value =
        K.binary(op.combine(), K.cast(type, K.at(data, at)), K.fold(op, List.of(j), update));
    return Stage.of(out, axes, K.cast(out.element(), value));
  }

  /** All updates of slices whose index tuple leads here. */
  private static Stage foldTuples(
      OpContext c, Buf data, Buf indices, Buf updates, Buf out, ReduceOp op) {
    Scalar type = Elementwise.compute(c.dtype(0));
    int tuple = tuple(c);
    List<Axis> axes = Shapes.axes(data.shape());
    List<KExpr> at = Shapes.refs(axes);
    List<Axis> points = Shapes.axes("p", indices.shape().subList(0, indices.shape().size() - 1));
    KExpr hit = K.bool(true);
    for (int k = 0; k < tuple; k++) {
      List<KExpr> which = Shapes.refs(points);
      which.add(K.index(k));
      hit = K.and(hit, K.eq(Moves.position(K.at(indices, which), data.shape().get(k)), at.get(k)));
    }
    List<KExpr> from = Shapes.refs(points);
    from.addAll(at.subList(tuple, at.size()));
    KExpr update = K.select(hit, K.cast(type, K.at(updates, from)), identity(op, type));
    KExpr value = K.binary(op.combine(), K.cast(type, K.at(data, at)), K.fold(op, points, update));
    return Stage.of(out, axes, K.cast(out.element(), value));
  }
}
