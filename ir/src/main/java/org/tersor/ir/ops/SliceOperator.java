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
import org.tersor.ir.op.ElementSymbols;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Slice: start, end and step per axis, by attributes in version 1, by inputs from 10 on. */
final class SliceOperator extends OpBase implements Moving {
  private static final long FAR = Integer.MAX_VALUE - 1L;

  SliceOperator() {
    super(
        OpSchema.of("", "Slice", 1, 10, 11, 13)
            .carries(OpSchema.Carries.FIRST)
            .sample(
                "data[d*1-4]; -9: axes=axes(data); -9: starts=each(axes, -3..3); -9: ends=each(axes, -3..5); 10-: axes[*]=axes(data); 10-: starts[*]=each(axes, -5..5); 10-: ends[*]=each(axes, -5..6); 10-: steps=each(axes, 1|2|-1|-2)")
            .input("data", "T")
            .optional("starts", "I")
            .optional("ends", "I")
            .optional("axes", "I")
            .optional("steps", "I")
            .output("output", "T")
            .types("T", Types.ALL)
            .types("I", Types.INDICES)
            .attribute("starts", OpSchema.AttributeKind.INTS)
            .attribute("ends", OpSchema.AttributeKind.INTS)
            .attribute("axes", OpSchema.AttributeKind.INTS)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  /** Positions start, start + step, ... of one axis. */
  private record Part(int axis, DimExpr start, DimExpr step, DimExpr count) {}

  private static Optional<List<DimExpr>> list(OpContext c, String name, int input) {
    return c.version() < 10
        ? c.intsAttr(name).map(DimExpr::list)
        : c.hasInput(input) ? c.symbolic(input) : Optional.empty();
  }

  /** What is cut from each sliced axis; empty if bounds are not known. */
  private static Optional<List<Part>> parts(OpContext c) {
    Optional<List<DimExpr>> starts = list(c, "starts", 1);
    Optional<List<DimExpr>> ends = list(c, "ends", 2);
    if (starts.isEmpty() || ends.isEmpty()) {
      return Optional.empty();
    }
    int n = starts.get().size();
    if (c.version() >= 10 && c.hasInput(3) && Shapes.constantLongs(c, 3).isEmpty()) {
      return runtimeAxes(c, starts.get(), ends.get());
    }
    Optional<int[]> axes = axes(c, n);
    Optional<List<DimExpr>> steps = list(c, "steps", 4);
    if (axes.isEmpty() || ((c.version() >= 10 && c.hasInput(4)) && steps.isEmpty())) {
      return Optional.empty();
    }
    if (ends.get().size() != n
        || axes.get().length != n
        || (steps.isPresent() && steps.get().size() != n)) {
      throw c.error("TSR-0303", "starts, ends, axes and steps differ in length");
    }
    List<Part> parts = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      DimExpr step = steps.isPresent() ? steps.get().get(i) : DimExpr.ONE;
      if (step.isConst(0)) {
        throw c.error("TSR-0303", "a step is 0");
      }
      int axis = axes.get()[i];
      Optional<Part> part =
          part(c, axis, c.dims(0).get(axis), starts.get().get(i), ends.get().get(i), step);
      if (part.isEmpty()) {
        return Optional.empty();
      }
      parts.add(part.get());
    }
    return Optional.of(parts);
  }

  /** Every axis may be sliced. */
  private static Optional<List<Part>> runtimeAxes(
      OpContext c, List<DimExpr> starts, List<DimExpr> ends) {
    int rank = c.rank(0);
    Optional<RuntimeAxes> axes = RuntimeAxes.of(c, 3, rank);
    Optional<List<DimExpr>> steps =
        c.hasInput(4)
            ? c.symbolic(4)
            : Optional.of(java.util.Collections.nCopies(starts.size(), DimExpr.ONE));
    if (axes.isEmpty()
        || steps.isEmpty()
        || axes.get().count() != starts.size()
        || ends.size() != starts.size()
        || steps.get().size() != starts.size()) {
      return Optional.empty();
    }
    List<DimExpr> by =
        axes.get().spread("step", steps.get(), java.util.Collections.nCopies(rank, DimExpr.ONE));
    List<DimExpr> dims = c.dims(0);
    List<DimExpr> from =
        axes.get().spread("start", starts, java.util.Collections.nCopies(rank, DimExpr.ZERO));
    List<DimExpr> to = axes.get().spread("end", ends, dims);
    List<Part> parts = new ArrayList<>();
    for (int d = 0; d < rank; d++) {
      Optional<Part> part = part(c, d, dims.get(d), from.get(d), to.get(d), by.get(d));
      if (part.isEmpty()) {
        return Optional.empty();
      }
      parts.add(part.get());
    }
    return Optional.of(parts);
  }

  private static Optional<int[]> axes(OpContext c, int n) {
    int rank = c.rank(0);
    boolean given = c.version() < 10 ? c.has("axes") : c.hasInput(3);
    if (!given) {
      if (n > rank) {
        throw c.error("TSR-0303", n + " slices of an input of rank " + rank);
      }
      return Optional.of(java.util.stream.IntStream.range(0, n).toArray());
    }
    Optional<long[]> known = c.version() < 10 ? c.intsAttr("axes") : Shapes.constantLongs(c, 3);
    return known.map(axes -> Arrays.stream(axes).mapToInt(a -> c.axis(a, rank)).toArray());
  }

  private static Optional<Part> part(
      OpContext c, int axis, DimExpr dim, DimExpr start, DimExpr end, DimExpr step) {
    if (!step.isConst()) {
      return Optional.of(eitherWay(c, axis, dim, start, end, step));
    }
    boolean up = step.constValue() > 0;
    // Going down, positions lie in -1..dim-1 and the end is exclusive as well.
    DimExpr lowest = DimExpr.of(up ? 0 : -1);
    DimExpr highest = up ? dim : dim.minus(1);
    Optional<DimExpr> from = bound(start, dim, DimExpr.ZERO, highest);
    Optional<DimExpr> to = bound(end, dim, lowest, highest);
    if (from.isEmpty() || to.isEmpty()) {
      return Optional.empty();
    }
    from = from.map(f -> c.abbreviate("from" + axis, f));
    to = to.map(t -> c.abbreviate("to" + axis, t));
    DimExpr length = up ? to.get().minus(from.get()) : from.get().minus(to.get());
    boolean cannotBeNegative =
        up ? from.get().isConst(0) || to.get().equals(dim) : to.get().isConst(-1);
    if (dim.isConst(0)) {
      return Optional.of(new Part(axis, DimExpr.ZERO, step, DimExpr.ZERO));
    }
    DimExpr clipped = cannotBeNegative ? length : length.max(DimExpr.ZERO);
    DimExpr count = c.abbreviate("count" + axis, clipped.ceilDiv(Math.abs(step.constValue())));
    return Optional.of(new Part(axis, from.get(), step, count));
  }

  /** A slice that may go up or down. */
  private static Part eitherWay(
      OpContext c, int axis, DimExpr dim, DimExpr start, DimExpr end, DimExpr step) {
    DimExpr down = c.abbreviate("down" + axis, ElementSymbols.isNegative(step));
    DimExpr lowest = down.times(-1);
    DimExpr highest = dim.minus(down);
    DimExpr from =
        c.abbreviate(
            "from" + axis,
            start.plus(ElementSymbols.isNegative(start).times(dim)).max(DimExpr.ZERO).min(highest));
    DimExpr to =
        c.abbreviate(
            "to" + axis,
            end.plus(ElementSymbols.isNegative(end).times(dim)).max(lowest).min(highest));
    DimExpr length = ElementSymbols.select(down, from.minus(to), to.minus(from));
    DimExpr size = step.max(step.times(-1));
    DimExpr count = c.abbreviate("count" + axis, length.max(DimExpr.ZERO).ceilDiv(size).min(dim));
    return new Part(axis, from, step, count);
  }

  /** A bound counted from the start and clamped; empty where its sign is not known. */
  private static Optional<DimExpr> bound(
      DimExpr value, DimExpr dim, DimExpr lowest, DimExpr highest) {
    if (value.isConst()) {
      long v = value.constValue();
      if (dim.isConst()) {
        long counted =
            v < 0 ? Math.max(v, Long.MIN_VALUE + dim.constValue() + 1) + dim.constValue() : v;
        return Optional.of(
            DimExpr.of(Math.max(lowest.constValue(), Math.min(highest.constValue(), counted))));
      }
      if (v >= FAR) {
        return Optional.of(highest);
      }
      if (v <= -FAR) {
        return Optional.of(lowest);
      }
      if (v < 0) {
        return Optional.of(
            v == -1 && highest.equals(dim.minus(1)) ? highest : dim.plus(v).max(lowest));
      }
      return Optional.of(v == 0 && lowest.isConst(0) ? DimExpr.ZERO : DimExpr.of(v).min(highest));
    }
    if (ElementSymbols.mayBeNegative(value)) {
      DimExpr counted = value.plus(ElementSymbols.isNegative(value).times(dim));
      return Optional.of(counted.max(lowest).min(highest));
    }
    return Optional.of(value.equals(dim) ? highest : value.min(highest));
  }

  @Override
  List<ValueType> types(OpContext c) {
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    List<DimExpr> dims = new ArrayList<>(c.dims(0));
    Optional<List<Part>> parts = parts(c);
    if (parts.isPresent()) {
      parts.get().forEach(p -> dims.set(p.axis(), p.count()));
    } else {
      boolean axesKnown =
          c.version() < 10 || (c.hasInput(3) && Shapes.constantLongs(c, 3).isPresent());
      for (int d = 0; d < dims.size(); d++) {
        int axis = d;
        boolean sliced =
            !axesKnown
                || axes(c, dims.size())
                    .map(a -> Arrays.stream(a).anyMatch(x -> x == axis))
                    .orElse(true);
        if (sliced) {
          dims.set(d, unknown(c, d));
        }
      }
    }
    return List.of(TensorType.of(c.dtype(0), dims));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    long[] start = new long[x.rank()];
    long[] step = new long[x.rank()];
    Arrays.fill(step, 1);
    long[] shape = x.shape().clone();
    for (Part p : parts(c).orElseThrow(() -> c.error("TSR-0301", "starts or ends are missing"))) {
      start[p.axis()] = p.start().constValue();
      step[p.axis()] = p.step().constValue();
      shape[p.axis()] = p.count().constValue();
    }
    Tensor out = Tensor.zeros(x.dtype(), shape);
    long[] index = new long[shape.length];
    for (int i = 0; i < out.size(); i++) {
      long[] from = new long[shape.length];
      for (int d = 0; d < shape.length; d++) {
        from[d] = start[d] + index[d] * step[d];
      }
      Shapes.copy(x, Shapes.ravel(from, x.shape()), out, i);
      Shapes.next(index, shape);
    }
    return List.of(out);
  }

  @Override
  Lowering code(OpContext c) {
    List<Part> parts =
        parts(c).orElseThrow(() -> notLowered(c, "the bounds are only known when it runs"));
    Buf x = in(c, 0);
    Buf out = out(c, 0, outType(c, 0));
    List<Axis> axes = Shapes.axes(out.shape());
    List<KExpr> from = Shapes.refs(axes);
    for (Part p : parts) {
      from.set(p.axis(), K.add(K.dim(p.start()), K.mul(from.get(p.axis()), K.dim(p.step()))));
    }
    return compute(List.of(x), out, List.of(Stage.of(out, axes, K.at(x, from))));
  }

  @Override
  public Optional<List<DimExpr>> symbolicOutput(OpContext c) {
    Optional<List<DimExpr>> elements = c.symbolic(0);
    if (elements.isEmpty() || !c.in(0).isRanked() || c.rank(0) != 1) {
      return Optional.empty();
    }
    return parts(c)
        .filter(ps ->
            ps.stream()
                .allMatch(p -> p.start().isConst() && p.step().isConst() && p.count().isConst()))
        .map(ps -> {
          List<DimExpr> current = elements.get();
          for (Part p : ps) {
            List<DimExpr> next = new ArrayList<>();
            for (long i = 0; i < p.count().constValue(); i++) {
              next.add(current.get((int) (p.start().constValue() + i * p.step().constValue())));
            }
            current = next;
          }
          return current;
        });
  }
}
