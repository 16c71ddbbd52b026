package org.tersor.ir.ops;

import org.tersor.runtime.Tensor;

/** Elements of tensors as arrays, for naive evaluation. */
final class Reals {
  private Reals() {}

  static double[] of(Tensor tensor) {
    double[] values = new double[tensor.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = tensor.getDouble(i);
    }
    return values;
  }

  static void store(Tensor out, double[] values) {
    for (int i = 0; i < values.length; i++) {
      out.setDouble(i, values[i]);
    }
  }

  /** Whether sums of this tensor's elements are exact in wrapping integers and not in doubles. */
  static boolean isInteger(Tensor tensor) {
    return tensor.dtype().isInteger();
  }
}
