package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
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
import org.tersor.ir.op.WeightLayout;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Gather, GatherElements, GatherND. An index out of range is a diagnostic in evaluation and is
 * clamped in a kernel.
 */
final class GatherOperators {
  private GatherOperators() {}

  static List<OpBase> all() {
    return List.of(new Gather(), new GatherElements(), new GatherND());
  }

  private static OpSchema.Builder describe(String name, int... versions) {
    return OpSchema.of("", name, versions)
        .input("data", "T")
        .input("indices", "I")
        .output("output", "T")
        .types("T", Types.ALL)
        .types("I", Types.INDICES)
        .attribute("axis", OpSchema.AttributeKind.INT)
        .attribute("batch_dims", OpSchema.AttributeKind.INT)
        .tolerance(OpSchema.Tolerance.EXACT);
  }

  /** A position from an index that may count from the end; a diagnostic if it is outside. */
  static long checked(OpContext c, long index, long extent) {
    if (index < -extent || index >= extent) {
      throw c.error("TSR-0705", "index " + index + " is outside -" + extent + ".." + (extent - 1));
    }
    return index < 0 ? index + extent : index;
  }

  /** output[a.., i.., b..] = data[a.., indices[i..], b..] */
  static final class Gather extends OpBase implements Moving {
    Gather() {
      super(
          describe("Gather", 1, 11, 13)
              .carries(OpSchema.Carries.FIRST)
              .sample(
                  "data[d*1-4]; axis=axis(data); indices[i*0-2]=index(dim(data, axis)); batch_dims=-"));
    }

    private static int axis(OpContext c) {
      return c.axis(c.intAttr("axis", 0), c.rank(0));
    }

    @Override
    public Optional<WeightLayout> weights(OpContext c) {
      // A table of rows: each is read as a whole.
      return c.in(0).isRanked() && c.rank(0) == 2 && axis(c) == 0
          ? Optional.of(WeightLayout.of(0, 2, 0))
          : Optional.empty();
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (!c.in(0).isRanked() || !c.in(1).isRanked()) {
        return List.of(TensorType.unranked(c.dtype(0)));
      }
      int axis = axis(c);
      List<DimExpr> dims = new ArrayList<>(c.dims(0).subList(0, axis));
      dims.addAll(c.dims(1));
      dims.addAll(c.dims(0).subList(axis + 1, c.rank(0)));
      return List.of(TensorType.of(c.dtype(0), dims));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      int axis = axis(c);
      Tensor x = c.input(0);
      Tensor indices = c.input(1);
      Tensor out = Shapes.allocate(c, x.dtype(), outType(c, 0).staticShape());
      long[] index = new long[out.rank()];
      for (int i = 0; i < out.size(); i++) {
        long[] from = new long[x.rank()];
        System.arraycopy(index, 0, from, 0, axis);
        long[] which = Arrays.copyOfRange(index, axis, axis + indices.rank());
        from[axis] =
            checked(c, indices.getLong(Shapes.ravel(which, indices.shape())), x.shape()[axis]);
        System.arraycopy(index, axis + indices.rank(), from, axis + 1, x.rank() - axis - 1);
        Shapes.copy(x, Shapes.ravel(from, x.shape()), out, i);
        Shapes.next(index, out.shape());
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      int axis = axis(c);
      Buf x = in(c, 0);
      Buf indices = in(c, 1);
      Buf out = out(c, 0, outType(c, 0));
      List<Axis> axes = Shapes.axes(out.shape());
      List<KExpr> all = Shapes.refs(axes);
      int middle = axis + indices.shape().size();
      List<KExpr> from = new ArrayList<>(all.subList(0, axis));
      from.add(Moves.position(K.at(indices, all.subList(axis, middle)), x.shape().get(axis)));
      from.addAll(all.subList(middle, all.size()));
      return compute(List.of(x, indices), out, List.of(Stage.of(out, axes, K.at(x, from))));
    }

    @Override
    public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
      Optional<List<DimExpr>> elements = c.symbolic(0);
      Optional<long[]> indices = Shapes.constantLongs(c, 1);
      if (elements.isEmpty() || indices.isEmpty() || c.rank(0) != 1) {
        return Optional.empty();
      }
      int n = elements.get().size();
      return Optional.of(
          Arrays.stream(indices.get())
              .mapToObj(i -> elements.get().get((int) checked(c, i, n)))
              .toList());
    }
  }

  /** output[i..] = data[i.. with i[axis] replaced by indices[i..]] */
  static final class GatherElements extends OpBase implements Moving {
    GatherElements() {
      super(
          describe("GatherElements", 11, 13)
              .sample(
                  "data[d*1-3]; axis=axis(data); indices[d*]=index(dim(data, axis)); batch_dims=- || data[a* n b*]; axis=len(a); indices[a* ^m b*]=index(n); batch_dims=-"));
    }

    private static int axis(OpContext c) {
      if (c.rank(0) != c.rank(1)) {
        throw c.error("TSR-0303", "data and indices differ in rank");
      }
      return c.axis(c.intAttr("axis", 0), c.rank(0));
    }

