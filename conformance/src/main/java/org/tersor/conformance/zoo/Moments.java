package org.tersor.conformance.zoo;

import java.util.Arrays;

/**
 * Mean and variance of each channel of an activation, as they follow from the weights if channels
 * were independent and normal: what keeps random networks from exploding, and where their
 * quantization scales come from.
 */
record Moments(double[] mean, double[] variance) {

  static Moments normal(int channels, double mean, double variance) {
    double[] means = new double[channels];
    double[] variances = new double[channels];
    Arrays.fill(means, mean);
    Arrays.fill(variances, variance);
    return new Moments(means, variances);
  }

  /** Of max(0, x) for normal x. */
  Moments relu() {
    double[] means = new double[mean.length];
    double[] variances = new double[mean.length];
    for (int c = 0; c < mean.length; c++) {
      double s = StrictMath.sqrt(variance[c]) + 1e-12;
      double z = mean[c] / s;
      double density = StrictMath.exp(-z * z / 2) / StrictMath.sqrt(2 * StrictMath.PI);
      double below = distribution(z);
      means[c] = mean[c] * below + s * density;
      variances[c] =
          Math.max(
              1e-6,
              (mean[c] * mean[c] + variance[c]) * below
                  + mean[c] * s * density
                  - means[c] * means[c]);
    }
    return new Moments(means, variances);
  }

  /** Of the largest of several values, roughly: half a deviation more, less spread. */
  Moments pooled() {
    double[] means = new double[mean.length];
    double[] variances = new double[mean.length];
    for (int c = 0; c < mean.length; c++) {
      means[c] = mean[c] + StrictMath.sqrt(variance[c]);
      variances[c] = .6 * variance[c];
    }
    return new Moments(means, variances);
  }

  Moments plus(Moments other) {
    double[] means = new double[mean.length];
    double[] variances = new double[mean.length];
    for (int c = 0; c < mean.length; c++) {
      means[c] = mean[c] + other.mean[c];
      variances[c] = variance[c] + other.variance[c];
    }
    return new Moments(means, variances);
  }

  Moments concat(Moments other) {
    double[] means = Arrays.copyOf(mean, mean.length + other.mean.length);
    double[] variances = Arrays.copyOf(variance, means.length);
    System.arraycopy(other.mean, 0, means, mean.length, other.mean.length);
    System.arraycopy(other.variance, 0, variances, mean.length, other.mean.length);
    return new Moments(means, variances);
  }

  /** A bound that hardly any value exceeds in size. */
  double bound() {
    double bound = 1e-3;
    for (int c = 0; c < mean.length; c++) {
      bound = Math.max(bound, Math.abs(mean[c]) + 4.5 * StrictMath.sqrt(variance[c]));
    }
    return bound;
  }

  /** Standard normal distribution function (Abramowitz and Stegun 26.2.17, error below 1e-7). */
  private static double distribution(double z) {
    double t = 1 / (1 + .2316419 * Math.abs(z));
    double tail =
        StrictMath.exp(-z * z / 2)
            / StrictMath.sqrt(2 * StrictMath.PI)
            * t
            * (.319381530
                + t * (-.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
    return z >= 0 ? 1 - tail : tail;
  }
}
