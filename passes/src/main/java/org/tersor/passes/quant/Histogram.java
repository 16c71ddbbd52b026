package org.tersor.passes.quant;

import org.tersor.runtime.Tensor;

/**
 * Distribution of a stream of numbers in constant memory. Bins are half-open, of a power-of-two
 * width and anchored at zero, so that two bins of one width are exactly one bin of the next: the
 * result depends neither on the order nor on how the stream was divided, and merging is exact. The
 * width is the smallest at which the numbers seen fit into {@link #BINS} bins.
 */
public final class Histogram {
  static final int BINS = 8192;
  private static final int FINEST = -160;
  private static final long LARGEST = 100_000_000_000_000_000L;

  private long[] counts = new long[0];
  private int exponent = FINEST;
  private long lowest;
  private long total;
  private long notFinite;
  private double min = Double.POSITIVE_INFINITY;
  private double max = Double.NEGATIVE_INFINITY;

  /** Adds every element of a tensor. */
  public void add(Tensor tensor) {
    int size = tensor.size();
    double low = Double.POSITIVE_INFINITY;
    double high = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < size; i++) {
      double x = tensor.getDouble(i);
      if (Double.isFinite(x)) {
        low = Math.min(low, x);
        high = Math.max(high, x);
      } else {
        notFinite++;
      }
    }
    if (low > high) {
      return;
    }
    cover(low, high);
    double scale = Math.scalb(1.0, -exponent);
    for (int i = 0; i < size; i++) {
      double x = tensor.getDouble(i);
      if (Double.isFinite(x)) {
        counts[(int) ((long) Math.floor(x * scale) - lowest)]++;
        total++;
      }
    }
  }

  /** Adds everything that another histogram has seen. */
  public void merge(Histogram other) {
    notFinite += other.notFinite;
    if (other.total == 0) {
      return;
    }
    cover(other.min, other.max);
    for (int b = 0; b < other.counts.length; b++) {
      if (other.counts[b] > 0) {
        long index = coarser(other.lowest + b, exponent - other.exponent);
        counts[(int) (index - lowest)] += other.counts[b];
      }
    }
    total += other.total;
  }

  /** Widens range and bins so that both numbers have one; never narrows. */
  private void cover(double low, double high) {
    double newMin = Math.min(min, low);
    double newMax = Math.max(max, high);
    int needed = exponent;
    // Beyond the largest index two numbers of one sign would look equal.
    while (Math.max(Math.abs(index(newMax, needed)), Math.abs(index(newMin, needed))) >= LARGEST
        || index(newMax, needed) - index(newMin, needed) >= BINS) {
      needed++;
    }
    long first = index(newMin, needed);
    long last = index(newMax, needed);
    if (needed != exponent || first != lowest || last - first + 1 != counts.length) {
      long[] wider = new long[(int) (last - first + 1)];
      for (int b = 0; b < counts.length; b++) {
        if (counts[b] > 0) {
          wider[(int) (coarser(lowest + b, needed - exponent) - first)] += counts[b];
        }
      }
      counts = wider;
      exponent = needed;
      lowest = first;
    }
    min = newMin;
    max = newMax;
  }

  /** The bin that a bin falls into when bins are 2^steps times as wide. */
  private static long coarser(long bin, int steps) {
    return bin >> Math.min(steps, 63); // Java would take the distance modulo 64
  }

  /** Bin number; saturates far outside, where a wider bin is chosen anyway. */
  private static long index(double x, int exponent) {
    double scaled = Math.floor(exponent > -1000 ? x * Math.scalb(1.0, -exponent) : x);
    return (long) Math.max(-LARGEST, Math.min(LARGEST, scaled));
  }

  public long total() {
    return total;
  }

  /** How many infinities and NaNs were left out. */
  public long notFinite() {
    return notFinite;
  }

  /** Smallest number seen; 0 if none. */
  public double min() {
    return total == 0 ? 0 : min;
  }

  /** Largest number seen; 0 if none. */
  public double max() {
    return total == 0 ? 0 : max;
  }

  /**
   * The number below which a share {@code q} in 0..1 of the stream lies, by linear interpolation
   * inside a bin.
   */
  public double quantile(double q) {
    if (total == 0) {
      return 0;
    }
    double rank = q * total;
    double width = Math.scalb(1.0, exponent);
    long before = 0;
    for (int b = 0; b < counts.length; b++) {
      if (counts[b] > 0 && before + counts[b] >= rank) {
        double inside = (rank - before) / counts[b];
        return Math.max(min, Math.min(max, (lowest + b + inside) * width));
      }
      before += counts[b];
    }
    return max;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Histogram h
        && exponent == h.exponent
        && lowest == h.lowest
        && total == h.total
        && notFinite == h.notFinite
        && min() == h.min()
        && max() == h.max()
        && java.util.Arrays.equals(counts, h.counts);
  }

  @Override
  public int hashCode() {
    return Long.hashCode(total * 31 + java.util.Arrays.hashCode(counts));
  }
}
