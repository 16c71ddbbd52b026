package org.tersor.ir.format;

/**
 * Evenly spaced values {@code (code - zero) * scale} for codes {@code least..largest}. Scales are
 * computed in double and rounded to float; rounding is half to even, as in ONNX.
 */
public record AffineGrid(float scale, int zero, int least, int largest) {

  /** Covers min..max, extended to contain zero; zero is a code. */
  public static AffineGrid affine(double min, double max, int least, int largest) {
    double low = Math.min(min, 0);
    double high = Math.max(max, 0);
    double scale = (high - low) / ((double) largest - least);
    if (isTooSmall(scale)) {
      return new AffineGrid(1, least <= 0 && largest >= 0 ? 0 : least, least, largest);
    }
    double zero = Math.rint(least - low / scale);
    return new AffineGrid((float) scale, (int) Math.clamp(zero, least, largest), least, largest);
  }

  /** Covers -magnitude..magnitude; the zero point is the middle of the codes. */
  public static AffineGrid symmetric(double magnitude, int least, int largest) {
    int zero = (int) Math.rint((least + largest) / 2.0);
    double scale = 2 * magnitude / ((double) largest - least);
    return new AffineGrid(isTooSmall(scale) ? 1 : (float) scale, zero, least, largest);
  }

  private static boolean isTooSmall(double scale) {
    return !Double.isFinite(scale) || (float) scale < Float.MIN_NORMAL;
  }

  /** The nearest code: {@code clip(rint(x / scale) + zero)}. */
  public long code(double x) {
    return (long) Math.clamp(Math.rint(x / scale) + zero, least, largest);
  }
}
