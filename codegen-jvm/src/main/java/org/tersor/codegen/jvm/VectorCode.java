package org.tersor.codegen.jvm;

import java.util.Optional;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;

/** Operations on vectors on the Java stack, of elements of a type and a number of lanes. */
final class VectorCode {
  private final Code code;

  VectorCode(Code code) {
    this.code = code;
  }

  /** A lanewise operator of the Vector API. */
  record Operator(String name, boolean associative) {}

  /** The operator that does it for every lane, if there is one. */
  static Optional<Operator> operator(BinaryOp op, Scalar type) {
    return switch (op) {
      case ADD -> of("ADD", true);
      case SUB -> of("SUB", false);
      case MUL -> of("MUL", true);
      case DIV -> type.isFloat() ? of("DIV", false) : Optional.empty();
      case MIN -> of(type.isUnsigned() ? "UMIN" : "MIN", true);
      case MAX -> of(type.isUnsigned() ? "UMAX" : "MAX", true);
      case AND -> of("AND", true);
      case OR -> of("OR", true);
      case XOR -> of("XOR", true);
      case SHL -> of("LSHL", false);
      case SHR -> of(type.isUnsigned() ? "LSHR" : "ASHR", false);
      case REM, FLOORDIV, FLOORMOD, FMOD -> Optional.empty();
      case POW, ATAN2 -> throw ScalarCode.notLegal(op);
    };
  }

  private static Optional<Operator> of(String name, boolean associative) {
    return Optional.of(new Operator(name, associative));
  }

  static String comparison(CompareOp op, Scalar type) {
    return switch (op) {
      case EQ, NE -> op.name();
      case LT, LE, GT, GE -> type.isUnsigned() ? "U" + op.name() : op.name();
    };
  }

  /** {@code v -> op v}. */
  void unary(UnaryOp op, Scalar type, int lanes) {
    Kind kind = Kind.of(type);
    switch (ScalarCode.primitive(op)) {
      case NEG -> code.lanewiseUnary(kind, "NEG");
      case ABS -> {
        if (!type.isUnsigned()) {
          code.lanewiseUnary(kind, "ABS");
        }
      }
      case NOT -> code.lanewiseUnary(kind, "NOT");
      case SQRT -> code.lanewiseUnary(kind, "SQRT");
      case POPCOUNT -> code.lanewiseUnary(kind, "BIT_COUNT");
      case FLOOR, CEIL, TRUNC, RINT -> round(op, kind, lanes);
    }
  }

  /**
   * Rounds to an integral value. Below 2^23 (2^52) in magnitude through the integers, or for RINT
   * by adding and subtracting that number; the sign bit of the argument is set in the result, so
   * that zeros keep it. Above, and for NaN, the argument itself.
   */
  private void round(UnaryOp op, Kind kind, int lanes) {
    int mark = code.mark();
    int x = code.newLocal(1);
    int rounded = code.newLocal(1);
    long limit = kind == Kind.FLOAT ? 1L << 23 : 1L << 52;
    code.var(Opcodes.ASTORE, x);
    if (op == UnaryOp.RINT) {
      code.var(Opcodes.ALOAD, x);
      code.lanewiseUnary(kind, "ABS");
      code.lanewiseScalar(kind, "ADD", limit, true);
      code.lanewiseScalar(kind, "SUB", limit, false);
    } else {
      code.var(Opcodes.ALOAD, x);
      code.convert(kind == Kind.FLOAT ? "F2I" : "D2L", kind.integer(), lanes);
      code.convert(kind == Kind.FLOAT ? "I2F" : "L2D", kind, lanes);
    }
    code.var(Opcodes.ASTORE, rounded);
    if (op == UnaryOp.FLOOR || op == UnaryOp.CEIL) {
      boolean floor = op == UnaryOp.FLOOR;
      code.var(Opcodes.ALOAD, rounded);
      code.var(Opcodes.ALOAD, rounded);
      code.lanewiseScalar(kind, floor ? "SUB" : "ADD", 1, !floor);
      code.var(Opcodes.ALOAD, rounded);
      code.var(Opcodes.ALOAD, x);
      code.compare(kind, floor ? "GT" : "LT");
      code.blend(kind);
      code.var(Opcodes.ASTORE, rounded);
    }
    code.var(Opcodes.ALOAD, x);
    Kind bits = kind.integer();
    code.var(Opcodes.ALOAD, rounded);
    code.reinterpret(kind, bits);
    code.var(Opcodes.ALOAD, x);
    code.reinterpret(kind, bits);
    code.lanewiseScalar(bits, "AND", kind == Kind.FLOAT ? Integer.MIN_VALUE : Long.MIN_VALUE, true);
    code.lanewise(bits, "OR", true);
    code.reinterpret(bits, kind);
    code.var(Opcodes.ALOAD, x);
    code.lanewiseUnary(kind, "ABS");
    code.compareScalar(kind, "LT", limit);
    code.blend(kind);
    code.release(mark);
  }

