package org.tersor.cli;

import java.util.Arrays;
import java.util.Random;

/**
 * How much worse a model is than another on the same samples, with the uncertainty of the samples:
 * of means the paired bootstrap, of right and wrong answers the bound that belongs to McNemar's
 * test. A drop is accepted if even its upper bound of 95 % is within the allowance, so that a lucky
 * sample cannot pass.
 *
 * @param value drop of the mean
 * @param upper what it is below with a confidence of 95 %
 */
record PairedDrop(double value, double upper) {
  private static final int ROUNDS = 2000;

  /** 95 % of a normal distribution lie below this many deviations. */
  private static final double ONE_SIDED = 1.6448536269514722;

  /**
   * @param losses of each sample: what the other had and this one lost
   * @param sizes weight of each sample
   */
  static PairedDrop of(double[] losses, double[] sizes) {
    Random random = new Random(20);
    double[] means = new double[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      double sum = 0;
      double size = 0;
      for (int i = 0; i < losses.length; i++) {
        int drawn = random.nextInt(losses.length);
        sum += losses[drawn];
        size += sizes[drawn];
      }
      means[round] = sum / size;
    }
    Arrays.sort(means);
    return new PairedDrop(
        Arrays.stream(losses).sum() / Arrays.stream(sizes).sum(), means[(int) (ROUNDS * 0.95)]);
  }

  /**
   * Of answers, from those alone that changed: the score bound of Tango (1998). It inverts the test
   * that is McNemar's for a difference of 0, and unlike the bootstrap it says something where
   * nothing changed: of few samples little is known.
   *
   * @param goodToBad answers that became wrong
   * @param badToGood answers that became right
   */
  static PairedDrop ofFlips(int goodToBad, int badToGood, int samples) {
    double drop = (goodToBad - badToGood) / (double) samples;
    double low = drop;
    double high = 1;
    for (int i = 0; i < 60; i++) {
      double middle = (low + high) / 2;
      if (deviations(goodToBad, badToGood, samples, middle) < ONE_SIDED) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return new PairedDrop(drop, high);
  }

  /** How many standard deviations what was seen lies below a supposed drop. */
  private static double deviations(int bad, int good, int n, double drop) {
    // The most likely share of answers that become right, if the drop is what is supposed.
    double b = (2.0 * n - bad + good) * drop - bad - good;
    double c = -good * drop * (1 - drop);
    double share = (Math.sqrt(Math.max(0, b * b - 8.0 * n * c)) - b) / (4.0 * n);
    double variance = Math.max(0, 2 * share + drop * (1 - drop)) / n;
    double distance = drop - (bad - good) / (double) n;
    return distance <= 0 ? 0 : distance / Math.sqrt(variance);
  }

  boolean within(double allowed) {
    return upper <= allowed;
  }
}
