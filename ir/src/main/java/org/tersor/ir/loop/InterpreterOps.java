package org.tersor.ir.loop;

import org.tersor.runtime.Minifloat;

/**
 * Meaning of the operations on one lane. A lane is a long in canonical form: integers sign- or
 * zero-extended by their type (U64 as its bits), bool 0 or 1, floats as their bits, zero-extended.
 */
final class InterpreterOps {
  private InterpreterOps() {}

  /** An operation on one lane. */
  interface One {
    long apply(long a);
  }

  /** An operation on two lanes. */
  interface Two {
    long apply(long a, long b);
  }

  static float f32(long bits) {
    return Float.intBitsToFloat((int) bits);
  }

  static long bits(float value) {
    return Float.floatToRawIntBits(value) & 0xFFFF_FFFFL;
  }

  static double f64(long bits) {
    return Double.longBitsToDouble(bits);
  }

  static long bits(double value) {
    return Double.doubleToRawLongBits(value);
  }

  /**
   * The canonical form of the low bits of {@code bits}; of bool: whether any of the low 8 bits is
   * set.
   */
  static long canon(Scalar type, long bits) {
    return switch (type) {
      case BOOL -> (bits & 0xFF) != 0 ? 1 : 0;
      case I8 -> (byte) bits;
      case U8, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0 -> bits & 0xFF;
      case I16 -> (short) bits;
      case U16, F16, BF16 -> bits & 0xFFFF;
      case I32 -> (int) bits;
      case U32, F32 -> bits & 0xFFFF_FFFFL;
      case I64, U64, F64, INDEX -> bits;
    };
  }

  static One unary(UnaryOp op, Scalar type) {
    if (op.isTranscendental()) {
      throw new IllegalStateException(
          op + " of " + type.text() + ": the function was not legalised");
    }
    if (type == Scalar.F32) {
      return switch (op) {
        case NEG -> a -> a ^ 0x8000_0000L;
        case ABS -> a -> a & 0x7FFF_FFFFL;
        case SQRT -> a -> bits((float) Math.sqrt(f32(a)));
        case FLOOR -> a -> bits((float) Math.floor(f32(a)));
        case CEIL -> a -> bits((float) Math.ceil(f32(a)));
        case TRUNC -> a -> bits((float) trunc(f32(a)));
        case RINT -> a -> bits((float) Math.rint(f32(a)));
        default -> throw undefined(op, type);
      };
    }
    if (type == Scalar.F64) {
      return switch (op) {
        case NEG -> a -> a ^ Long.MIN_VALUE;
        case ABS -> a -> a & Long.MAX_VALUE;
        case SQRT -> a -> bits(Math.sqrt(f64(a)));
        case FLOOR -> a -> bits(Math.floor(f64(a)));
        case CEIL -> a -> bits(Math.ceil(f64(a)));
        case TRUNC -> a -> bits(trunc(f64(a)));
        case RINT -> a -> bits(Math.rint(f64(a)));
        default -> throw undefined(op, type);
      };
    }
    if (type == Scalar.BOOL) {
      if (op == UnaryOp.NOT) {
        return a -> a ^ 1;
      }
      throw undefined(op, type);
    }
    if (!type.isInteger()) {
      throw undefined(op, type);
    }
    return switch (op) {
      case NEG -> a -> canon(type, -a);
      case ABS -> type.isUnsigned() ? a -> a : a -> canon(type, Math.abs(a));
      case NOT -> a -> canon(type, ~a);
      case POPCOUNT ->
          type.bytes() == 8
              ? a -> Long.bitCount(a)
              : a -> Long.bitCount(a & ((1L << (8 * type.bytes())) - 1));
      default -> throw undefined(op, type);
    };
  }

  private static double trunc(double a) {
    return Math.copySign(Math.floor(Math.abs(a)), a);
  }

