package org.tersor.ir.loop;

import java.util.Optional;

/**
 * Unary operations, on floats unless stated. The primitive ones every backend implements; the
 * {@link #isTranscendental transcendental} ones are replaced by loop-IR text ({@code math.kern})
 * before a backend sees them, so every target computes the same bits.
 */
public enum UnaryOp {
  /** Negation; wraps on integers; flips the sign bit of floats. */
  NEG(Primitive.NEG),
  /** Magnitude; of the smallest integer: itself. */
  ABS(Primitive.ABS),
  /** Bitwise complement of integers, logical not of bool. */
  NOT(Primitive.NOT),
  /** IEEE square root, correctly rounded. */
  SQRT(Primitive.SQRT),
  FLOOR(Primitive.FLOOR),
  CEIL(Primitive.CEIL),
  TRUNC(Primitive.TRUNC),
  /** To the nearest integer, half to even. */
  RINT(Primitive.RINT),
  /** Number of one bits of an integer. */
  POPCOUNT(Primitive.POPCOUNT),
  EXP,
  EXPM1,
  LOG,
  LOG1P,
  TANH,
  SIGMOID,
  ERF,
  SIN,
  COS,
  TAN,
  ASIN,
  ACOS,
  ATAN,
  SINH,
  COSH,
  ASINH,
  ACOSH,
  ATANH;

  /** The operations that every backend implements. */
  public enum Primitive {
    NEG,
    ABS,
    NOT,
    SQRT,
    FLOOR,
    CEIL,
    TRUNC,
    RINT,
    POPCOUNT
  }

  private final Optional<Primitive> primitive;

  UnaryOp() {
    this.primitive = Optional.empty();
  }

  UnaryOp(Primitive primitive) {
    this.primitive = Optional.of(primitive);
  }

  /** The same operation among the primitive ones; empty for a transcendental one. */
  public Optional<Primitive> primitive() {
    return primitive;
  }

  public boolean isTranscendental() {
    return primitive.isEmpty();
  }
}
