package org.tersor.ir.loop;

/**
 * Unary operations, on floats unless stated. The primitive ones every backend implements; the
 * {@link #isTranscendental transcendental} ones are replaced by loop-IR text ({@code math.kern})
 * before a backend sees them, so every target computes the same bits.
 */
public enum UnaryOp {
  /** Negation; wraps on integers; flips the sign bit of floats. */
  NEG(false),
  /** Magnitude; of the smallest integer: itself. */
  ABS(false),
  /** Bitwise complement of integers, logical not of bool. */
  NOT(false),
  /** IEEE square root, correctly rounded. */
  SQRT(false),
  FLOOR(false),
  CEIL(false),
  TRUNC(false),
  /** To the nearest integer, half to even. */
  RINT(false),
  /** Number of one bits of an integer. */
  POPCOUNT(false),
  EXP(true),
  EXPM1(true),
  LOG(true),
  LOG1P(true),
  TANH(true),
  SIGMOID(true),
  ERF(true),
  SIN(true),
  COS(true),
  TAN(true),
  ASIN(true),
  ACOS(true),
  ATAN(true),
  SINH(true),
  COSH(true),
  ASINH(true),
  ACOSH(true),
  ATANH(true);

  private final boolean transcendental;

  UnaryOp(boolean transcendental) {
    this.transcendental = transcendental;
  }

  public boolean isTranscendental() {
    return transcendental;
  }
}
