package org.tersor.runtime;

/**
 * Scalar operations of generated kernels that Java has no instruction for. Integer division by zero
 * gives 0, the smallest integer divided by -1 wraps; conversions to integers saturate and map NaN
 * to 0.
 */
public final class KernelMath {
  private KernelMath() {}

  /** Toward minus infinity; 0 by a divisor that is not positive. */
  public static int floorDiv(int a, int b) {
    return b <= 0 ? 0 : Math.floorDiv(a, b);
  }

  /** Remainder of {@link #floorDiv}. */
  public static int floorMod(int a, int b) {
    return b <= 0 ? 0 : Math.floorMod(a, b);
  }

  public static int div(int a, int b) {
    return b == 0 ? 0 : a / b;
  }

  public static long div(long a, long b) {
    return b == 0 ? 0 : a / b;
  }

  public static int rem(int a, int b) {
    return b == 0 ? 0 : a % b;
  }

  public static long rem(long a, long b) {
    return b == 0 ? 0 : a % b;
  }

  public static int divUnsigned(int a, int b) {
    return b == 0 ? 0 : Integer.divideUnsigned(a, b);
  }

  public static long divUnsigned(long a, long b) {
    return b == 0 ? 0 : Long.divideUnsigned(a, b);
  }

  public static int remUnsigned(int a, int b) {
    return b == 0 ? 0 : Integer.remainderUnsigned(a, b);
  }

  public static long remUnsigned(long a, long b) {
    return b == 0 ? 0 : Long.remainderUnsigned(a, b);
  }

  public static int minUnsigned(int a, int b) {
    return Integer.compareUnsigned(a, b) <= 0 ? a : b;
  }

  public static long minUnsigned(long a, long b) {
    return Long.compareUnsigned(a, b) <= 0 ? a : b;
  }

  public static int maxUnsigned(int a, int b) {
    return Integer.compareUnsigned(a, b) >= 0 ? a : b;
  }

  public static long maxUnsigned(long a, long b) {
    return Long.compareUnsigned(a, b) >= 0 ? a : b;
  }

  public static float floor(float a) {
    return (float) Math.floor(a);
  }

  public static double floor(double a) {
    return Math.floor(a);
  }

  public static float ceil(float a) {
    return (float) Math.ceil(a);
  }

  public static double ceil(double a) {
    return Math.ceil(a);
  }

  public static float trunc(float a) {
    return (float) (a < 0 ? Math.ceil(a) : Math.floor(a));
  }

  public static double trunc(double a) {
    return a < 0 ? Math.ceil(a) : Math.floor(a);
  }

  public static float rint(float a) {
    return (float) Math.rint(a);
  }

  public static double rint(double a) {
    return Math.rint(a);
  }

  public static float sqrt(float a) {
    return (float) Math.sqrt(a);
  }

  public static double sqrt(double a) {
    return Math.sqrt(a);
  }

  /** Into [low, high]. */
  public static int clamp(int a, int low, int high) {
    return Math.max(low, Math.min(a, high));
  }

  public static int toUnsignedInt(float a) {
    return (int) Math.max(0L, Math.min((long) a, 0xFFFF_FFFFL));
  }

  public static int toUnsignedInt(double a) {
    return (int) Math.max(0L, Math.min((long) a, 0xFFFF_FFFFL));
  }

  public static long toUnsignedLong(float a) {
    return toUnsignedLong((double) a);
  }

  public static long toUnsignedLong(double a) {
    if (!(a > 0)) {
      return 0;
    }
    if (a < 0x1p63) {
      return (long) a;
    }
    return a < 0x1p64 ? (long) (a - 0x1p63) ^ Long.MIN_VALUE : -1L;
  }

  /** An unsigned long as the nearest float: the lowest bit of the halved number is sticky. */
  public static float unsignedToFloat(long a) {
    return a >= 0 ? (float) a : (float) ((a >>> 1) | (a & 1)) * 2;
  }

  /** An unsigned long as the nearest double. */
  public static double unsignedToDouble(long a) {
    return a >= 0 ? (double) a : (double) ((a >>> 1) | (a & 1)) * 2;
  }

  /**
   * A double that rounds to any type of at most 50 bits as the integer does: bits that do not fit
   * are or-ed into the last one.
   */
  public static double sticky(long value, boolean unsigned) {
    boolean negative = !unsigned && value < 0;
    long magnitude = negative ? -value : value;
    if (magnitude >>> 53 != 0) {
      magnitude = (magnitude & -0x1000L) | ((magnitude & 0xFFF) != 0 ? 0x800 : 0);
    }
    double result = unsignedToDouble(magnitude);
    return negative ? -result : result;
  }

  /** {@code acc + sum(i < 4) u8(a >> 8i) * s8(b >> 8i)}. */
  public static int dot4(int acc, int a, int b) {
    return acc
        + (a & 0xFF) * (byte) b
        + (a >> 8 & 0xFF) * (byte) (b >> 8)
        + (a >> 16 & 0xFF) * (byte) (b >> 16)
        + (a >>> 24) * (b >> 24);
  }

  /** Value of a code of a small float type, by the name of its {@link DType}. Slow. */
  public static float decodeFloat(int code, String dtype) {
    return Minifloat.of(DType.valueOf(dtype)).decode(code);
  }

  /**
   * Code of a small float type nearest to {@code value}, half to even; out of range infinity or
   * NaN. Slow.
   */
  public static int encode(double value, String dtype) {
    return Minifloat.of(DType.valueOf(dtype)).encode(value, false);
  }
}
