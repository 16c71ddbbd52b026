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
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Expand (two-way broadcast to a shape) and Tile. */
final class RepeatOperators {
  private RepeatOperators() {}

  static List<OpBase> all() {
    return List.of(new Expand(), new Tile());
  }

  /** Broadcast to a shape given as input. */
  static final class Expand extends OpBase implements Moving {
    Expand() {
      super(
          OpSchema.of("", "Expand", 8, 13)
              .sample("input[d*~]; shape=dims(d*~)")
              .input("input", "T")
              .input("shape", "I")
              .output("output", "T")
              .types("T", Types.ALL)
              .types("I", Types.I64)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (!c.in(0).isRanked()) {
        return List.of(c.in(0));
      }
      Optional<List<DimExpr>> shape = c.symbolic(1);
      if (shape.isPresent()) {
        return List.of(
            TensorType.of(c.dtype(0), Shapes.broadcast(c, List.of(c.dims(0), shape.get()))));
      }
      if (!c.in(1).isRanked() || !c.dims(1).getFirst().isConst()) {
        return List.of(TensorType.unranked(c.dtype(0)));
      }
      List<DimExpr> dims = new ArrayList<>();
      for (int d = 0;
          d < Math.max(c.rank(0), Math.min(64, c.dims(1).getFirst().constValue()));
          d++) {
        dims.add(unknown(c, d));
      }
      return List.of(TensorType.of(c.dtype(0), dims));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor x = c.input(0);
      Tensor out = Shapes.allocate(c, x.dtype(), outType(c, 0).staticShape());
      long[] strides = Shapes.broadcastStrides(x.shape(), out.rank());
      long[] index = new long[out.rank()];
      for (int i = 0; i < out.size(); i++) {
        long at = 0;
        for (int d = 0; d < index.length; d++) {
          at += index[d] * strides[d];
        }
        Shapes.copy(x, (int) at, out, i);
        Shapes.next(index, out.shape());
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      Buf x = in(c, 0);
      TensorType type = outType(c, 0);
      if (type.dims().equals(x.shape())) {
        return new Lowering.View(0);
      }
      Buf out = out(c, 0, type);
      List<Axis> axes = Shapes.axes(out.shape());
      return compute(
          List.of(x),
          out,
          List.of(Stage.of(out, axes, K.at(x, Shapes.index(x.shape(), out.shape(), axes)))));
    }
  }

  /**
   * Repeats whole inputs along axes; in version 1 one axis and one count, both as scalar inputs.
   */
  static final class Tile extends OpBase implements Moving {
    Tile() {
      super(
          OpSchema.of("", "Tile", 1, 6, 13)
              .sample("-5: -; input[d*]; repeats=each(d, 0|1|2|3); axis=-")
              .input("input", "T")
              .input("repeats", "I")
              .optional("axis", "I")
              .output("output", "T")
              .types("T", Types.ALL)
              .types("I", Types.NUMERIC)
              .tolerance(OpSchema.Tolerance.EXACT));
    }

    private static Optional<List<DimExpr>> repeats(OpContext c) {
      int rank = c.rank(0);
      if (c.version() < 6) {
        Optional<long[]> count = Shapes.constantLongs(c, 1);
        Optional<long[]> axis = Shapes.constantLongs(c, 2);
        if (count.isEmpty() || axis.isEmpty()) {
          return Optional.empty();
        }
        List<DimExpr> all = new ArrayList<>(java.util.Collections.nCopies(rank, DimExpr.ONE));
        all.set(c.axis(axis.get()[0], rank), DimExpr.of(count.get()[0]));
        return Optional.of(all);
      }
      Optional<List<DimExpr>> repeats = c.symbolic(1);
      if (repeats.isPresent() && repeats.get().size() != rank) {
        throw c.error("TSR-0303", repeats.get().size() + " repeats of an input of rank " + rank);
      }
      return repeats;
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (!c.in(0).isRanked()) {
        return List.of(c.in(0));
      }
      Optional<List<DimExpr>> repeats = repeats(c);
      List<DimExpr> dims = new ArrayList<>();
      for (int d = 0; d < c.rank(0); d++) {
        dims.add(
            repeats.isPresent() ? c.dims(0).get(d).times(repeats.get().get(d)) : unknown(c, d));
      }
      return List.of(TensorType.of(c.dtype(0), dims));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      Tensor x = c.input(0);
      Tensor out = Shapes.allocate(c, x.dtype(), outType(c, 0).staticShape());
      long[] index = new long[out.rank()];
      for (int i = 0; i < out.size(); i++) {
        long[] from = index.clone();
        for (int d = 0; d < from.length; d++) {
          from[d] %= x.shape()[d];
        }
        Shapes.copy(x, Shapes.ravel(from, x.shape()), out, i);
        Shapes.next(index, out.shape());
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      List<DimExpr> repeats =
          repeats(c).orElseThrow(() -> notLowered(c, "the repeats are only known when it runs"));
      Buf x = in(c, 0);
      Buf out = out(c, 0, outType(c, 0));
      List<Axis> copies = Shapes.axes("r", repeats);
      List<Axis> inner = Shapes.axes("i", x.shape());
      List<Axis> axes = new ArrayList<>();
      List<KExpr> to = new ArrayList<>();
      for (int d = 0; d < inner.size(); d++) {
        axes.add(copies.get(d));
        axes.add(inner.get(d));
        to.add(K.add(K.mul(K.axis(copies.get(d)), K.dim(x.shape().get(d))), K.axis(inner.get(d))));
      }
      return compute(
          List.of(x), out, List.of(new Stage(out, axes, to, K.at(x, Shapes.refs(inner)))));
    }
  }
}
