package org.tersor.onnx;

import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Makes sparse tensors (coordinates and values) dense. */
final class SparseTensors {
  private SparseTensors() {}

  /** The caller has checked that the shape is small enough. */
  static Tensor dense(Tensor values, Tensor indices, long[] shape, String where) {
    DType dtype = values.dtype();
    if (dtype == DType.STRING || dtype.isComplex()) {
      throw error(where, "sparse tensors of " + dtype.text() + " are not supported");
    }
    if (values.rank() != 1) {
      throw error(where, "values must have rank 1, not " + values.rank());
    }
    int nonZero = values.size();
    boolean linear = indices.rank() == 1;
    if (indices.dtype() != DType.I64 || (!linear && indices.rank() != 2)) {
      throw error(where, "indices must be i64 of rank 1 or 2, not " + indices);
    }
    if (indices.shape()[0] != nonZero || (!linear && indices.shape()[1] != shape.length)) {
      throw error(
          where,
          "indices " + indices + " do not fit " + nonZero + " values of rank " + shape.length);
    }
    Tensor dense = Tensor.zeros(dtype, shape);
    int last = -1;
    for (int i = 0; i < nonZero; i++) {
      int position = position(indices, i, linear, shape, dense.size(), where);
      if (position <= last) {
        throw error(where, "indices must ascend");
      }
      last = position;
      System.arraycopy(values.array(), i, dense.array(), position, 1);
    }
    return dense;
  }

  private static int position(
      Tensor indices, int i, boolean linear, long[] shape, int elements, String where) {
    long position = 0;
    if (linear) {
      position = indices.longs()[i];
    } else {
      for (int d = 0; d < shape.length; d++) {
        long index = indices.longs()[i * shape.length + d];
        if (index < 0 || index >= shape[d]) {
          throw error(where, "index " + index + " is outside dimension " + d + " of " + shape[d]);
        }
        position = position * shape[d] + index;
      }
    }
    if (position < 0 || position >= elements) {
      throw error(where, "index " + position + " is outside " + elements + " elements");
    }
    return (int) position;
  }

  private static TersorException error(String where, String why) {
    return Diag.error(Diag.SPARSE, where + ": " + why);
  }
}
