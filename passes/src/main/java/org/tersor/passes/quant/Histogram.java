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
  private double averageMin;
  private double averageMax;
  private long additions;

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
    // The first tensor counts whole, later ones 1 percent.
    double part = additions == 0 ? 1 : 0.01;
    averageMin += part * (low - averageMin);
    averageMax += part * (high - averageMax);
    additions++;
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

  /**
   * Adds everything that another histogram has seen. The moving averages alone depend on the order
   * of the stream, so of them this gives a mean by number of tensors.
   */
  public void merge(Histogram other) {
    notFinite += other.notFinite;
    if (other.total == 0) {
      return;
    }
    double part = other.additions / (double) (additions + other.additions);
    averageMin += part * (other.averageMin - averageMin);
    averageMax += part * (other.averageMax - averageMax);
    additions += other.additions;
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

  /** Moving average of the least number of each tensor. */
  public double averageMin() {
    return averageMin;
  }

  /** Moving average of the largest number of each tensor. */
  public double averageMax() {
    return averageMax;
  }

  /** Width of a bin. */
  double width() {
    return Math.scalb(1.0, exponent);
  }

  /** The distribution of |x|: bins are anchored at zero, so none is divided. */
  Histogram magnitudes() {
    Histogram result = new Histogram();
    if (total == 0) {
      return result;
    }
    result.cover(
        min <= 0 && max >= 0 ? 0 : Math.min(Math.abs(min), Math.abs(max)),
        Math.max(Math.abs(min), Math.abs(max)));
    // Half the range might have finer bins, but what they would hold is not known.
    while (result.exponent < exponent) {
      result.coarsen();
    }
    for (int b = 0; b < counts.length; b++) {
      long bin = lowest + b;
      long at = (bin >= 0 ? bin : -bin - 1) - result.lowest;
      result.counts[Math.clamp(at, 0, result.counts.length - 1)] += counts[b];
    }
    result.total = total;
    return result;
  }

  private void coarsen() {
    long first = coarser(lowest, 1);
    long last = coarser(lowest + counts.length - 1, 1);
    counts = new long[(int) (last - first + 1)];
    lowest = first;
    exponent++;
  }

  /** Counts of bins from zero on, of a distribution without negative numbers. */
  long[] fromZero() {
    long[] all = new long[Math.toIntExact(Math.max(0, lowest)) + counts.length];
    System.arraycopy(counts, 0, all, all.length - counts.length, counts.length);
    return all;
  }

  /** Mean squared difference to what a function makes of the numbers, by the middle of bins. */
  public double squaredError(java.util.function.DoubleUnaryOperator function) {
    double sum = 0;
    double width = width();
    for (int b = 0; b < counts.length; b++) {
      if (counts[b] > 0) {
        double x = Math.max(min, Math.min(max, (lowest + b + 0.5) * width));
        double error = function.applyAsDouble(x) - x;
        sum += counts[b] * error * error;
      }
    }
    return sum / Math.max(1, total);
  }

  /** Share of the numbers outside of a range, by the middle of bins. */
  double outside(double low, double high) {
    long out = 0;
    double width = width();
    for (int b = 0; b < counts.length; b++) {
      double x = Math.max(min, Math.min(max, (lowest + b + 0.5) * width));
      out += x < low || x > high ? counts[b] : 0;
    }
    return out / (double) Math.max(1, total);
  }

  /** Text form, read by {@link #parse}: numbers without loss. */
  String text() {
    StringBuilder out = new StringBuilder();
    out.append(exponent).append(' ').append(lowest).append(' ').append(total);
    out.append(' ').append(notFinite).append(' ').append(min).append(' ').append(max);
    out.append(' ').append(averageMin).append(' ').append(averageMax).append(' ').append(additions);
    for (int b = 0; b < counts.length; b++) {
      if (counts[b] > 0) {
        out.append(' ').append(b).append(':').append(counts[b]);
      }
    }
    return out.append(' ').append(counts.length).toString();
  }

  /** Reads the text form; an IllegalArgumentException if it is none. */
  static Histogram parse(String text) {
    String[] words = text.strip().split(" ", -1);
    if (words.length < 10) {
      throw new IllegalArgumentException("a histogram has at least 10 numbers");
    }
    Histogram result = new Histogram();
    result.exponent = Integer.parseInt(words[0]);
    result.lowest = Long.parseLong(words[1]);
    result.total = Long.parseLong(words[2]);
    result.notFinite = Long.parseLong(words[3]);
    result.min = Double.parseDouble(words[4]);
    result.max = Double.parseDouble(words[5]);
    result.averageMin = Double.parseDouble(words[6]);
    result.averageMax = Double.parseDouble(words[7]);
    result.additions = Long.parseLong(words[8]);
    int bins = Integer.parseInt(words[words.length - 1]);
    if (bins < 0 || bins > BINS || result.exponent < FINEST || result.exponent > 1024) {
      throw new IllegalArgumentException("a histogram of " + bins + " bins");
    }
    result.counts = new long[bins];
    long sum = 0;
    for (int w = 9; w < words.length - 1; w++) {
      int colon = words[w].indexOf(':');
      int bin = Integer.parseInt(words[w].substring(0, Math.max(0, colon)));
      long count = Long.parseLong(words[w].substring(colon + 1));
      if (bin < 0 || bin >= bins || count <= 0 || result.counts[bin] != 0) {
        throw new IllegalArgumentException("bin " + words[w]);
      }
      result.counts[bin] = count;
      sum += count;
    }
    if (sum != result.total || (sum > 0 && !(result.min <= result.max))) {
      throw new IllegalArgumentException("counts do not make the total");
    }
    return result;
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