  /** Whether {@link #cast} can; else the cast goes lane by lane. */
  static boolean canCast(Scalar from, Scalar to) {
    if (from.isSmallFloat() || to.isSmallFloat()) {
      return from == to;
    }
    return !((from == Scalar.U64 && to.isFloat()) || (from.isFloat() && to == Scalar.U64));
  }

  /** Bytes of the largest element while it converts. */
  static int castBytes(Scalar from, Scalar to) {
    boolean wide = (from == Scalar.U32 && to.isFloat()) || (from.isFloat() && to == Scalar.U32);
    boolean throughFloat =
        (from.isSmallFloat() && to == Scalar.BOOL) || (from == Scalar.BOOL && to.isSmallFloat());
    return Math.max(
        wide ? 8 : throughFloat ? 4 : 1, Math.max(Kind.of(from).bytes, Kind.of(to).bytes));
  }

  /** {@code v -> v converted}; neither type is BOOL. */
  void cast(Scalar from, Scalar to, int lanes, boolean inRange) {
    Kind a = Kind.of(from);
    Kind b = Kind.of(to);
    if (from.isFloat() && to.isFloat()) {
      convert(a, b, lanes);
    } else if (from.isFloat()) {
      fromFloat(a, to, lanes, inRange);
    } else if (to.isFloat()) {
      if (from == Scalar.U32) {
        code.convert("ZERO_EXTEND_I2L", Kind.LONG, lanes);
        a = Kind.LONG;
      } else if (from.isUnsigned()) {
        code.convert("ZERO_EXTEND_" + letter(a) + "2I", Kind.INT, lanes);
        a = Kind.INT;
      }
      convert(a, b, lanes);
    } else if (from.isUnsigned() && b.bytes > a.bytes) {
      code.convert("ZERO_EXTEND_" + letter(a) + "2" + letter(b), b, lanes);
    } else {
      convert(a, b, lanes);
    }
  }

  /** {@code x -> x held between the bounds and converted}. */
  void cast(ClampedCast cast, Scalar to, int lanes) {
    bound(BinaryOp.MAX, Kind.FLOAT, (double) cast.low(), lanes);
    bound(BinaryOp.MIN, Kind.FLOAT, (double) cast.high(), lanes);
    if (cast.rounds()) {
      code.lanewiseScalar(Kind.FLOAT, "ADD", ClampedCast.ROUNDER, true);
      code.reinterpret(Kind.FLOAT, Kind.INT);
      convert(Kind.INT, Kind.of(to), lanes);
    } else {
      fromFloat(Kind.FLOAT, to, lanes, true);
    }
  }

  /**
   * {@code v -> min or max of v and a number}, by a comparison: MIN and MAX of floats take about
   * six instructions, which tell zeros and NaN apart. A NaN is beyond nothing and stays, and of the
   * two zeros a comparison that holds for equals takes the bound.
   */
  void bound(BinaryOp op, Kind kind, double bound, int lanes) {
    boolean max = op == BinaryOp.MAX;
    boolean zero = bound == 0 && (1 / bound > 0) == max;
    String beyond = max ? zero ? "LE" : "LT" : zero ? "GE" : "GT";
    int mark = code.mark();
    int v = code.newLocal(1);
    int limit = code.newLocal(1);
    code.var(Opcodes.ASTORE, v);
    code.broadcastFloat(kind, lanes, bound);
    code.var(Opcodes.ASTORE, limit);
    code.var(Opcodes.ALOAD, v);
    code.var(Opcodes.ALOAD, limit);
    code.var(Opcodes.ALOAD, v);
    code.var(Opcodes.ALOAD, limit);
    code.compare(kind, beyond);
    code.blend(kind);
    code.release(mark);
  }

  private void fromFloat(Kind a, Scalar to, int lanes, boolean inRange) {
    Kind b = Kind.of(to);
    boolean small = b.bytes < 4;
    Kind through = to == Scalar.U32 || b == Kind.LONG ? Kind.LONG : Kind.INT;
    convert(a, through, lanes);
    if (!inRange && (small || to == Scalar.U32)) {
      code.lanewiseScalar(through, "MAX", to.dtype().minValue(), true);
      code.lanewiseScalar(through, "MIN", to.dtype().maxValue(), true);
    }
    convert(through, b, lanes);
  }

  private void convert(Kind from, Kind to, int lanes) {
    if (from != to) {
      code.convert(letter(from) + "2" + letter(to), to, lanes);
    }
  }

  private static String letter(Kind kind) {
    return kind == Kind.LONG ? "L" : String.valueOf(kind.letter);
  }
}
