package org.tersor.ir.ops;

import java.util.Arrays;
import java.util.List;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Slices along a new axis, for the evaluation of loops. */
final class Stack {
  private Stack() {}

  /**
   * @param axis where the new dimension goes
   * @param empty type of a slice, used if there is none
   */
  static Tensor of(OpContext c, List<Tensor> slices, int axis, TensorType empty) {
    long[] slice =
        slices.isEmpty()
            ? empty.shape().orElse(List.of()).stream()
                .mapToLong(d -> d.isConst() ? d.constValue() : 0)
                .toArray()
            : slices.getFirst().shape();
    long[] shape = new long[slice.length + 1];
    for (int d = 0; d < shape.length; d++) {
      shape[d] = d == axis ? slices.size() : slice[d < axis ? d : d - 1];
    }
    Tensor out =
        Shapes.allocate(c, slices.isEmpty() ? empty.dtype() : slices.getFirst().dtype(), shape);
    for (int i = 0; i < slices.size(); i++) {
      Tensor from = slices.get(i);
      if (!Arrays.equals(from.shape(), slice)) {
        throw c.error(
            "TSR-0303",
            "slices to be stacked differ in shape: "
                + Arrays.toString(slice)
                + " and "
                + Arrays.toString(from.shape()));
      }
      long[] index = new long[slice.length];
      for (int e = 0; e < from.size(); e++) {
        Shapes.copy(from, e, out, Shapes.ravel(with(index, axis, i), shape));
        Shapes.next(index, slice);
      }
    }
    return out;
  }

  /** Slice {@code position} of an axis, without that axis. */
  static Tensor slice(OpContext c, Tensor from, int axis, long position) {
    long[] shape = new long[from.rank() - 1];
    for (int d = 0; d < shape.length; d++) {
      shape[d] = from.shape()[d < axis ? d : d + 1];
    }
    Tensor out = Shapes.allocate(c, from.dtype(), shape);
    long[] index = new long[shape.length];
    for (int e = 0; e < out.size(); e++) {
      Shapes.copy(from, Shapes.ravel(with(index, axis, position), from.shape()), out, e);
      Shapes.next(index, shape);
    }
    return out;
  }

  /** The type of a slice. */
  static TensorType slice(TensorType type, int axis) {
    return TensorType.of(
        type.dtype(),
        java.util.stream.IntStream.range(0, type.rank())
            .filter(d -> d != axis)
            .<DimExpr>mapToObj(d -> type.dims().get(d))
            .toList());
  }

  private static long[] with(long[] index, int axis, long position) {
    long[] all = new long[index.length + 1];
    for (int d = 0; d < all.length; d++) {
      all[d] = d == axis ? position : index[d < axis ? d : d - 1];
    }
    return all;
  }
}
