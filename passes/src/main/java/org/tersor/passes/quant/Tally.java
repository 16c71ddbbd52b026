package org.tersor.passes.quant;

import java.util.Arrays;
import org.tersor.runtime.Tensor;

/**
 * Distribution of a value: its range in a first pass over tensors, then its bars in a second one.
 * Infinities and NaNs are left out.
 */
final class Tally {
  /** Dimension that holds channels; beyond the rank: none. */
  private final int axis;

  private double low = Double.POSITIVE_INFINITY;
  private double high = Double.NEGATIVE_INFINITY;
  private double[] largest = new double[0];
  private final long[] counts = new long[Diagnosis.Bars.STEPS];
  private long total;

  Tally(int axis) {
    this.axis = axis;
  }

  /** First pass. */
  void range(Tensor tensor) {
    long[] shape = tensor.shape();
    int channels = axis < shape.length ? Math.toIntExact(shape[axis]) : 1;
    int inner = 1;
    for (int d = shape.length - 1; d > axis; d--) {
      inner = Math.toIntExact(inner * shape[d]);
    }
    if (largest.length < channels) {
      largest = Arrays.copyOf(largest, channels);
    }
    for (int i = 0; i < tensor.size(); i++) {
      double x = tensor.getDouble(i);
      if (Double.isFinite(x)) {
        low = Math.min(low, x);
        high = Math.max(high, x);
        int channel = channels == 1 ? 0 : i / inner % channels;
        largest[channel] = Math.max(largest[channel], Math.abs(x));
      }
    }
  }

  /** Second pass. */
  void count(Tensor tensor) {
    for (int i = 0; i < tensor.size(); i++) {
      double x = tensor.getDouble(i);
      if (Double.isFinite(x)) {
        counts[bar(x)]++;
        total++;
      }
    }
  }

  private int bar(double x) {
    return high > low
        ? (int) Math.min(counts.length - 1L, (long) ((x - low) / (high - low) * counts.length))
        : 0;
  }

  Diagnosis.Bars bars() {
    return Diagnosis.Bars.of(low, high, counts);
  }

  double largest() {
    return Math.max(Math.abs(low), Math.abs(high));
  }

  /** Largest magnitude of a channel over that of the median channel that is not all zero. */
  double dominance() {
    double[] sorted = Arrays.stream(largest).filter(x -> x > 0).sorted().toArray();
    return sorted.length < 4 ? 1 : sorted[sorted.length - 1] / sorted[sorted.length / 2];
  }

  /** The channel of the largest magnitude. */
  int dominant() {
    int best = 0;
    for (int c = 1; c < largest.length; c++) {
      best = largest[c] > largest[best] ? c : best;
    }
    return best;
  }

  /** Share of the numbers in bars wholly outside of an interval. */
  double outside(Diagnosis.Range range) {
    double step = (high - low) / counts.length;
    long out = 0;
    for (int b = 0; b < counts.length; b++) {
      if (low + (b + 1) * step < range.low() || low + b * step > range.high()) {
        out += counts[b];
      }
    }
    return total == 0 ? 0 : (double) out / total;
  }

  /** Share of the whole range that the middle 99.9 % of the numbers take. */
  double bulk() {
    long cut = total / 2000;
    int first = 0;
    int last = counts.length - 1;
    for (long left = counts[first]; left <= cut && first < last; left += counts[first]) {
      first++;
    }
    for (long left = counts[last]; left <= cut && last > first; left += counts[last]) {
      last--;
    }
    return (last - first + 1.0) / counts.length;
  }
}
