package org.tersor.passes.quant;

import org.tersor.runtime.DType;

/** Scale and zero point: code = clip(rint(x / scale) + zeroPoint), in double and then float. */
public record Affine(DType codes, float scale, long zeroPoint) {

  /** For activations: the range is extended to contain zero, every code is used. */
  public static Affine asymmetric(DType codes, double min, double max) {
    double low = Math.min(min, 0);
    double high = Math.max(max, 0);
    double steps = (double) codes.maxValue() - codes.minValue();
    double scale = (high - low) / steps;
    if (!Double.isFinite(scale) || (float) scale < Float.MIN_NORMAL) {
      return new Affine(codes, 1, 0);
    }
    double zero = Math.rint(codes.minValue() - low / scale);
    return new Affine(codes, (float) scale, clamp(zero, codes.minValue(), codes.maxValue()));
  }

  /** For weights: zero point 0, codes -largest to largest (127 for s8: the restricted range). */
  public static Affine symmetric(DType codes, double magnitude) {
    double scale = magnitude / codes.maxValue();
    return !Double.isFinite(scale) || (float) scale < Float.MIN_NORMAL
        ? new Affine(codes, 1, 0)
        : new Affine(codes, (float) scale, 0);
  }

  /** Nearest code of a weight, within the restricted range. */
  public long restrictedCode(double x) {
    double code = Math.rint(x / scale);
    return clamp(code, -codes.maxValue(), codes.maxValue());
  }

  private static long clamp(double code, long low, long high) {
    return Math.max(low, Math.min(high, (long) code));
  }
}
