package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
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
 * MaxUnpool (9, 11, 22): zeros with the elements of X [N, C, D...] put at positions I, which count
 * over the whole tensor [N, C, ...] of extents (D - 1) * stride + kernel - pads. With output_shape
 * that tensor's elements keep their index in a larger (or smaller) one.
 */
final class MaxUnpool extends OpBase {
  private static final int SHAPE = 2;

  MaxUnpool() {
    super(
        OpSchema.of("", "MaxUnpool", 9, 11, 22)
            .sample(
                "m=1..3; n=1..3; l=times(4, m, n); X[1 1 m n]; I[1 1 m n]=below(l); kernel_shape=dims(2 2); strides=dims(2 2); output_shape=-; pads=-")
            .input("X", "T1")
            .input("I", "T2")
            .optional("output_shape", "T2")
            .output("output", "T1")
            .types("T1", Types.FLOATS)
            .types("T2", Types.I64)
            .required("kernel_shape", AttributeKind.INTS)
            .attribute("pads", AttributeKind.INTS)
            .attribute("strides", AttributeKind.INTS)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  /** The shape that positions count in. */
  private static List<DimExpr> full(OpContext c) {
    List<DimExpr> x = c.dims(0);
    int rank = x.size() - 2;
    if (rank < 1) {
      throw c.error("TSR-0303", "X must be [N, C, D...] of rank 3 or more");
    }
    long[] kernel = Window.positive(c, "kernel_shape", rank);
    long[] stride = Window.positive(c, "strides", rank);
    long[] pads = Window.longs(c, "pads", 2 * rank, 0);
    List<DimExpr> full = new ArrayList<>(x.subList(0, 2));
    for (int d = 0; d < rank; d++) {
      DimExpr extent =
          x.get(2 + d).minus(1).times(stride[d]).plus(kernel[d] - pads[d] - pads[rank + d]);
      if (extent.isConst() && extent.constValue() < 0) {
        throw c.error("TSR-0303", "spatial dimension " + d + " of the result is negative");
      }
      full.add(extent);
    }
    if (c.in(1).isRanked()) {
      if (c.rank(1) != x.size()) {
        throw c.error("TSR-0303", "I must have the shape of X");
      }
      for (int d = 0; d < x.size(); d++) {
        Shapes.agree(c, "dimension " + d + " of I", c.dims(1).get(d), x.get(d));
      }
    }
    return full;
  }

  private static Optional<List<DimExpr>> shape(OpContext c) {
    List<DimExpr> full = full(c);
    if (!c.hasInput(SHAPE)) {
      return Optional.of(full);
    }
    Optional<List<DimExpr>> given = c.symbolic(SHAPE);
    if (given.isPresent()
        && (given.get().size() != full.size()
            || given.get().stream()
                .anyMatch(d ->
                    d.isConst() && (d.constValue() < 0 || d.constValue() > Integer.MAX_VALUE)))) {
      throw c.error("TSR-0303", "output_shape " + given.get() + " does not fit " + full);
    }
    return given;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    List<DimExpr> open = new ArrayList<>();
    for (int d = 0; d < c.rank(0); d++) {
      open.add(unknown(c, d));
    }
    return List.of(type(c.dtype(0), Optional.of(shape(c).orElse(open))));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    long[] full = Window.numbers(full(c));
    long[] shape = Window.numbers(shape(c).orElseThrow());
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), shape);
    long count = Shapes.allocate(c, org.tersor.runtime.DType.U8, full).size();
    for (int i = 0; i < x.size(); i++) {
      long position = c.input(1).getLong(i);
      if (position < 0 || position >= count) {
        throw c.error("TSR-0705", "position " + position + " is outside 0.." + (count - 1));
      }
      long[] index = Shapes.unravel(position, full);
      boolean inside = true;
      for (int d = 0; d < index.length; d++) {
        inside &= index[d] < shape[d];
      }
      if (inside) {
        Shapes.copy(x, i, y, Shapes.ravel(index, shape));
      }
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    List<DimExpr> full = full(c);
    List<DimExpr> shape =
        shape(c).orElseThrow(() -> notLowered(c, "output_shape is only known when it runs"));
    KernelBuilder kernel = new KernelBuilder(this, c);
    Buf out = kernel.out(0);
    boolean direct = shape.equals(full);
    Buf target = direct ? out : kernel.temp("full", out.element(), full);
    kernel.stage(target, Shapes.axes("z", full), Moves.literal(out.element(), 0));
    List<Axis> axes = Shapes.axes(c.dims(0));
    KExpr rest = Moves.inside(K.at(kernel.in(1), Shapes.refs(axes)), DimExpr.product(full));
    List<KExpr> index = new ArrayList<>();
    for (int d = full.size() - 1; d > 0; d--) {
      index.addFirst(K.floorMod(rest, K.dim(full.get(d))));
      rest = K.floorDiv(rest, K.dim(full.get(d)));
    }
    index.addFirst(rest);
    kernel.stage(target, axes, index, K.at(kernel.in(0), Shapes.refs(axes)));
    if (!direct) {
      List<Axis> all = Shapes.axes("o", shape);
      KExpr inside = K.bool(true);
      for (int d = 0; d < full.size(); d++) {
        if (!full.get(d).equals(shape.get(d))) {
          inside = K.and(inside, K.lt(K.axis(all.get(d)), K.dim(full.get(d))));
        }
      }
      KExpr element = K.at(target, Shapes.refs(all));
      kernel.stage(out, all, Moves.select(inside, element, Moves.literal(out.element(), 0)));
    }
    return kernel.build();
  }
}
