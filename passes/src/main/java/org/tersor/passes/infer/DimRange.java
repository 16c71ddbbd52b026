package org.tersor.passes.infer;

import java.util.function.LongBinaryOperator;
import org.tersor.runtime.DimExpr;

/**
 * Bounds of a dimension for symbols of at least one; {@link #FAR} stands for no bound. Every value
 * lies within, not every number within is a value.
 */
record DimRange(long least, long most) {
  /** Beyond any dimension; sums and products stop here. */
  static final long FAR = 1L << 60;

  private static final DimRange UNKNOWN = new DimRange(-FAR, FAR);

  DimRange {
    least = Math.max(-FAR, Math.min(FAR, least));
    most = Math.max(-FAR, Math.min(FAR, most));
  }

  static DimRange of(DimExpr dim) {
    return dim.fold(
        new DimExpr.Algebra<DimRange>() {
          @Override
          public DimRange constant(long value) {
            return new DimRange(value, value);
          }

          @Override
          public DimRange symbol(String name) {
            return new DimRange(1, FAR);
          }

          @Override
          public DimRange add(DimRange a, DimRange b) {
            return new DimRange(a.least + b.least, a.most + b.most);
          }

          @Override
          public DimRange multiply(DimRange a, DimRange b) {
            return hull(
                product(a.least, b.least),
                product(a.least, b.most),
                product(a.most, b.least),
                product(a.most, b.most));
          }

          @Override
          public DimRange opaque(DimExpr.Kind kind, DimRange a, DimRange b) {
            return a.combine(kind, b);
          }
        });
  }

  boolean contains(long value) {
    return least <= value && value <= most;
  }

  private DimRange combine(DimExpr.Kind kind, DimRange by) {
    return switch (kind) {
      case MIN -> new DimRange(Math.min(least, by.least), Math.min(most, by.most));
      case MAX -> new DimRange(Math.max(least, by.least), Math.max(most, by.most));
      case FLOORDIV -> by.least < 1 ? UNKNOWN : quotients(by, Math::floorDiv);
      case CEILDIV -> by.least < 1 ? UNKNOWN : quotients(by, Math::ceilDiv);
      case MOD -> by.least < 1 ? UNKNOWN : new DimRange(0, by.most - 1);
    };
  }

  private DimRange quotients(DimRange by, LongBinaryOperator divide) {
    return hull(
        quotient(least, by.least, divide),
        quotient(least, by.most, divide),
        quotient(most, by.least, divide),
        quotient(most, by.most, divide));
  }

  /** What is infinite stays so, divided by anything. */
  private static long quotient(long a, long b, LongBinaryOperator divide) {
    return Math.abs(a) == FAR ? a : divide.applyAsLong(a, b);
  }

  private static long product(long a, long b) {
    long high = Math.multiplyHigh(a, b);
    long low = a * b;
    boolean fits = (high == 0 && low >= 0) || (high == -1 && low < 0);
    return fits ? low : (a < 0) == (b < 0) ? FAR : -FAR;
  }

  private static DimRange hull(long a, long b, long c, long d) {
    return new DimRange(
        Math.min(Math.min(a, b), Math.min(c, d)), Math.max(Math.max(a, b), Math.max(c, d)));
  }
}
