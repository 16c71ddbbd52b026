package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Broadcasting, axes and strides. */
final class Shapes {
  private Shapes() {}

  /** Common shape under numpy broadcasting; a diagnostic where constant dimensions contradict. */
  static List<DimExpr> broadcast(OpContext c, List<List<DimExpr>> shapes) {
    int rank = shapes.stream().mapToInt(List::size).max().orElse(0);
    List<DimExpr> result = new ArrayList<>();
    for (int d = 0; d < rank; d++) {
      DimExpr dim = DimExpr.ONE;
      for (List<DimExpr> shape : shapes) {
        int at = d - (rank - shape.size());
        if (at >= 0) {
          dim = common(c, dim, shape.get(at));
        }
      }
      result.add(dim);
    }
    return result;
  }

  private static DimExpr common(OpContext c, DimExpr a, DimExpr b) {
    if (a.equals(b) || b.isConst(1)) {
      return a;
    }
    if (a.isConst(1)) {
      return b;
    }
    if (a.isConst() && b.isConst()) {
      throw c.error("TSR-0303", "dimensions " + a + " and " + b + " cannot be broadcast together");
    }
    if (a.isConst(0) || b.isConst(0)) {
      // The other is 0 or 1, and the result 0 in both cases.
      c.demand(DimExpr.ONE, a.isConst(0) ? b : a, "only an extent of 0 or 1 goes with one of 0");
      return DimExpr.ZERO;
    }
    // One is 1 or both are equal; of 0 and 1 the result would be 0, which is refused, too.
    c.demandEqual(() -> a.min(b).minus(1).times(a.max(b).minus(a.min(b))), () -> DimExpr.ZERO);
    // A symbol against a number other than 1 is that number or 1; two symbols: the larger, one of
    // them being 1 or both equal.
    return a.isConst() ? a : b.isConst() ? b : a.max(b);
  }

  /**
   * The one number of integer input {@code index}, which is an extent: positive and no more than an
   * index can be. Empty if it is only known at run time.
   */
  static Optional<DimExpr> extent(OpContext c, int index, String name) {
    Optional<List<DimExpr>> values = c.symbolic(index);
    if (values.isEmpty()) {
      return Optional.empty();
    }
    if (values.get().size() != 1) {
      throw c.error("TSR-0303", name + " must be one number");
    }
    DimExpr value = values.get().getFirst();
    if (value.isConst() && (value.constValue() < 1 || value.constValue() > Integer.MAX_VALUE)) {
      throw c.error("TSR-0303", name + " cannot be " + value);
    }
    c.demand(value, DimExpr.ONE, name + " must be at least 1");
    return Optional.of(value);
  }

  /** The element type that attribute output_datatype asks for, FLOAT unless given. */
  static DType outputType(OpContext c, java.util.Set<DType> allowed) {
    DType type = OnnxTypes.of(c, c.intAttr("output_datatype", 1));
    if (!allowed.contains(type)) {
      throw c.error("TSR-0302", "the result cannot be of type " + type.text());
    }
    return type;
  }

  /** A diagnostic if input {@code index} is present and has another rank. */
  static void rank(OpContext c, int index, int rank) {
    if (c.hasInput(index) && c.in(index).isRanked() && c.rank(index) != rank) {
      throw c.error(
          "TSR-0303", "input " + index + " must have rank " + rank + ", not " + c.rank(index));
    }
  }

  /** A diagnostic where both are known and differ: "the [what] must be ..., not ...". */
  static void agree(OpContext c, String what, DimExpr given, DimExpr wanted) {
    if (given.isConst() && wanted.isConst() && !given.equals(wanted)) {
      throw c.error("TSR-0303", "the " + what + " must be " + wanted + ", not " + given);
    }
  }

  /** Index into an operand of shape {@code dims} at a point of the broadcast result. */
  static List<KExpr> index(List<DimExpr> dims, List<DimExpr> result, List<Axis> axes) {
    List<KExpr> index = new ArrayList<>();
    int skip = result.size() - dims.size();
    for (int d = 0; d < dims.size(); d++) {
      DimExpr dim = dims.get(d);
      KExpr at = K.axis(axes.get(skip + d));
      if (dim.isConst(1)) {
        index.add(K.index(0));
      } else if (dim.equals(result.get(skip + d))) {
        index.add(at);
      } else {
        // May turn out to be 1 at run time.
        index.add(K.min(at, K.sub(K.dim(dim), K.index(1))));
      }
    }
    return index;
  }

