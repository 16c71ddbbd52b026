package org.tersor.runtime;

import java.util.Locale;

/**
 * Element type of a tensor. {@link #text()} is the spelling of every text form; {@link #bits()} is
 * the size of one element in a file. In memory each element occupies one Java array slot of kind
 * {@link #slot()} (types under 8 bits are unpacked, one code per byte; complex numbers take two
 * slots, real part first).
 */
public enum DType {
  BOOL("bool", 8, Slot.BYTE),
  I2("i2", 2, Slot.BYTE),
  U2("u2", 2, Slot.BYTE),
  I4("i4", 4, Slot.BYTE),
  U4("u4", 4, Slot.BYTE),
  I8("i8", 8, Slot.BYTE),
  U8("u8", 8, Slot.BYTE),
  I16("i16", 16, Slot.SHORT),
  U16("u16", 16, Slot.SHORT),
  I32("i32", 32, Slot.INT),
  U32("u32", 32, Slot.INT),
  I64("i64", 64, Slot.LONG),
  U64("u64", 64, Slot.LONG),
  F4E2M1("f4e2m1", 4, Slot.BYTE),
  F8E4M3FN("f8e4m3fn", 8, Slot.BYTE),
  F8E4M3FNUZ("f8e4m3fnuz", 8, Slot.BYTE),
  F8E5M2("f8e5m2", 8, Slot.BYTE),
  F8E5M2FNUZ("f8e5m2fnuz", 8, Slot.BYTE),
  F8E8M0("f8e8m0", 8, Slot.BYTE),
  F16("f16", 16, Slot.SHORT),
  BF16("bf16", 16, Slot.SHORT),
  F32("f32", 32, Slot.FLOAT),
  F64("f64", 64, Slot.DOUBLE),
  C64("c64", 64, Slot.FLOAT),
  C128("c128", 128, Slot.DOUBLE),
  STRING("string", 0, Slot.STRING);

  /** Kind of Java array that holds the elements. */
  public enum Slot {
    BYTE(1),
    SHORT(2),
    INT(4),
    LONG(8),
    FLOAT(4),
    DOUBLE(8),
    STRING(0);

    private final int bytes;

    Slot(int bytes) {
      this.bytes = bytes;
    }

    /** Bytes of one slot; 0 for strings. */
    public int bytes() {
      return bytes;
    }

    /** A new zero-filled array of this kind; TSR-0714 if the limits of the call forbid it. */
    public Object newArray(int length) {
      Cancellation.allocate("an array", length, (long) length * bytes);
      return switch (this) {
        case BYTE -> new byte[length];
        case SHORT -> new short[length];
        case INT -> new int[length];
        case LONG -> new long[length];
        case FLOAT -> new float[length];
        case DOUBLE -> new double[length];
        case STRING -> {
          String[] strings = new String[length];
          java.util.Arrays.fill(strings, "");
          yield strings;
        }
      };
    }
  }

  private final String text;
  private final int bits;
  private final Slot slot;

  DType(String text, int bits, Slot slot) {
    this.text = text;
    this.bits = bits;
    this.slot = slot;
  }

  public String text() {
    return text;
  }

  /** Bits of one element in a packed file; 0 for strings. */
  public int bits() {
    return bits;
  }

  public Slot slot() {
    return slot;
  }

  /** Array slots per element: 2 for complex types, else 1. */
  public int slots() {
    return isComplex() ? 2 : 1;
  }

  /** Bytes of one element in memory (unpacked). */
  public int memoryBytes() {
    return slot.bytes() * slots();
  }

  public boolean isFloat() {
    return switch (this) {
      case F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16, BF16, F32, F64 -> true;
      default -> false;
    };
  }

  public boolean isComplex() {
    return this == C64 || this == C128;
  }

  public boolean isInteger() {
    return isSigned() || isUnsigned();
  }

  public boolean isSigned() {
    return switch (this) {
      case I2, I4, I8, I16, I32, I64 -> true;
      default -> false;
    };
  }

  public boolean isUnsigned() {
    return switch (this) {
      case U2, U4, U8, U16, U32, U64 -> true;
      default -> false;
    };
  }

  /** Smallest value of an integer type of at most 64 bits (0 for unsigned). */
  public long minValue() {
    return isSigned() ? -1L << (bits - 1) : 0;
  }

  /** Largest value of an integer type; for U64 the value 2^64-1 as the long -1. */
  public long maxValue() {
    return isSigned() ? ~(-1L << (bits - 1)) : bits == 64 ? -1L : (1L << bits) - 1;
  }

  /** The type of that text form. */
  public static DType of(String text) {
    for (DType type : values()) {
      if (type.text.equals(text.toLowerCase(Locale.ROOT))) {
        return type;
      }
    }
    throw new IllegalArgumentException("unknown element type: " + text);
  }
}
