package org.tersor.ir.graph;

import java.util.List;
import java.util.Optional;
import org.tersor.runtime.DType;

/** The numbers that ONNX gives element types (TensorProto.DataType), in files and in attributes. */
public final class TypeNumbers {
  /** Number 1 first. */
  private static final List<DType> TYPES =
      List.of(
          DType.F32,
          DType.U8,
          DType.I8,
          DType.U16,
          DType.I16,
          DType.I32,
          DType.I64,
          DType.STRING,
          DType.BOOL,
          DType.F16,
          DType.F64,
          DType.U32,
          DType.U64,
          DType.C64,
          DType.C128,
          DType.BF16,
          DType.F8E4M3FN,
          DType.F8E4M3FNUZ,
          DType.F8E5M2,
          DType.F8E5M2FNUZ,
          DType.U4,
          DType.I4,
          DType.F4E2M1,
          DType.F8E8M0,
          DType.U2,
          DType.I2);

  private TypeNumbers() {}

  public static int number(DType type) {
    return 1 + TYPES.indexOf(type);
  }

  /** The type of that number, if there is one. */
  public static Optional<DType> type(long number) {
    return number >= 1 && number <= TYPES.size()
        ? Optional.of(TYPES.get((int) number - 1))
        : Optional.empty();
  }
}
