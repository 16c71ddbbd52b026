package org.tersor.runtime.host;

import java.util.Arrays;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Blocks of elements along an axis, and broadcasting. */
final class Elements {
  private Elements() {}

  /** Number of elements in dimensions {@code from} to {@code to} (exclusive). */
  static int product(long[] shape, int from, int to) {
    return Math.toIntExact(Tensor.count(Arrays.copyOfRange(shape, from, to)));
  }

  static long[] with(long[] shape, int axis, long dim) {
    long[] changed = shape.clone();
    changed[axis] = dim;
    return changed;
  }

  static long[] without(long[] shape, int axis) {
    long[] fewer = new long[shape.length - 1];
    for (int d = 0; d < fewer.length; d++) {
      fewer[d] = shape[d < axis ? d : d + 1];
    }
    return fewer;
  }

  static long[] inserted(long[] shape, int axis, long dim) {
    long[] more = new long[shape.length + 1];
    for (int d = 0; d < more.length; d++) {
      more[d] = d == axis ? dim : shape[d < axis ? d : d - 1];
    }
    return more;
  }

  /** Rows {@code start} to {@code start + length} of an axis. */
  static Tensor slice(HostCall call, Tensor from, int axis, int start, int length) {
    Tensor out = call.allocate(from.dtype(), with(from.shape(), axis, length));
    copy(from, axis, start, out, axis, 0, length);
    return out;
  }

  /** Copies rows of an axis; the dimensions besides it must agree. */
  static void copy(
      Tensor from, int fromAxis, int start, Tensor to, int toAxis, int at, int length) {
    int outer = product(from.shape(), 0, fromAxis);
    int inner = product(from.shape(), fromAxis + 1, from.rank()) * from.dtype().slots();
    int rows = (int) from.shape()[fromAxis];
    int toRows = (int) to.shape()[toAxis];
    for (int o = 0; o < outer; o++) {
      System.arraycopy(
          from.array(),
          (o * rows + start) * inner,
          to.array(),
          (o * toRows + at) * inner,
          length * inner);
    }
  }

  /** The common shape of two operands under numpy broadcasting. */
  static long[] broadcast(HostCall call, long[] a, long[] b) {
    long[] shape = new long[Math.max(a.length, b.length)];
    for (int d = 0; d < shape.length; d++) {
      long x = dim(a, d, shape.length);
      long y = dim(b, d, shape.length);
      if (x != y && x != 1 && y != 1) {
        throw call.error(
            "TSR-0303", "dimensions " + x + " and " + y + " cannot be broadcast together");
      }
      shape[d] = x == 1 ? y : x;
    }
    return shape;
  }

  private static long dim(long[] shape, int d, int rank) {
    int at = d - (rank - shape.length);
    return at < 0 ? 1 : shape[at];
  }

  /** Position in an operand of shape {@code from} of element {@code position} of the result. */
  static int source(int position, long[] result, long[] from) {
    int at = 0;
    int stride = 1;
    int rest = position;
    for (int d = result.length - 1; d >= 0; d--) {
      int index = (int) (rest % result[d]);
      rest = (int) (rest / result[d]);
      int own = d - (result.length - from.length);
      if (own >= 0) {
        at += from[own] == 1 ? 0 : index * stride;
        stride *= (int) from[own];
      }
    }
    return at;
  }

  static Tensor scalar(long value) {
    return Tensor.of(new long[] {value});
  }

  static Tensor bool(boolean value) {
    return new Tensor(DType.BOOL, new long[0], new byte[] {(byte) (value ? 1 : 0)});
  }
}
