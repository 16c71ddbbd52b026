package org.tersor.plugins.x86;

import org.tersor.ir.loop.CompareOp;

/** Condition codes of jumps, and numbers of comparisons of vectors. Source: Intel SDM. */
final class Condition {
  static final int BELOW = 2;
  static final int NOT_BELOW = 3;
  static final int ZERO = 4;
  static final int NOT_ZERO = 5;
  static final int NOT_ABOVE = 6;
  static final int ABOVE = 7;
  static final int NEGATIVE = 8;
  static final int LESS = 12;
  static final int NOT_LESS = 13;
  static final int NOT_GREATER = 14;
  static final int GREATER = 15;

  private Condition() {}

  static int of(CompareOp op, boolean signed) {
    return switch (op) {
      case EQ -> ZERO;
      case NE -> NOT_ZERO;
      case LT -> signed ? LESS : BELOW;
      case LE -> signed ? NOT_GREATER : NOT_ABOVE;
      case GT -> signed ? GREATER : ABOVE;
      case GE -> signed ? NOT_LESS : NOT_BELOW;
    };
  }

  static int not(int condition) {
    return condition ^ 1;
  }

  /** The immediate of vcmpps: ordered and quiet, but for NE unordered. */
  static int ofFloats(CompareOp op) {
    return switch (op) {
      case EQ -> 0;
      case NE -> 4;
      case LT -> 0x11;
      case LE -> 0x12;
      case GT -> 0x1e;
      case GE -> 0x1d;
    };
  }

  /** The immediate of vpcmpd. */
  static int ofIntegers(CompareOp op) {
    return switch (op) {
      case EQ -> 0;
      case NE -> 4;
      case LT -> 1;
      case LE -> 2;
      case GT -> 6;
      case GE -> 5;
    };
  }

  /** The immediate of vcmpps that tells NaN. */
  static final int UNORDERED = 3;

  static final int ORDERED = 7;
}
