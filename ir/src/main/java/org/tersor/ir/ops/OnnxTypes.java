package org.tersor.ir.ops;

import java.util.Locale;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;

/** Element types as ONNX numbers and names them in attributes (TensorProto.DataType). */
final class OnnxTypes {
  private OnnxTypes() {}

  static DType of(OpContext c, long code) {
    return TypeNumbers.type(code)
        .orElseThrow(() -> c.error("TSR-0302", "there is no element type of number " + code));
  }

  /** The name in TensorProto.DataType, as Cast-1 spells types. */
  static DType parse(OpContext c, String name) {
    return switch (name.toUpperCase(Locale.ROOT)) {
      case "FLOAT" -> DType.F32;
      case "UINT8" -> DType.U8;
      case "INT8" -> DType.I8;
      case "UINT16" -> DType.U16;
      case "INT16" -> DType.I16;
      case "INT32" -> DType.I32;
      case "INT64" -> DType.I64;
      case "STRING" -> DType.STRING;
      case "BOOL" -> DType.BOOL;
      case "FLOAT16" -> DType.F16;
      case "DOUBLE" -> DType.F64;
      case "UINT32" -> DType.U32;
      case "UINT64" -> DType.U64;
      default -> throw c.error("TSR-0302", "there is no element type '" + name + "'");
    };
  }
}
