package org.tersor.ir.ops;

/** Functions that java.lang.Math lacks, in double, for reference evaluation. */
final class RealMath {
  private RealMath() {}

  /**
   * Error function by its series with positive terms only: erf x = 2/sqrt(pi) e^(-x^2) sum 2^n
   * x^(2n+1) / (1 3 5 ... (2n+1)).
   */
  static double erf(double x) {
    double z = Math.abs(x);
    if (Double.isNaN(x) || z == 0) {
      return x;
    }
    if (z > 6) {
      return Math.signum(x);
    }
    double term = z;
    double sum = z;
    for (int n = 1; term > sum * 1e-17; n++) {
      term *= 2 * z * z / (2 * n + 1);
      sum += term;
    }
    return Math.copySign(Math.min(1, 2 / Math.sqrt(Math.PI) * Math.exp(-z * z) * sum), x);
  }

  static double asinh(double x) {
    double a = Math.abs(x);
    double value =
        a > 1e8 ? Math.log(a) + Math.log(2) : Math.log1p(a + a * a / (1 + Math.sqrt(1 + a * a)));
    return Math.copySign(value, x);
  }

  static double acosh(double x) {
    double t = x - 1;
    return x > 1e8 ? Math.log(x) + Math.log(2) : Math.log1p(t + Math.sqrt(2 * t + t * t));
  }

  static double atanh(double x) {
    return Math.copySign(0.5 * Math.log1p(2 * Math.abs(x) / (1 - Math.abs(x))), x);
  }

  /** As C pow: one to any power and anything to the power zero is one, also with NaN. */
  static double pow(double base, double exponent) {
    if (base == 1 || (base == -1 && Double.isInfinite(exponent))) {
      return 1;
    }
    return Math.pow(base, exponent);
  }

  /** Integer power modulo 2^64; of a negative exponent the truncated quotient. */
  static long pow(long base, long exponent) {
    if (exponent < 0) {
      return base == 1 ? 1 : base == -1 ? (exponent & 1) == 0 ? 1 : -1 : 0;
    }
    long result = 1;
    long square = base;
    for (long e = exponent; e != 0; e >>>= 1) {
      if ((e & 1) != 0) {
        result *= square;
      }
      square *= square;
    }
    return result;
  }
}
