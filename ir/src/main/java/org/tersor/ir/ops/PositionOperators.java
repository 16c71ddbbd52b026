package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
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
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Operators that choose elements by position: EyeLike, Trilu, OneHot, ReverseSequence. */
final class PositionOperators {
  private PositionOperators() {}

  static List<OpBase> all() {
    return List.of(new EyeLike(), new Trilu(), new OneHot(), new ReverseSequence());
  }

  /** Ones on diagonal k. */
  static final class EyeLike extends OpBase {
    EyeLike() {
      super(
          OpSchema.of("", "EyeLike", 9, 22)
              .sample("input[m n]; k=-2..2; dtype=type(R)")
              .input("input", "T")
              .output("output", "R")
              .types("T", Types.NUMERIC_OR_BOOL)
              .types("R", Types.NUMERIC_OR_BOOL)
              .attribute("dtype", OpSchema.AttributeKind.INT)
              .attribute("k", OpSchema.AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (c.in(0).isRanked() && c.rank(0) != 2) {
        throw c.error("TSR-0303", "the input must have rank 2");
      }
      return List.of(
          c.in(0).withDtype(c.has("dtype") ? OnnxTypes.of(c, c.intAttr("dtype", 1)) : c.dtype(0)));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      TensorType type = outType(c, 0);
      Tensor out = Shapes.allocate(c, type.dtype(), type.staticShape());
      long columns = out.shape()[1];
      for (long row = 0; row < out.shape()[0]; row++) {
        long column = row + c.intAttr("k", 0);
        if (column >= 0 && column < columns) {
          out.setDouble((int) (row * columns + column), 1);
        }
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      Buf out = out(c, 0, outType(c, 0));
      List<Axis> axes = Shapes.axes(out.shape());
      KExpr on = K.eq(K.sub(K.axis(axes.get(1)), K.axis(axes.get(0))), K.index(c.intAttr("k", 0)));
      KExpr value =
          Moves.select(on, Moves.literal(out.element(), 1), Moves.literal(out.element(), 0));
      return compute(List.of(), out, List.of(Stage.of(out, axes, value)));
    }
  }

  /** Upper or lower triangle of the last two axes. */
  static final class Trilu extends OpBase {
    Trilu() {
      super(
          OpSchema.of("", "Trilu", 14)
              .sample("input[b*0-2 m n]; k[]=-3..3; upper=0|1")
              .input("input", "T")
              .optional("k", "I")
              .output("output", "T")
              .types("T", Types.ALL)
              .types("I", Types.I64)
              .attribute("upper", OpSchema.AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (c.in(0).isRanked() && c.rank(0) < 2) {
        throw c.error("TSR-0303", "the input must have rank 2 or more");
      }
      return List.of(c.in(0));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor x = c.input(0);
      long k = c.hasInput(1) ? c.input(1).getLong(0) : 0;
      boolean upper = c.intAttr("upper", 1) != 0;
      Tensor out = Tensor.zeros(x.dtype(), x.shape());
      long[] index = new long[x.rank()];
      for (int i = 0; i < x.size(); i++) {
        long diagonal = index[x.rank() - 1] - index[x.rank() - 2];
        if (upper ? diagonal >= k : diagonal <= k) {
          Shapes.copy(x, i, out, i);
        }
        Shapes.next(index, x.shape());
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      Buf x = in(c, 0);
      Buf out = out(c, 0, outType(c, 0));
      List<Buf> inputs = new ArrayList<>(List.of(x));
      List<Axis> axes = Shapes.axes(out.shape());
      int rank = axes.size();
      KExpr k = K.index(0);
      if (c.hasInput(1)) {
        Optional<long[]> known = Shapes.constantLongs(c, 1);
        if (known.isPresent()) {
          // No diagonal is farther away, and sums of it with positions stay small.
          k = K.index(Math.clamp(known.get()[0], -(1L << 32), 1L << 32));
        } else {
          Buf buffer = new Buf("in1", Scalar.I64, c.rank(1) == 0 ? List.of() : DimExpr.list(1));
          inputs.add(buffer);
          k = K.cast(Scalar.INDEX, K.at(buffer, c.rank(1) == 0 ? List.of() : List.of(K.index(0))));
        }
      }
      KExpr diagonal = K.sub(K.axis(axes.get(rank - 1)), K.axis(axes.get(rank - 2)));
      KExpr kept = c.intAttr("upper", 1) != 0 ? K.ge(diagonal, k) : K.le(diagonal, k);
      KExpr value = Moves.select(kept, K.at(x, Shapes.refs(axes)), Moves.literal(x.element(), 0));
      return compute(inputs, out, List.of(Stage.of(out, axes, value)));
    }
  }

  /**
   * values[1] where the new axis' position is the index, values[0] elsewhere and for indices out of
   * range.
   */
  static final class OneHot extends OpBase {
    private static final long ONNX_INT64 = 7;

    OneHot() {
      super(
          OpSchema.of("", "OneHot", 9, 11)
              .sample("depth[]=1..5; indices[i*1-3]=index(depth); values[2]; axis=axis(indices, 1)")
              .input("indices", "T1")
              .input("depth", "T2")
              .input("values", "T3")
              .output("output", "T3")
              .types("T1", Types.NUMERIC)
              .types("T2", Types.NUMERIC)
              .types("T3", Types.ALL)
              .attribute("axis", OpSchema.AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    private static int axis(OpContext c) {
      return c.axis(c.intAttr("axis", -1), c.rank(0) + 1);
    }

    private static DimExpr depth(OpContext c) {
      Optional<List<DimExpr>> symbolic = c.symbolic(1);
      if (symbolic.isPresent() && symbolic.get().size() == 1) {
        return symbolic.get().getFirst();
      }
      return c.constant(1)
          .map(t -> DimExpr.of((long) t.getDouble(0)))
          .orElseGet(() -> unknown(c, 0));
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (c.in(1).isRanked() && c.rank(1) > 1) {
        throw c.error("TSR-0303", "the depth must be one number");
      }
      Shapes.rank(c, 2, 1);
      if (!c.in(0).isRanked()) {
        return List.of(TensorType.unranked(c.dtype(2)));
      }
      List<DimExpr> dims = new ArrayList<>(c.dims(0));
      dims.add(axis(c), depth(c));
      return List.of(TensorType.of(c.dtype(2), dims));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      int axis = axis(c);
      Tensor indices = c.input(0);
      Tensor values = c.input(2);
      Tensor out = Shapes.allocate(c, values.dtype(), outType(c, 0).staticShape());
      long depth = out.shape()[axis];
      long[] index = new long[out.rank()];
      for (int i = 0; i < out.size(); i++) {
        long[] from = new long[indices.rank()];
        System.arraycopy(index, 0, from, 0, axis);
        System.arraycopy(index, axis + 1, from, axis, from.length - axis);
        long wanted = (long) indices.getDouble(Shapes.ravel(from, indices.shape()));
        Shapes.copy(values, (wanted < 0 ? wanted + depth : wanted) == index[axis] ? 1 : 0, out, i);
        Shapes.next(index, out.shape());
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      int axis = axis(c);
      if (!depth(c).isConst() && c.dtype(1) != DType.I64 && c.dtype(1) != DType.I32) {
        return new Lowering.Decompose(b -> {
          Value depth =
              b.add("Cast", Map.of("to", new Attribute.IntAttr(ONNX_INT64)), c.node().input(1));
          return List.of(
              b.add("OneHot", c.node().attributes(), c.node().input(0), depth, c.node().input(2)));
        });
      }
      Buf indices = in(c, 0);
      Buf values = new Buf("in2", scalar(c, c.dtype(2)), DimExpr.list(2));
      Buf out = out(c, 0, outType(c, 0));
      List<Axis> axes = Shapes.axes(out.shape());
      List<KExpr> from = Shapes.refs(axes);
      KExpr position = K.cast(Scalar.I64, from.remove(axis));
      KExpr wanted = K.cast(Scalar.I64, K.at(indices, from));
      KExpr depth = K.cast(Scalar.I64, K.dim(out.shape().get(axis)));
      KExpr counted =
          K.select(K.lt(wanted, K.literal(Scalar.I64, 0L)), K.add(wanted, depth), wanted);
      KExpr value =
          Moves.select(K.eq(counted, position), K.at(values, K.index(1)), K.at(values, K.index(0)));
      return compute(List.of(indices, values), out, List.of(Stage.of(out, axes, value)));
    }
  }

  /** The first sequence_lens[b] steps of each sequence backwards, the rest as it is. */
  static final class ReverseSequence extends OpBase {
    ReverseSequence() {
      super(
          OpSchema.of("", "ReverseSequence", 10)
              .sample(
                  "input[b t d*0-2]; batch_axis!=0; time_axis!=1; sequence_lens[b]=1..t || input[t b d*0-2]; batch_axis=1; time_axis=0; sequence_lens[b]=1..t")
              .input("input", "T")
              .input("sequence_lens", "I")
              .output("Y", "T")
              .types("T", Types.ALL)
              .types("I", Types.I64)
              .attribute("batch_axis", OpSchema.AttributeKind.INT)
              .attribute("time_axis", OpSchema.AttributeKind.INT)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    private static int batch(OpContext c) {
      return axis(c, "batch_axis", 1);
    }

    private static int time(OpContext c) {
      return axis(c, "time_axis", 0);
    }

    /** Sequences and time steps are the first two dimensions, in either order. */
    private static int axis(OpContext c, String name, int otherwise) {
      long axis = c.intAttr(name, otherwise);
      if (axis != 0 && axis != 1) {
        throw c.error("TSR-0304", name + " must be 0 or 1, not " + axis);
      }
      return (int) axis;
    }

    @Override
    List<ValueType> types(OpContext c) {
      Shapes.rank(c, 1, 1);
      if (batch(c) == time(c)) {
        throw c.error("TSR-0304", "batch_axis and time_axis are both " + time(c));
      }
      if (c.in(0).isRanked() && c.rank(0) < 2) {
        throw c.error("TSR-0303", "the input must have sequences and steps, at least rank 2");
      }
      return List.of(c.in(0));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor x = c.input(0);
      Tensor out = Tensor.zeros(x.dtype(), x.shape());
      int time = time(c);
      long[] index = new long[x.rank()];
      for (int i = 0; i < x.size(); i++) {
        long length = c.input(1).getLong((int) index[batch(c)]);
        if (length < 0 || length > x.shape()[time]) {
          throw c.error(
              "TSR-0705", "sequence length " + length + " is outside 0.." + x.shape()[time]);
        }
        long[] from = index.clone();
        from[time] = index[time] < length ? length - 1 - index[time] : index[time];
        Shapes.copy(x, Shapes.ravel(from, x.shape()), out, i);
        Shapes.next(index, x.shape());
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      Buf x = in(c, 0);
      Buf lengths = in(c, 1);
      Buf out = out(c, 0, outType(c, 0));
      int time = time(c);
      List<Axis> axes = Shapes.axes(out.shape());
      List<KExpr> from = Shapes.refs(axes);
      KExpr extent = K.dim(x.shape().get(time));
      KExpr given =
          new KExpr.Within(K.at(lengths, from.get(batch(c))), DimExpr.ZERO, x.shape().get(time));
      KExpr length = K.max(K.min(given, extent), K.index(0));
      KExpr t = from.get(time);
      from.set(time, K.select(K.lt(t, length), K.sub(K.sub(length, K.index(1)), t), t));
      return compute(List.of(x, lengths), out, List.of(Stage.of(out, axes, K.at(x, from))));
    }
  }
}
