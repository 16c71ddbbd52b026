package org.tersor.ir.loop;

import java.util.function.BinaryOperator;
import org.tersor.runtime.Minifloat;

/**
 * Conversions between F32 and the floats of 16 bits and fewer as integer operations on I32, with
 * the results of {@link Minifloat} (of a bfloat16 NaN: its payload).
 */
final class SmallFloats {
  /** Names a value that is used more than once. */
  interface Binder {
    Expr bind(String hint, Expr value);
  }

  private static final int INFINITY = 0x7F800000;
  private static final int NAN = 0x7FC00000;

  private final Binder binder;

  SmallFloats(Binder binder) {
    this.binder = binder;
  }

  private static Expr i(Expr like, long value) {
    return new Expr.IntConst(like.type(), value);
  }

  private static Expr op(BinaryOp op, Expr a, long b) {
    return Legalizer.op(op, a, b);
  }

  private static Expr op(BinaryOp op, Expr a, Expr b) {
    return new Expr.Binary(op, a, b);
  }

  private static Expr is(CompareOp op, Expr a, long b) {
    return new Expr.Compare(op, a, i(a, b));
  }

  private static Expr select(Expr condition, Expr then, Expr otherwise) {
    return new Expr.Select(condition, then, otherwise);
  }

  private static Expr f(Expr like, double value) {
    return new Expr.FloatConst(like.type().withScalar(Scalar.F32), value);
  }

  private static Expr single(Expr bits) {
    return new Expr.Bits(bits.type().withScalar(Scalar.F32), bits);
  }

  private static Expr bits(Expr single) {
    return new Expr.Bits(single.type().withScalar(Scalar.I32), single);
  }

  /** F32 of codes (U8 or U16). */
  Expr decode(Scalar type, Expr codes) {
    Minifloat format = Minifloat.of(type.dtype());
    Expr c = binder.bind("code", new Expr.Cast(codes.type().withScalar(Scalar.I32), codes, false));
    if (type == Scalar.BF16) {
      return single(op(BinaryOp.SHL, c, 16));
    }
    if (format.special() == Minifloat.Special.SCALE) {
      Expr normal = select(is(CompareOp.EQ, c, 0), i(c, 0x00400000), op(BinaryOp.SHL, c, 23));
      return single(select(is(CompareOp.EQ, c, 0xFF), i(c, NAN), normal));
    }
    int m = format.mantissaBits();
    int width = format.exponentBits() + m;
    int signBit = 1 << width;
    Expr magnitude = binder.bind("mag", op(BinaryOp.AND, c, signBit - 1));
    Expr sign = op(BinaryOp.SHL, op(BinaryOp.AND, c, signBit), 31 - width);
    Expr normal =
        op(BinaryOp.ADD, op(BinaryOp.SHL, magnitude, 23 - m), (127 - format.bias()) << 23);
    // Below the normal numbers a code counts steps; the product of two normal floats is exact.
    Expr steps = new Expr.Cast(c.type().withScalar(Scalar.F32), magnitude, false);
    Expr subnormal =
        bits(op(BinaryOp.MUL, steps, f(steps, Math.scalb(1.0, 1 - format.bias() - m))));
    Expr value =
        op(BinaryOp.OR, select(is(CompareOp.LT, magnitude, 1 << m), subnormal, normal), sign);
    int top = ((1 << format.exponentBits()) - 1) << m;
    return single(
        switch (format.special()) {
          case IEEE -> {
            Expr infinite =
                select(is(CompareOp.EQ, magnitude, top), op(BinaryOp.OR, sign, INFINITY), value);
            yield select(is(CompareOp.GT, magnitude, top), i(c, NAN), infinite);
          }
          case FINITE_NAN -> select(is(CompareOp.EQ, magnitude, signBit - 1), i(c, NAN), value);
          case UNSIGNED_ZERO -> select(is(CompareOp.EQ, c, signBit), i(c, NAN), value);
          case FINITE, SCALE -> value;
        });
  }

  /** Codes (U8 or U16) nearest to F32 values, half to even. */
  Expr encode(Scalar type, Expr value) {
    Minifloat format = Minifloat.of(type.dtype());
    Expr b = binder.bind("bits", bits(value));
    Expr magnitude = binder.bind("mag", op(BinaryOp.AND, b, 0x7FFFFFFF));
    Expr code =
        format.special() == Minifloat.Special.SCALE ? scale(magnitude) : code(format, b, magnitude);
    return new Expr.Cast(
        b.type().withScalar(type.bytes() == 1 ? Scalar.U8 : Scalar.U16), code, false);
  }

  private static Expr scale(Expr magnitude) {
    Expr subnormal =
        select(is(CompareOp.GE, magnitude, 0x00600000), i(magnitude, 1), i(magnitude, 0));
    Expr normal = op(BinaryOp.SHR, op(BinaryOp.ADD, magnitude, 0x00400000), 23);
    Expr finite = select(is(CompareOp.LT, magnitude, 0x00800000), subnormal, normal);
    return select(is(CompareOp.GE, magnitude, INFINITY), i(magnitude, 0xFF), finite);
  }