  static Two binary(BinaryOp op, Scalar type) {
    if (op.isTranscendental()) {
      throw new IllegalStateException(
          op + " of " + type.text() + ": the function was not legalised");
    }
    if (type == Scalar.F32) {
      return switch (op) {
        case ADD -> (a, b) -> bits(f32(a) + f32(b));
        case SUB -> (a, b) -> bits(f32(a) - f32(b));
        case MUL -> (a, b) -> bits(f32(a) * f32(b));
        case DIV -> (a, b) -> bits(f32(a) / f32(b));
        case MIN -> (a, b) -> bits(Math.min(f32(a), f32(b)));
        case MAX -> (a, b) -> bits(Math.max(f32(a), f32(b)));
        default -> throw undefined(op, type);
      };
    }
    if (type == Scalar.F64) {
      return switch (op) {
        case ADD -> (a, b) -> bits(f64(a) + f64(b));
        case SUB -> (a, b) -> bits(f64(a) - f64(b));
        case MUL -> (a, b) -> bits(f64(a) * f64(b));
        case DIV -> (a, b) -> bits(f64(a) / f64(b));
        case MIN -> (a, b) -> bits(Math.min(f64(a), f64(b)));
        case MAX -> (a, b) -> bits(Math.max(f64(a), f64(b)));
        default -> throw undefined(op, type);
      };
    }
    if (type == Scalar.BOOL) {
      return switch (op) {
        case AND -> (a, b) -> a & b;
        case OR -> (a, b) -> a | b;
        case XOR -> (a, b) -> a ^ b;
        default -> throw undefined(op, type);
      };
    }
    if (type == Scalar.INDEX) {
      return index(op);
    }
    if (!type.isInteger()) {
      throw undefined(op, type);
    }
    int width = 8 * type.bytes();
    boolean unsigned = type.isUnsigned();
    return switch (op) {
      case ADD -> (a, b) -> canon(type, a + b);
      case SUB -> (a, b) -> canon(type, a - b);
      case MUL -> (a, b) -> canon(type, a * b);
      case DIV ->
          unsigned
              ? (a, b) -> b == 0 ? 0 : Long.divideUnsigned(a, b)
              : (a, b) -> b == 0 ? 0 : canon(type, a / b);
      case REM ->
          unsigned
              ? (a, b) -> b == 0 ? 0 : Long.remainderUnsigned(a, b)
              : (a, b) -> b == 0 ? 0 : a % b;
      case MIN -> unsigned ? (a, b) -> Long.compareUnsigned(a, b) <= 0 ? a : b : Math::min;
      case MAX -> unsigned ? (a, b) -> Long.compareUnsigned(a, b) >= 0 ? a : b : Math::max;
      case AND -> (a, b) -> a & b;
      case OR -> (a, b) -> a | b;
      case XOR -> (a, b) -> a ^ b;
      case SHL -> (a, b) -> canon(type, a << (b & (width - 1)));
      case SHR -> unsigned ? (a, b) -> a >>> (b & (width - 1)) : (a, b) -> a >> (b & (width - 1));
      default -> throw undefined(op, type);
    };
  }

  /** INDEX values never overflow: one that does is an error here. */
  private static Two index(BinaryOp op) {
    return switch (op) {
      case ADD -> Math::addExact;
      case SUB -> Math::subtractExact;
      case MUL -> Math::multiplyExact;
      case DIV -> (a, b) -> b == 0 ? 0 : a / b;
      case REM -> (a, b) -> b == 0 ? 0 : a % b;
      case FLOORDIV -> (a, b) -> b <= 0 ? 0 : Math.floorDiv(a, b);
      case FLOORMOD -> (a, b) -> b <= 0 ? 0 : Math.floorMod(a, b);
      case MIN -> Math::min;
      case MAX -> Math::max;
      case AND -> (a, b) -> a & b;
      case OR -> (a, b) -> a | b;
      case XOR -> (a, b) -> a ^ b;
      case SHL -> (a, b) -> a << b;
      case SHR -> (a, b) -> a >> b;
      default -> throw undefined(op, Scalar.INDEX);
    };
  }

  static Two compare(CompareOp op, Scalar type) {
    if (type == Scalar.F32) {
      return switch (op) {
        case EQ -> (a, b) -> f32(a) == f32(b) ? 1 : 0;
        case NE -> (a, b) -> f32(a) != f32(b) ? 1 : 0;
        case LT -> (a, b) -> f32(a) < f32(b) ? 1 : 0;
        case LE -> (a, b) -> f32(a) <= f32(b) ? 1 : 0;
        case GT -> (a, b) -> f32(a) > f32(b) ? 1 : 0;
        case GE -> (a, b) -> f32(a) >= f32(b) ? 1 : 0;
      };
    }
    if (type == Scalar.F64) {
      return switch (op) {
        case EQ -> (a, b) -> f64(a) == f64(b) ? 1 : 0;
        case NE -> (a, b) -> f64(a) != f64(b) ? 1 : 0;
        case LT -> (a, b) -> f64(a) < f64(b) ? 1 : 0;
        case LE -> (a, b) -> f64(a) <= f64(b) ? 1 : 0;
        case GT -> (a, b) -> f64(a) > f64(b) ? 1 : 0;
        case GE -> (a, b) -> f64(a) >= f64(b) ? 1 : 0;
      };
    }
    if (type.isSmallFloat()) {
      throw new IllegalStateException("compare of " + type.text());
    }
    // Adding the smallest long turns unsigned order into signed order.
    long bias = type == Scalar.U64 ? Long.MIN_VALUE : 0;
    return switch (op) {
      case EQ -> (a, b) -> a == b ? 1 : 0;
      case NE -> (a, b) -> a != b ? 1 : 0;
      case LT -> (a, b) -> a + bias < b + bias ? 1 : 0;
      case LE -> (a, b) -> a + bias <= b + bias ? 1 : 0;
      case GT -> (a, b) -> a + bias > b + bias ? 1 : 0;
      case GE -> (a, b) -> a + bias >= b + bias ? 1 : 0;
    };
  }

