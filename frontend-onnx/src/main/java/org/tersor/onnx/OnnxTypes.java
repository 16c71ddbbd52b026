package org.tersor.onnx;

import java.util.Optional;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.runtime.DType;

/** ONNX numbers of element types (TensorProto.DataType). */
final class OnnxTypes {
  private OnnxTypes() {}

  static Optional<DType> dtype(int code) {
    return TypeNumbers.type(code);
  }

  static int code(DType dtype) {
    return TypeNumbers.number(dtype);
  }

  /** First IR version that has the type. */
  static int irVersion(DType dtype) {
    return switch (dtype) {
      case F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ -> 9;
      case U4, I4 -> 10;
      case F4E2M1 -> 11;
      case F8E8M0 -> 12;
      case U2, I2 -> 13;
      default -> 3;
    };
  }
}