  private Expr code(Minifloat format, Expr b, Expr magnitude) {
    int m = format.mantissaBits();
    int width = format.exponentBits() + m;
    int signBit = 1 << width;
    Expr sign = binder.bind("sign", op(BinaryOp.AND, op(BinaryOp.SHR, b, 31 - width), signBit));
    BinaryOperator<Expr> add = (x, y) -> op(BinaryOp.ADD, x, y);
    Expr odd = op(BinaryOp.AND, op(BinaryOp.SHR, magnitude, 23 - m), 1);
    Expr rounded = op(BinaryOp.ADD, add.apply(magnitude, odd), (1 << (22 - m)) - 1);
    Expr code = op(BinaryOp.SUB, op(BinaryOp.SHR, rounded, 23 - m), (127 - format.bias()) << m);
    if (format.bias() != 127) {
      // Adding a power of two whose last bit is the step of the subnormal codes rounds to them.
      double magic = Math.scalb(1.0, 23 + 1 - format.bias() - m);
      Expr sum = op(BinaryOp.ADD, single(magnitude), f(b, magic));
      Expr subnormal = op(BinaryOp.SUB, bits(sum), Float.floatToRawIntBits((float) magic));
      code = select(is(CompareOp.LT, magnitude, (128 - format.bias()) << 23), subnormal, code);
    }
    code = binder.bind("code", code);
    Expr nan = is(CompareOp.GT, magnitude, INFINITY);
    int top = ((1 << format.exponentBits()) - 1) << m;
    return switch (format.special()) {
      case IEEE -> {
        Expr finite = op(BinaryOp.MIN, code, top);
        yield op(BinaryOp.OR, select(nan, i(b, top | 1 << (m - 1)), finite), sign);
      }
      case FINITE_NAN -> {
        Expr finite = op(BinaryOp.MIN, code, signBit - 1);
        yield op(BinaryOp.OR, select(nan, i(b, signBit - 1), finite), sign);
      }
      case UNSIGNED_ZERO -> {
        Expr zero = select(is(CompareOp.EQ, code, 0), code, op(BinaryOp.OR, code, sign));
        Expr outside = new Expr.Binary(BinaryOp.OR, nan, is(CompareOp.GT, code, signBit - 1));
        yield select(outside, i(b, signBit), zero);
      }
      case FINITE ->
          select(nan, i(b, 0), op(BinaryOp.OR, op(BinaryOp.MIN, code, signBit - 1), sign));
      case SCALE -> throw new AssertionError();
    };
  }

  /**
   * An F32 that rounds to every float of 16 bits and fewer as the value (F64, an integer or bool)
   * does: truncated, with the last bit set if anything was lost.
   */
  Expr toSingle(Expr value) {
    Type type = value.type();
    Type f32 = type.withScalar(Scalar.F32);
    return switch (type.scalar()) {
      case BOOL, I8, U8, I16, U16, F32 -> new Expr.Cast(f32, value, false);
      case I32, U32 -> odd(new Expr.Cast(type.withScalar(Scalar.F64), value, false));
      case INDEX -> toSingle(new Expr.Cast(type.withScalar(Scalar.I64), value, false));
      case F64 -> odd(value);
      case I64, U64 -> {
        Expr x = binder.bind("wide", value);
        Expr lost = select(is(CompareOp.EQ, op(BinaryOp.AND, x, 0xFFF), 0), i(x, 0), i(x, 0x800));
        Expr sticky = op(BinaryOp.OR, op(BinaryOp.AND, x, -0x1000), lost);
        Expr large = is(CompareOp.GE, x, 1L << 53);
        if (type.scalar() == Scalar.I64) {
          large = new Expr.Binary(BinaryOp.OR, large, is(CompareOp.LE, x, -(1L << 53)));
        }
        yield odd(new Expr.Cast(type.withScalar(Scalar.F64), select(large, sticky, x), false));
      }
      default -> throw new IllegalStateException("conversion of " + type);
    };
  }

  private Expr odd(Expr value) {
    Expr x = binder.bind("wide", value);
    Expr nearest = binder.bind("near", new Expr.Cast(x.type().withScalar(Scalar.F32), x, false));
    Expr back = binder.bind("back", new Expr.Cast(x.type(), nearest, false));
    Expr away =
        new Expr.Compare(
            CompareOp.GT, new Expr.Unary(UnaryOp.ABS, back), new Expr.Unary(UnaryOp.ABS, x));
    Expr b = binder.bind("bits", bits(nearest));
    Expr truncated = select(away, op(BinaryOp.SUB, b, 1), b);
    Expr inexact = new Expr.Compare(CompareOp.NE, back, x);
    return single(select(inexact, op(BinaryOp.OR, truncated, 1), b));
  }
}