  static One cast(Scalar to, Scalar from, boolean inRange) {
    if (to == from) {
      return a -> a;
    }
    if (from.isSmallFloat()) {
      Minifloat format = Minifloat.of(from.dtype());
      One further = cast(to, Scalar.F32, inRange);
      return a -> further.apply(bits(format.decode((int) a)));
    }
    if (from == Scalar.F32 && to != Scalar.F64) {
      One further = cast(to, Scalar.F64, inRange);
      return a -> further.apply(bits((double) f32(a)));
    }
    if (to.isSmallFloat()) {
      Minifloat format = Minifloat.of(to.dtype());
      if (from == Scalar.F64) {
        return a -> format.encode(f64(a), false);
      }
      return a -> format.encode(sticky(a, from == Scalar.U64), false);
    }
    if (from == Scalar.F32 || from == Scalar.F64) {
      return switch (to) {
        case F64 -> a -> bits((double) f32(a));
        case F32 -> a -> bits((float) f64(a));
        case BOOL -> a -> f64(a) != 0 ? 1 : 0;
        default -> a -> toInteger(to, f64(a), inRange);
      };
    }
    boolean wide = from == Scalar.U64;
    return switch (to) {
      case F32 ->
          wide
              ? a -> bits(a >= 0 ? (float) a : 2 * (float) ((a >>> 1) | (a & 1)))
              : a -> bits((float) a);
      case F64 ->
          wide
              ? a -> bits(a >= 0 ? (double) a : 2 * (double) ((a >>> 1) | (a & 1)))
              : a -> bits((double) a);
      case BOOL -> a -> a != 0 ? 1 : 0;
      default -> a -> canon(to, a);
    };
  }

  /**
   * A double that rounds to any type of at most 50 bits as the integer does: bits that do not fit
   * are or-ed into the last one.
   */
  private static double sticky(long value, boolean unsigned) {
    boolean negative = !unsigned && value < 0;
    long magnitude = negative ? -value : value;
    if (magnitude >>> 53 != 0) {
      magnitude = (magnitude & -0x1000L) | ((magnitude & 0xFFF) != 0 ? 0x800 : 0);
    }
    double result = magnitude >= 0 ? (double) magnitude : 2 * (double) (magnitude >>> 1);
    return negative ? -result : result;
  }

  private static long toInteger(Scalar to, double value, boolean inRange) {
    double limit = Math.scalb(1.0, 8 * to.bytes() - (to.isSigned() ? 1 : 0));
    double lowest = to.isSigned() ? -limit : 0;
    double whole = trunc(value);
    if (whole >= lowest && whole < limit) {
      return to == Scalar.U64 && whole >= 0x1p63
          ? (long) (whole - 0x1p63) + Long.MIN_VALUE
          : (long) whole;
    }
    if (inRange) {
      // The promise was broken: any value may come out, so one that is noticed.
      return InterpreterMemory.poison(to);
    }
    if (Double.isNaN(value)) {
      return 0;
    }
    return value < 0
        ? canon(to, (long) lowest)
        : to == Scalar.U64 ? -1L : to.bytes() == 8 ? Long.MAX_VALUE : (long) limit - 1;
  }

  /** One lane of {@link Expr.Dot4}. */
  static long dot4(long acc, long a, long b) {
    int sum = (int) acc;
    for (int i = 0; i < 32; i += 8) {
      sum += (int) (a >> i & 0xFF) * (byte) (b >> i);
    }
    return sum;
  }

  /** One lane of {@link Expr.Dot2}. */
  static long dot2(long acc, long a, long b) {
    float high = fma(single(a & 0xFFFF0000L), single(b & 0xFFFF0000L), single(acc));
    return Float.floatToRawIntBits(fma(single(a << 16), single(b << 16), high));
  }

  private static float single(long bits) {
    return flushed(Float.intBitsToFloat((int) bits));
  }

  private static float fma(float a, float b, float c) {
    return flushed(Math.fma(a, b, c));
  }

  private static float flushed(float x) {
    return Math.abs(x) < Float.MIN_NORMAL ? Math.copySign(0, x) : x;
  }

  private static IllegalStateException undefined(Object op, Scalar type) {
    return new IllegalStateException(op + " is not defined on " + type.text());
  }
}