  static List<Axis> axes(List<DimExpr> dims) {
    return axes("i", dims);
  }

  static List<Axis> axes(String prefix, List<DimExpr> dims) {
    List<Axis> axes = new ArrayList<>();
    for (int d = 0; d < dims.size(); d++) {
      axes.add(new Axis(prefix + d, dims.get(d)));
    }
    return axes;
  }

  static List<KExpr> refs(List<Axis> axes) {
    return new ArrayList<>(axes.stream().map(K::axis).toList());
  }

  /** Row-major strides in elements. */
  static long[] strides(long[] shape) {
    long[] strides = new long[shape.length];
    long stride = 1;
    for (int d = shape.length - 1; d >= 0; d--) {
      strides[d] = stride;
      stride *= Math.max(1, shape[d]);
    }
    return strides;
  }

  /** Strides of an operand at each dimension of a broadcast result: 0 where it is repeated. */
  static long[] broadcastStrides(long[] shape, int rank) {
    long[] own = strides(shape);
    long[] strides = new long[rank];
    for (int d = 0; d < shape.length; d++) {
      strides[rank - shape.length + d] = shape[d] == 1 ? 0 : own[d];
    }
    return strides;
  }

  /** Multi-dimensional index of a row-major position. */
  static long[] unravel(long position, long[] shape) {
    long[] index = new long[shape.length];
    for (int d = shape.length - 1; d >= 0; d--) {
      index[d] = position % shape[d];
      position /= shape[d];
    }
    return index;
  }

  static int ravel(long[] index, long[] shape) {
    long position = 0;
    for (int d = 0; d < shape.length; d++) {
      position = position * shape[d] + index[d];
    }
    return (int) position;
  }

  /** Moves to the next index, the last dimension fastest. */
  static void next(long[] index, long[] shape) {
    for (int d = shape.length - 1; d >= 0; d--) {
      if (++index[d] < shape[d]) {
        return;
      }
      index[d] = 0;
    }
  }

  /** A diagnostic if there can be no tensor of this shape. */
  static void checkSize(OpContext c, DType dtype, long... shape) {
    boolean fits;
    try {
      fits =
          Math.multiplyExact(Tensor.count(shape), (long) dtype.slots()) <= Integer.MAX_VALUE - 16;
    } catch (ArithmeticException | IllegalArgumentException e) {
      fits = false;
    }
    if (!fits) {
      throw c.error(
          "TSR-0303",
          "a result of shape "
              + java.util.Arrays.toString(shape)
              + " has more elements than an array can");
    }
  }

  /** A zero tensor of a shape that was computed from a model's data: its size is checked first. */
  static Tensor allocate(OpContext c, DType dtype, long... shape) {
    checkSize(c, dtype, shape);
    return Tensor.zeros(dtype, shape);
  }

  /** Copies one element, whatever its type. */
  static void copy(Tensor from, int at, Tensor to, int index) {
    int slots = from.dtype().slots();
    System.arraycopy(from.array(), at * slots, to.array(), index * slots, slots);
  }

  static DimExpr product(List<DimExpr> dims, int from, int to) {
    return DimExpr.product(dims.subList(from, to));
  }

  /**
   * The integers of a constant, or of an input whose values follow from shapes and all are
   * constant.
   */
  static Optional<long[]> constantLongs(OpContext c, int index) {
    Optional<List<DimExpr>> symbolic = c.symbolic(index);
    if (symbolic.isPresent() && symbolic.get().stream().allMatch(DimExpr::isConst)) {
      return Optional.of(symbolic.get().stream().mapToLong(DimExpr::constValue).toArray());
    }
    return c.constant(index).map(Shapes::longs);
  }

  static long[] longs(Tensor tensor) {
    long[] values = new long[tensor.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = tensor.getLong(i);
    }
    return values;
  }
}
