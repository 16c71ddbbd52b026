package org.tersor.ir.dsl;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.ScalarSemantics;
import org.tersor.runtime.TersorException;

/**
 * A field of a number format: equal elements somewhere in a section.
 *
 * @param type {@code u4}, {@code s8}, {@code f16}, ...
 * @param positions first bit of each element, from the start of the section
 * @param placement the text of {@code at}, where given; its result counts from {@code base}
 * @param base first bit of the field or of its region
 */
public record FormatField(
    String name, Type type, int[] positions, Optional<Placement> placement, long base) {

  /** An expression in {@code i}. */
  public static final class Placement {
    private final Ast text;

    Placement(Ast text) {
      this.text = text;
    }

    Ast text() {
      return text;
    }
  }

  /** How the bits of an element are read. */
  public enum Kind {
    UNSIGNED,
    SIGNED,
    FLOAT
  }

  /**
   * Type of an element.
   *
   * @param bits width
   * @param scalar the float type; for integers the type that values have in expressions
   */
  public record Type(String text, Kind kind, int bits, Scalar scalar) {
    /** Of {@code u1..u8, s2..s8, u16, s16, u32, s32} and the float types. */
    public static Optional<Type> parse(String text) {
      Optional<Scalar> scalar = KernSyntax.scalar(text);
      if (scalar.isPresent() && KernNumbers.isFloat(scalar.get())) {
        int bits = scalar.get() == Scalar.F4E2M1 ? 4 : scalar.get().bytes() * 8;
        return scalar.get() == Scalar.F64
            ? Optional.empty()
            : Optional.of(new Type(text, Kind.FLOAT, bits, scalar.get()));
      }
      if (!text.matches("[usi][1-9][0-9]?")) {
        return Optional.empty();
      }
      int bits = Integer.parseInt(text.substring(1));
      boolean signed = text.charAt(0) != 'u';
      if ((bits > 8 && bits != 16 && bits != 32) || (signed && bits == 1)) {
        return Optional.empty();
      }
      return Optional.of(
          new Type(
              text,
              signed ? Kind.SIGNED : Kind.UNSIGNED,
              bits,
              !signed && bits == 32 ? Scalar.U32 : Scalar.I32));
    }

    /** The bits of a value; integers must fit, floats are rounded to nearest. */
    public long encode(String field, double value) {
      if (kind == Kind.FLOAT) {
        long bits =
            ScalarSemantics.cast(scalar, Scalar.F64, false)
                .applyAsLong(ScalarSemantics.fromDouble(Scalar.F64, value));
        return bits & mask();
      }
      double low = kind == Kind.SIGNED ? -Math.pow(2, bits - 1) : 0;
      double high = kind == Kind.SIGNED ? -low - 1 : Math.pow(2, bits) - 1;
      if (value != Math.rint(value) || value < low || value > high) {
        throw new TersorException(
            "TSR-1005", "field " + field + " of type " + text + " cannot hold " + value);
      }
      return (long) value & mask();
    }

    /** The value of bits. */
    public double decode(long stored) {
      return switch (kind) {
        case UNSIGNED -> stored & mask();
        case SIGNED -> stored << (64 - bits) >> (64 - bits);
        case FLOAT ->
            Double.longBitsToDouble(
                ScalarSemantics.cast(Scalar.F64, scalar, false)
                    .applyAsLong(ScalarSemantics.canon(scalar, stored & mask())));
      };
    }

    private long mask() {
      return (1L << bits) - 1;
    }
  }

  public int count() {
    return positions.length;
  }

  boolean isAligned() {
    for (int p : positions) {
      if (p % 8 != 0) {
        return false;
      }
    }
    return type.bits % 8 == 0;
  }

  private boolean straddles() {
    for (int p : positions) {
      if (p / 8 != (p + type.bits - 1) / 8) {
        return true;
      }
    }
    return false;
  }

  /** Stored bits of element {@code i} in the bytes of a section. */
  long bits(byte[] section, int i) {
    return bits(section, 0, i);
  }

  private long bits(byte[] bytes, int section, int i) {
    if (type.bits == 8 && positions[i] % 8 == 0) {
      return bytes[section + positions[i] / 8] & 0xff;
    }
    long value = 0;
    for (int b = 0; b < type.bits; b++) {
      int at = positions[i] + b;
      value |= (long) (bytes[section + at / 8] >> (at % 8) & 1) << b;
    }
    return value;
  }

  void put(byte[] section, int i, long value) {
    put(section, 0, i, value);
  }

  private void put(byte[] bytes, int section, int i, long value) {
    if (type.bits == 8 && positions[i] % 8 == 0) {
      bytes[section + positions[i] / 8] = (byte) value;
      return;
    }
    for (int b = 0; b < type.bits; b++) {
      int at = positions[i] + b;
      int clear = bytes[section + at / 8] & ~(1 << (at % 8));
      bytes[section + at / 8] = (byte) (clear | (int) (value >> b & 1) << (at % 8));
    }
  }

  /**
   * Integer element {@code i} of a section.
   *
   * @param section where the section begins in {@code bytes}
   */
  public long read(byte[] bytes, int section, int i) {
    return (long) type.decode(bits(bytes, section, i));
  }

  /** Stores integer element {@code i} of a section; a diagnostic if it does not fit. */
  public void write(byte[] bytes, int section, int i, long value) {
    put(bytes, section, i, type.encode(name, (double) value));
  }

  /**
   * The value of an element as an expression.
   *
   * @param buffer bytes of sections, one section per outer index
   * @param outer index of the section
   * @param position first bit of the element, from the start of the section
   */
  KExpr read(Buf buffer, List<KExpr> outer, KExpr position) {
    KExpr first = K.floorDiv(position, K.index(8));
    if (isAligned()) {
      return convert(bytes(buffer, outer, first));
    }
    KExpr low = load(buffer, outer, first);
    if (straddles()) {
      KExpr last = K.floorDiv(K.add(position, K.index(type.bits - 1)), K.index(8));
      low = bin(BinaryOp.OR, low, bin(BinaryOp.SHL, load(buffer, outer, last), K.i32(8)));
    }
    KExpr shift = K.floorMod(position, K.index(8));
    KExpr down =
        shift instanceof KExpr.IntLit n && n.value() == 0
            ? low
            : bin(BinaryOp.SHR, low, K.castInRange(Scalar.I32, literal(shift)));
    return convert(bin(BinaryOp.AND, down, K.i32(type.mask())));
  }

  /** A constant count is a literal of its own type at once. */
  private static KExpr literal(KExpr shift) {
    return shift instanceof KExpr.IntLit n ? K.i32(n.value()) : shift;
  }

  private static KExpr bin(BinaryOp op, KExpr a, KExpr b) {
    return new KExpr.Bin(op, a, b);
  }

  private KExpr bytes(Buf buffer, List<KExpr> outer, KExpr first) {
    KExpr value = load(buffer, outer, first);
    for (int i = 1; i < type.bits / 8; i++) {
      KExpr next = load(buffer, outer, K.add(first, K.index(i)));
      value = bin(BinaryOp.OR, value, bin(BinaryOp.SHL, next, K.i32(8L * i)));
    }
    return value;
  }

  private static KExpr load(Buf buffer, List<KExpr> outer, KExpr at) {
    List<KExpr> index = new java.util.ArrayList<>(outer);
    index.add(at);
    return new KExpr.To(Scalar.I32, new KExpr.At(buffer, index), false);
  }

  /** From stored bits, zero-extended to I32 (all 32 of 32-bit types), to the value. */
  private KExpr convert(KExpr stored) {
    return switch (type.kind) {
      case UNSIGNED -> type.scalar == Scalar.U32 ? new KExpr.BitsAs(Scalar.U32, stored) : stored;
      case SIGNED -> {
        if (type.bits == 32) {
          yield stored;
        }
        KExpr sign = K.i32(1L << (type.bits - 1));
        yield bin(BinaryOp.SUB, bin(BinaryOp.XOR, stored, sign), sign);
      }
      case FLOAT ->
          switch (type.scalar) {
            case F32 -> new KExpr.BitsAs(Scalar.F32, stored);
            case BF16 -> new KExpr.BitsAs(Scalar.F32, bin(BinaryOp.SHL, stored, K.i32(16)));
            case F16 -> small(Scalar.U16, stored);
            default -> small(Scalar.U8, stored);
          };
    };
  }

  private KExpr small(Scalar bits, KExpr stored) {
    return new KExpr.To(
        Scalar.F32, new KExpr.BitsAs(type.scalar, new KExpr.To(bits, stored, true)), false);
  }

  @Override
  public String toString() {
    return name + ": " + type.text + "[" + positions.length + "]";
  }
}
