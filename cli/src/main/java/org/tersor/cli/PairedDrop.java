package org.tersor.cli;

import java.util.Arrays;
import java.util.Random;

/**
 * How much worse a model is than another on the same samples, with the uncertainty of the samples:
 * the paired bootstrap. A drop is accepted if even its upper bound of 95 % is within the allowance,
 * so that a lucky sample cannot pass.
 *
 * @param value drop of the mean
 * @param upper what it is below with a confidence of 95 %
 */
record PairedDrop(double value, double upper) {
  private static final int ROUNDS = 2000;

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

  boolean within(double allowed) {
    return upper <= allowed;
  }
}