    @Override
    List<ValueType> types(OpContext c) {
      return List.of(c.in(1).withDtype(c.dtype(0)));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      int axis = axis(c);
      Tensor x = c.input(0);
      Tensor indices = c.input(1);
      Tensor out = Shapes.allocate(c, x.dtype(), indices.shape());
      long[] index = new long[out.rank()];
      for (int i = 0; i < out.size(); i++) {
        long[] from = index.clone();
        from[axis] = indices.getLong(i);
        for (int d = 0; d < from.length; d++) {
          from[d] = checked(c, from[d], x.shape()[d]);
        }
        Shapes.copy(x, Shapes.ravel(from, x.shape()), out, i);
        Shapes.next(index, out.shape());
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      int axis = axis(c);
      Buf x = in(c, 0);
      Buf indices = in(c, 1);
      Buf out = out(c, 0, outType(c, 0));
      List<Axis> axes = Shapes.axes(out.shape());
      List<KExpr> from = Shapes.refs(axes);
      from.set(axis, Moves.position(K.at(indices, Shapes.refs(axes)), x.shape().get(axis)));
      return compute(List.of(x, indices), out, List.of(Stage.of(out, axes, K.at(x, from))));
    }
  }

  /** output[b.., i.., r..] = data[b.., indices[b.., i.., 0], indices[b.., i.., 1], .., r..] */
  static final class GatherND extends OpBase implements Moving {
    GatherND() {
      super(
          describe("GatherND", 11, 12, 13)
              .sample(
                  "data[n d*0-2]; indices[i*0-2 1]=index(n); axis=-; batch_dims=- || 12-: data[b n n d*0-1]; 12-: indices[b i*0-1 2]=index(n); 12-: batch_dims=1; axis=-"));
    }

    /** Length of an index tuple. */
    private static int tuple(OpContext c) {
      DimExpr last = c.rank(1) == 0 ? DimExpr.ZERO : c.dims(1).getLast();
      if (!last.isConst()) {
        throw c.error("TSR-0303", "the last dimension of indices must be known at compile time");
      }
      long tuple = last.constValue();
      long batch = batch(c);
      if (tuple < 1 || batch < 0 || batch >= c.rank(1) || batch + tuple > c.rank(0)) {
        throw c.error(
            "TSR-0303",
            "indices of "
                + tuple
                + " numbers with "
                + batch
                + " batch dimensions do not fit the data");
      }
      return (int) tuple;
    }

    private static int batch(OpContext c) {
      return (int) Math.max(-1, Math.min(1000, c.intAttr("batch_dims", 0)));
    }

    @Override
    List<ValueType> types(OpContext c) {
      if (!c.in(0).isRanked() || !c.in(1).isRanked()) {
        return List.of(TensorType.unranked(c.dtype(0)));
      }
      int tuple = tuple(c);
      List<DimExpr> dims = new ArrayList<>(c.dims(1).subList(0, c.rank(1) - 1));
      dims.addAll(c.dims(0).subList(batch(c) + tuple, c.rank(0)));
      return List.of(TensorType.of(c.dtype(0), dims));
    }

    @Override
    List<Tensor> values(EvalContext c) {
      int tuple = tuple(c);
      int batch = batch(c);
      Tensor x = c.input(0);
      Tensor indices = c.input(1);
      Tensor out = Shapes.allocate(c, x.dtype(), outType(c, 0).staticShape());
      int points = indices.rank() - 1;
      long[] index = new long[out.rank()];
      for (int i = 0; i < out.size(); i++) {
        long[] from = new long[x.rank()];
        System.arraycopy(index, 0, from, 0, batch);
        long[] which = Arrays.copyOf(index, points + 1);
        for (int k = 0; k < tuple; k++) {
          which[points] = k;
          from[batch + k] =
              checked(
                  c, indices.getLong(Shapes.ravel(which, indices.shape())), x.shape()[batch + k]);
        }
        System.arraycopy(index, points, from, batch + tuple, x.rank() - batch - tuple);
        Shapes.copy(x, Shapes.ravel(from, x.shape()), out, i);
        Shapes.next(index, out.shape());
      }
      return List.of(out);
    }

    @Override
    Lowering code(OpContext c) {
      int tuple = tuple(c);
      int batch = batch(c);
      Buf x = in(c, 0);
      Buf indices = in(c, 1);
      Buf out = out(c, 0, outType(c, 0));
      List<Axis> axes = Shapes.axes(out.shape());
      List<KExpr> all = Shapes.refs(axes);
      int points = indices.shape().size() - 1;
      List<KExpr> from = new ArrayList<>(all.subList(0, batch));
      for (int k = 0; k < tuple; k++) {
        List<KExpr> which = new ArrayList<>(all.subList(0, points));
        which.add(K.index(k));
        from.add(Moves.position(K.at(indices, which), x.shape().get(batch + k)));
      }
      from.addAll(all.subList(points, all.size()));
      return compute(List.of(x, indices), out, List.of(Stage.of(out, axes, K.at(x, from))));
    }
  }
}
