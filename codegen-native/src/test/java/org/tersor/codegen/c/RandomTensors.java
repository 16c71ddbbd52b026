package org.tersor.codegen.c;

import java.util.Random;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Operands of test models, the same in every run. */
final class RandomTensors {
  private RandomTensors() {}

  static Tensor random(int seed, long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    Random random = new Random(seed);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return tensor;
  }

  static Tensor randomBytes(DType type, long... shape) {
    Tensor tensor = Tensor.zeros(type, shape);
    new Random(8).nextBytes(tensor.bytes());
    return tensor;
  }
}
