package org.tersor.ir.loop;

import java.util.Locale;
import org.tersor.runtime.DType;

/**
 * Scalar types of the kernel IR and the loop IR. {@link #INDEX} is the type of loop variables,
 * dimensions and buffer indices: the widest integer that is cheap for indexing on the target (int
 * on the JVM, int64_t in C); its values never overflow. Types under 32 bits float ("storage types")
 * may only be loaded, stored, cast and reinterpreted.
 */
public enum Scalar {
  BOOL(1),
  I8(1),
  U8(1),
  I16(2),
  U16(2),
  I32(4),
  U32(4),
  I64(8),
  U64(8),
  F4E2M1(1),
  F8E4M3FN(1),
  F8E4M3FNUZ(1),
  F8E5M2(1),
  F8E5M2FNUZ(1),
  F8E8M0(1),
  F16(2),
  BF16(2),
  F32(4),
  F64(8),
  INDEX(8);

  private final int bytes;

  Scalar(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes in memory. */
  public int bytes() {
    return bytes;
  }

  public String text() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * The scalar that a tensor element occupies in memory (4- and 2-bit integers are unpacked, one
   * per byte).
   */
  public static Scalar of(DType dtype) {
    return switch (dtype) {
      case BOOL -> BOOL;
      case I2, I4, I8 -> I8;
      case U2, U4, U8 -> U8;
      case I16 -> I16;
      case U16 -> U16;
      case I32 -> I32;
      case U32 -> U32;
      case I64 -> I64;
      case U64 -> U64;
      case F4E2M1 -> F4E2M1;
      case F8E4M3FN -> F8E4M3FN;
      case F8E4M3FNUZ -> F8E4M3FNUZ;
      case F8E5M2 -> F8E5M2;
      case F8E5M2FNUZ -> F8E5M2FNUZ;
      case F8E8M0 -> F8E8M0;
      case F16 -> F16;
      case BF16 -> BF16;
      case F32, C64 -> F32;
      case F64, C128 -> F64;
      case STRING -> throw new IllegalArgumentException("strings have no scalar type");
    };
  }

  /** The tensor element type of the same bits. */
  public DType dtype() {
    return this == INDEX ? DType.I64 : DType.valueOf(name());
  }

  /** F32 or F64: floats that arithmetic is defined on. */
  public boolean isFloat() {
    return this == F32 || this == F64;
  }

  /** A float type without arithmetic, see the class comment. */
  public boolean isSmallFloat() {
    return switch (this) {
      case F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16, BF16 -> true;
      default -> false;
    };
  }

  public boolean isInteger() {
    return isSigned() || isUnsigned();
  }

  public boolean isSigned() {
    return switch (this) {
      case I8, I16, I32, I64, INDEX -> true;
      default -> false;
    };
  }

  public boolean isUnsigned() {
    return switch (this) {
      case U8, U16, U32, U64 -> true;
      default -> false;
    };
  }

  public static Scalar parse(String text) {
    return valueOf(text.toUpperCase(Locale.ROOT));
  }
}
