package org.tersor.codegen.c;

import org.tersor.ir.loop.Scalar;

/** Literals. */
final class CConst {
  private CConst() {}

  static String integer(Scalar scalar, long value) {
    return switch (CUnit.carrier(scalar)) {
      case I8, I16 -> "((" + CUnit.scalar(scalar) + ")" + value + ")";
      case U8 -> "((uint8_t)" + (value & 0xFF) + "u)";
      case U16 -> "((uint16_t)" + (value & 0xFFFF) + "u)";
      case I32 -> (int) value == Integer.MIN_VALUE ? "(-2147483647 - 1)" : negative((int) value);
      case U32 -> (value & 0xFFFF_FFFFL) + "u";
      case I64 ->
          value == Long.MIN_VALUE
              ? "((int64_t)(-9223372036854775807ll - 1))"
              : "((int64_t)" + value + "ll)";
      case U64 -> "((uint64_t)" + Long.toUnsignedString(value) + "ull)";
      default -> throw new IllegalStateException("an integer of type " + scalar.text());
    };
  }

  private static String negative(int value) {
    return value < 0 ? "(" + value + ")" : Integer.toString(value);
  }

  static String min(Scalar scalar) {
    return integer(scalar, scalar.isUnsigned() ? 0 : -1L << (scalar.bytes() * 8 - 1));
  }

  static String max(Scalar scalar) {
    int bits = scalar.bytes() * 8;
    return integer(
        scalar, scalar.isUnsigned() ? (bits == 64 ? -1L : (1L << bits) - 1) : ~(-1L << (bits - 1)));
  }

  /**
   * A finite number in hexadecimal, so that no digit is lost; infinities and NaN through the bits
   * function given.
   */
  static String real(Scalar scalar, double value, CScalarOps ops) {
    if (scalar == Scalar.F32) {
      float f = (float) value;
      if (!Float.isFinite(f)) {
        return ops.bits(Scalar.U32, Scalar.F32)
            + "(0x"
            + Integer.toHexString(Float.floatToIntBits(f))
            + "u)";
      }
      return "(" + Float.toHexString(f) + "f)";
    }
    if (!Double.isFinite(value)) {
      return ops.bits(Scalar.U64, Scalar.F64)
          + "(0x"
          + Long.toHexString(Double.doubleToLongBits(value))
          + "ull)";
    }
    return "(" + Double.toHexString(value) + ")";
  }
}
