package org.tersor.ir.loop;

/**
 * Binary operations; both operands and the result have one type (bool for AND, OR, XOR on masks).
 */
public enum BinaryOp {
  /** Wraps on integers. */
  ADD(false),
  /** Wraps on integers. */
  SUB(false),
  /** Wraps on integers. */
  MUL(false),
  /**
   * IEEE on floats; integers truncate toward zero, x / 0 = 0 and the smallest integer / -1 wraps.
   */
  DIV(false),
  /**
   * Remainder of the truncating integer division (sign of the dividend); x % 0 = 0. Integers only.
   */
  REM(false),
  /**
   * Quotient rounded toward minus infinity, of INDEX; by a divisor that is not positive: 0 (a
   * schedule computes indices outside of the guards that keep such divisors away).
   */
  FLOORDIV(false),
  /** Remainder of FLOORDIV, never negative; of INDEX; by a divisor that is not positive: 0. */
  FLOORMOD(false),
  /** NaN if either is NaN; -0 is less than +0. */
  MIN(false),
  /** NaN if either is NaN; -0 is less than +0. */
  MAX(false),
  /** Bitwise; logical on bool. */
  AND(false),
  OR(false),
  XOR(false),
  /** The count is taken modulo the width. */
  SHL(false),
  /** Arithmetic on signed, logical on unsigned types; the count is taken modulo the width. */
  SHR(false),
  /** IEEE remainder as C fmod: sign of the dividend. Floats. */
  FMOD(true),
  POW(true),
  ATAN2(true);

  private final boolean transcendental;

  BinaryOp(boolean transcendental) {
    this.transcendental = transcendental;
  }

  public boolean isTranscendental() {
    return transcendental;
  }
}
