package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * CenterCropPad (18): the middle of longer axes, shorter ones between zeros; where it is uneven,
 * one element more is cut or added at the end. The second input holds the new extents of the axes.
 */
final class CenterCropPad extends OpBase {
  CenterCropPad() {
    super(
        OpSchema.of("", "CenterCropPad", 18)
            .sample("input_data[d*1-4]; axes=axes(input_data); shape=each(axes, 1..6)")
            .input("input_data", "T")
            .input("shape", "Tind")
            .output("output_data", "T")
            .types("T", Types.ALL)
            .types("Tind", Types.INDICES)
            .attribute("axes", AttributeKind.INTS)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static int[] axes(OpContext c) {
    int rank = c.rank(0);
    long[] given = c.intsAttr("axes").orElseGet(() -> LongStream.range(0, rank).toArray());
    int[] axes = new int[given.length];
    boolean[] seen = new boolean[rank];
    for (int i = 0; i < axes.length; i++) {
      axes[i] = c.axis(given[i], rank);
      if (seen[axes[i]]) {
        throw c.error("TSR-0304", "axis " + axes[i] + " is named twice");
      }
      seen[axes[i]] = true;
    }
    if (c.in(1).isRanked()) {
      if (c.rank(1) != 1) {
        throw c.error("TSR-0303", "shape must have rank 1");
      }
      Shapes.agree(c, "number of extents", c.dims(1).getFirst(), DimExpr.of(axes.length));
    }
    return axes;
  }

  private static Optional<List<DimExpr>> shape(OpContext c) {
    int[] axes = axes(c);
    List<DimExpr> dims = new ArrayList<>(c.dims(0));
    Optional<List<DimExpr>> extents = c.symbolic(1);
    for (int i = 0; extents.isPresent() && i < axes.length; i++) {
      DimExpr extent = extents.get().get(i);
      if (extent.isConst()
          && (extent.constValue() < 0 || extent.constValue() > Integer.MAX_VALUE)) {
        throw c.error("TSR-0303", "axis " + axes[i] + " cannot have " + extent + " elements");
      }
      dims.set(axes[i], extent);
    }
    return extents.map(e -> dims);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    List<DimExpr> dims =
        shape(c)
            .orElseGet(() -> {
              List<DimExpr> open = new ArrayList<>(c.dims(0));
              for (int axis : axes(c)) {
                open.set(axis, unknown(c, axis));
              }
              return open;
            });
    return List.of(TensorType.of(c.dtype(0), dims));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), outType(c, 0).staticShape());
    long[] index = new long[y.rank()];
    for (int i = 0; i < y.size(); i++) {
      long[] from = index.clone();
      boolean inside = true;
      for (int d = 0; d < from.length; d++) {
        long surplus = x.shape()[d] - y.shape()[d];
        from[d] += surplus >= 0 ? surplus / 2 : -(-surplus / 2);
        inside &= from[d] >= 0 && from[d] < x.shape()[d];
      }
      if (inside) {
        Shapes.copy(x, Shapes.ravel(from, x.shape()), y, i);
      }
      Shapes.next(index, y.shape());
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    List<DimExpr> shape =
        shape(c).orElseThrow(() -> notLowered(c, "the new extents are only known when it runs"));
    KernelBuilder kernel = new KernelBuilder(this, c);
    Buf out = kernel.out(0);
    List<Axis> axes = Shapes.axes(shape);
    List<KExpr> from = new ArrayList<>();
    KExpr inside = K.bool(true);
    for (int d = 0; d < shape.size(); d++) {
      DimExpr in = c.dims(0).get(d);
      DimExpr cut = in.minus(shape.get(d)).max(DimExpr.ZERO).floorDiv(2);
      DimExpr added = shape.get(d).minus(in).max(DimExpr.ZERO).floorDiv(2);
      KExpr at = K.add(K.axis(axes.get(d)), K.dim(cut.minus(added)));
      from.add(at);
      if (!in.equals(shape.get(d))) {
        inside = K.and(inside, K.and(K.ge(at, K.index(0)), K.lt(at, K.dim(in))));
      }
    }
    KExpr element = K.at(kernel.in(0), from);
    kernel.stage(out, axes, Moves.select(inside, element, Moves.literal(out.element(), 0)));
    return kernel.build();
  }
}
