package org.tersor.ir.op;

import java.util.Locale;
import java.util.Optional;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.runtime.DType;

/**
 * Element types as ONNX numbers and names them (TensorProto.DataType): the only table of them.
 * Files and attributes such as {@code to} of Cast use the numbers, Cast-1 the names.
 */
public final class OnnxTypes {
  private OnnxTypes() {}

  /**
   * One entry.
   *
   * @param irVersion first IR version that has the type
   */
  private record Row(String name, int irVersion) {}

  private static Row row(DType dtype) {
    return switch (dtype) {
      case F32 -> new Row("FLOAT", 3);
      case U8 -> new Row("UINT8", 3);
      case I8 -> new Row("INT8", 3);
      case U16 -> new Row("UINT16", 3);
      case I16 -> new Row("INT16", 3);
      case I32 -> new Row("INT32", 3);
      case I64 -> new Row("INT64", 3);
      case STRING -> new Row("STRING", 3);
      case BOOL -> new Row("BOOL", 3);
      case F16 -> new Row("FLOAT16", 3);
      case F64 -> new Row("DOUBLE", 3);
      case U32 -> new Row("UINT32", 3);
      case U64 -> new Row("UINT64", 3);
      case C64 -> new Row("COMPLEX64", 3);
      case C128 -> new Row("COMPLEX128", 3);
      case BF16 -> new Row("BFLOAT16", 3);
      case F8E4M3FN -> new Row("FLOAT8E4M3FN", 9);
      case F8E4M3FNUZ -> new Row("FLOAT8E4M3FNUZ", 9);
      case F8E5M2 -> new Row("FLOAT8E5M2", 9);
      case F8E5M2FNUZ -> new Row("FLOAT8E5M2FNUZ", 9);
      case U4 -> new Row("UINT4", 10);
      case I4 -> new Row("INT4", 10);
      case F4E2M1 -> new Row("FLOAT4E2M1", 11);
      case F8E8M0 -> new Row("FLOAT8E8M0", 12);
      case U2 -> new Row("UINT2", 13);
      case I2 -> new Row("INT2", 13);
    };
  }

  /** The number of a type. */
  public static int code(DType dtype) {
    return TypeNumbers.number(dtype);
  }

  /** First version of the file format (ir_version) that has the type. */
  public static int irVersion(DType dtype) {
    return row(dtype).irVersion();
  }

  /** The type of that number. */
  public static Optional<DType> dtype(long code) {
    return TypeNumbers.type(code);
  }

  /** The type of the number that an attribute of a node holds; TSR-0302 if there is none. */
  public static DType of(OpContext c, long code) {
    return dtype(code)
        .orElseThrow(() -> c.error("TSR-0302", "there is no element type of number " + code));
  }

  /** The type of that name, in any case of letters; TSR-0302 if there is none. */
  public static DType parse(OpContext c, String name) {
    String upper = name.toUpperCase(Locale.ROOT);
    for (DType dtype : DType.values()) {
      if (row(dtype).name().equals(upper)) {
        return dtype;
      }
    }
    throw c.error("TSR-0302", "there is no element type '" + name + "'");
  }
}
