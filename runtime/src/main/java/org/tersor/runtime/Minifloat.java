package org.tersor.runtime;

/**
 * Conversion between float32 and the floating-point types of 16 bits and fewer. Rounding is half to
 * even. Sources: IEEE 754 (binary16), OCP 8-bit Floating Point (E4M3, E5M2), OCP Microscaling
 * (E8M0, E2M1), ONNX "Float stored in 8 bits" (FNUZ).
 *
 * @param exponentBits bits of the exponent
 * @param mantissaBits bits of the mantissa
 * @param bias exponent bias
 * @param special how the largest codes are read
 */
public record Minifloat(int exponentBits, int mantissaBits, int bias, Special special) {

  /** Meaning of the largest codes. */
  public enum Special {
    /** IEEE: exponent all ones is infinity or NaN. */
    IEEE,
    /** FN: no infinity; all ones is NaN. */
    FINITE_NAN,
    /** FNUZ: no infinity, no negative zero; the code of negative zero is NaN. */
    UNSIGNED_ZERO,
    /** Every code is a finite number (E2M1). */
    FINITE,
    /** E8M0: no sign, no mantissa, no zero; 0xFF is NaN. */
    SCALE
  }

  /** The description of {@code type}. */
  public static Minifloat of(DType type) {
    return switch (type) {
      case F16 -> new Minifloat(5, 10, 15, Special.IEEE);
      case BF16 -> new Minifloat(8, 7, 127, Special.IEEE);
      case F8E4M3FN -> new Minifloat(4, 3, 7, Special.FINITE_NAN);
      case F8E4M3FNUZ -> new Minifloat(4, 3, 8, Special.UNSIGNED_ZERO);
      case F8E5M2 -> new Minifloat(5, 2, 15, Special.IEEE);
      case F8E5M2FNUZ -> new Minifloat(5, 2, 16, Special.UNSIGNED_ZERO);
      case F8E8M0 -> new Minifloat(8, 0, 127, Special.SCALE);
      case F4E2M1 -> new Minifloat(2, 1, 1, Special.FINITE);
      default -> throw new IllegalArgumentException(type.text() + " is not a small float type");
    };
  }

  /** Bits of a code. */
  public int bits() {
    return (special == Special.SCALE ? 0 : 1) + exponentBits + mantissaBits;
  }

  /** Largest finite magnitude. */
  public double max() {
    int exponent = (1 << exponentBits) - 1 - bias;
    double topMantissa = 2 - Math.scalb(1.0, -mantissaBits);
    return switch (special) {
      case IEEE -> Math.scalb(topMantissa, exponent - 1);
      case FINITE_NAN -> Math.scalb(2 - Math.scalb(2.0, -mantissaBits), exponent);
      case UNSIGNED_ZERO, FINITE -> Math.scalb(topMantissa, exponent);
      case SCALE -> Math.scalb(1.0, exponent - 1);
    };
  }

  /** Value of a code; exact in float32. */
  public float decode(int code) {
    if (special == Special.SCALE) {
      return (code & 0xFF) == 0xFF ? Float.NaN : (float) Math.scalb(1.0, (code & 0xFF) - bias);
    }
    int sign = code >> (exponentBits + mantissaBits) & 1;
    int exponent = code >> mantissaBits & ((1 << exponentBits) - 1);
    int mantissa = code & ((1 << mantissaBits) - 1);
    int topExponent = (1 << exponentBits) - 1;
    if (special == Special.IEEE && exponent == topExponent) {
      return mantissa != 0
          ? Float.NaN
          : sign == 1 ? Float.NEGATIVE_INFINITY : Float.POSITIVE_INFINITY;
    }
    if (special == Special.FINITE_NAN
        && exponent == topExponent
        && mantissa == (1 << mantissaBits) - 1) {
      return Float.NaN;
    }
    if (special == Special.UNSIGNED_ZERO && sign == 1 && exponent == 0 && mantissa == 0) {
      return Float.NaN;
    }
    double magnitude =
        exponent == 0
            ? Math.scalb((double) mantissa, 1 - bias - mantissaBits)
            : Math.scalb((double) mantissa + (1 << mantissaBits), exponent - bias - mantissaBits);
    return (float) (sign == 1 ? -magnitude : magnitude);
  }

  /**
   * Code nearest to {@code value}, half to even.
   *
   * @param saturate out of range (and infinity) gives the largest finite value; otherwise infinity,
   *     or NaN where the type has none
   */
  public int encode(double value, boolean saturate) {
    if (special == Special.SCALE) {
      return encodeScale(value, saturate);
    }
    int signBit = 1 << (exponentBits + mantissaBits);
    boolean negative = Double.doubleToRawLongBits(value) < 0;
    int sign = negative ? signBit : 0;
    if (Double.isNaN(value)) {
      return switch (special) {
        case IEEE -> sign | (((1 << exponentBits) - 1) << mantissaBits) | 1 << (mantissaBits - 1);
        case FINITE_NAN -> sign | (signBit - 1);
        case UNSIGNED_ZERO -> signBit;
        case FINITE, SCALE -> 0;
      };
    }
    double magnitude = Math.abs(value);
    int exponent = Math.max(Math.getExponent(magnitude), 1 - bias);
    double step = Math.scalb(1.0, exponent - mantissaBits);
    double rounded =
        magnitude == Double.POSITIVE_INFINITY ? magnitude : Math.rint(magnitude / step) * step;
    if (rounded > max()) {
      if (saturate || special == Special.FINITE) {
        rounded = max();
      } else {
        return switch (special) {
          case IEEE -> sign | ((1 << exponentBits) - 1) << mantissaBits;
          case FINITE_NAN -> sign | (signBit - 1);
          case UNSIGNED_ZERO -> signBit;
          case FINITE, SCALE -> throw new AssertionError();
        };
      }
    }
    if (rounded == 0) {
      return special == Special.UNSIGNED_ZERO ? 0 : sign;
    }
    int e = Math.getExponent(rounded);
    if (e < 1 - bias) {
      return sign | (int) Math.scalb(rounded, mantissaBits + bias - 1);
    }
    int mantissa = (int) (Math.scalb(rounded, mantissaBits - e)) - (1 << mantissaBits);
    return sign | (e + bias) << mantissaBits | mantissa;
  }

  private int encodeScale(double value, boolean saturate) {
    if (Double.isNaN(value)) {
      return 0xFF;
    }
    double magnitude = Math.abs(value);
    if (magnitude == Double.POSITIVE_INFINITY) {
      return saturate ? 0xFE : 0xFF;
    }
    if (magnitude < Math.scalb(1.0, -bias)) {
      return 0;
    }
    int exponent = Math.getExponent(magnitude);
    double fraction = Math.scalb(magnitude, -exponent);
    int code = exponent + bias + (fraction >= 1.5 ? 1 : 0);
    return code > 0xFE ? (saturate ? 0xFE : 0xFF) : code;
  }
}
