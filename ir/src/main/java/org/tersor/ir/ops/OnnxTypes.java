package org.tersor.ir.ops;

import java.util.Locale;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;

/** Element types as ONNX numbers and names them in attributes (TensorProto.DataType). */
final class OnnxTypes {
  private OnnxTypes() {}

  static DType of(OpContext c, long code) {
    return switch ((int) Math.max(-1, Math.min(code, 1000))) {
      case 1 -> DType.F32;
      case 2 -> DType.U8;
      case 3 -> DType.I8;
      case 4 -> DType.U16;
      case 5 -> DType.I16;
      case 6 -> DType.I32;
      case 7 -> DType.I64;
      case 8 -> DType.STRING;
      case 9 -> DType.BOOL;
      case 10 -> DType.F16;
      case 11 -> DType.F64;
      case 12 -> DType.U32;
      case 13 -> DType.U64;
      case 14 -> DType.C64;
      case 15 -> DType.C128;
      case 16 -> DType.BF16;
      case 17 -> DType.F8E4M3FN;
      case 18 -> DType.F8E4M3FNUZ;
      case 19 -> DType.F8E5M2;
      case 20 -> DType.F8E5M2FNUZ;
      case 21 -> DType.U4;
      case 22 -> DType.I4;
      case 23 -> DType.F4E2M1;
      case 24 -> DType.F8E8M0;
      case 25 -> DType.U2;
      case 26 -> DType.I2;
      default -> throw c.error("TSR-0302", "there is no element type of number " + code);
    };
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
