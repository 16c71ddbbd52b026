package org.tersor.passes.quant;

import java.util.Arrays;

/**
 * The search of TensorRT's entropy calibration: over magnitudes in 2,048 bins or more, every
 * threshold from {@code levels} bins on. The clipped tail counts to the last bin of the reference
 * distribution only; the coded distribution never sees it.
 */
final class EntropyThreshold {
  private EntropyThreshold() {}

  /**
   * The best threshold.
   *
   * @param magnitudes distribution of |x|
   * @param levels codes for magnitudes
   * @param cap largest share of numbers beyond a threshold
   */
  static double find(Histogram magnitudes, int levels, double cap) {
    long[] counts = magnitudes.fromZero();
    int bins = counts.length;
    double best = magnitudes.max();
    double least = Double.POSITIVE_INFINITY;
    long tail = 0;
    for (int end = bins; end >= Math.max(1, levels); end--) {
      if (end < bins) {
        tail += counts[end];
      }
      if (tail > cap * magnitudes.total()) {
        break;
      }
      double divergence = divergence(counts, end, tail, levels);
      if (divergence < least) {
        least = divergence;
        best = end == bins ? magnitudes.max() : end * magnitudes.width();
      }
    }
    return best;
  }

  /** KL(p || q), p the first bins with the tail in the last, q the same bins coded. */
  private static double divergence(long[] counts, int end, long tail, int levels) {
    double[] q = new double[end];
    for (int level = 0; level < levels; level++) {
      int from = (int) ((long) level * end / levels);
      int to = (int) ((long) (level + 1) * end / levels);
      double sum = 0;
      int filled = 0;
      for (int b = from; b < to; b++) {
        sum += counts[b];
        // A bin that only the tail fills exists in p, so it takes its share here.
        filled += counts[b] > 0 || (b == end - 1 && tail > 0) ? 1 : 0;
      }
      for (int b = from; b < to; b++) {
        if (counts[b] > 0 || (b == end - 1 && tail > 0)) {
          q[b] = sum / filled;
        }
      }
    }
    double total = tail;
    for (int b = 0; b < end; b++) {
      total += counts[b];
    }
    double coded = Arrays.stream(q).sum();
    double divergence = 0;
    for (int b = 0; b < end; b++) {
      double p = counts[b] + (b == end - 1 ? tail : 0);
      if (p > 0) {
        // Where codes give nothing, as little as can be told from nothing.
        double other = Math.max(q[b] / Math.max(1, coded), 1e-12);
        divergence += p / total * Math.log(p / total / other);
      }
    }
    return divergence;
  }
}
