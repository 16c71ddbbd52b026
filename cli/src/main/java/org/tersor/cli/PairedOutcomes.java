package org.tersor.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import org.tersor.runtime.Tensor;

/**
 * A classifier beside another on the same samples: what the second had right and this one has
 * wrong, and the other way round; how far their distributions are apart. A difference of two
 * accuracies is made of these flips alone, so its uncertainty is theirs.
 */
final class PairedOutcomes {
  private int goodToBad;
  private int badToGood;
  private int changed;
  private int samples;
  private double divergence;

  /**
   * Takes one sample.
   *
   * @param scores of this model, classes from {@code at} on: probabilities, their logarithms, or
   *     what a Softmax makes probabilities of
   */
  void add(Tensor scores, Tensor reference, int at, int classes, int label) {
    double[] q = probabilities(scores, at, classes);
    double[] p = probabilities(reference, at, classes);
    int here = best(scores, at, classes);
    int there = best(reference, at, classes);
    samples++;
    changed += here == there ? 0 : 1;
    goodToBad += there == label && here != label ? 1 : 0;
    badToGood += there != label && here == label ? 1 : 0;
    for (int c = 0; c < classes; c++) {
      if (p[c] > 0) {
        divergence += p[c] * (Math.log(p[c]) - Math.log(Math.max(q[c], 1e-30)));
      }
    }
  }

  static int best(Tensor scores, int at, int classes) {
    int best = 0;
    for (int c = 1; c < classes; c++) {
      best = scores.getDouble(at + c) > scores.getDouble(at + best) ? c : best;
    }
    return best;
  }

  private static double[] probabilities(Tensor scores, int at, int classes) {
    double[] values = new double[classes];
    double sum = 0;
    double largest = Double.NEGATIVE_INFINITY;
    boolean already = true;
    for (int c = 0; c < classes; c++) {
      values[c] = scores.getDouble(at + c);
      sum += values[c];
      largest = Math.max(largest, values[c]);
      already &= values[c] >= 0;
    }
    if (already && Math.abs(sum - 1) < 1e-3) {
      return values;
    }
    double total = 0;
    for (int c = 0; c < classes; c++) {
      values[c] = Math.exp(values[c] - largest);
      total += values[c];
    }
    for (int c = 0; c < classes; c++) {
      values[c] /= total;
    }
    return values;
  }

  int flips() {
    return goodToBad + badToGood;
  }

  int goodToBad() {
    return goodToBad;
  }

  int badToGood() {
    return badToGood;
  }

  /** Mean over the samples of KL(reference || model) in nats. */
  double divergence() {
    return samples == 0 ? 0 : divergence / samples;
  }

  /**
   * McNemar's exact test: how likely flips as one-sided as these are, or more so, if both kinds are
   * equally likely.
   */
  double mcNemar() {
    int n = flips();
    int few = Math.min(goodToBad, badToGood);
    double logChoose = -n * Math.log(2);
    double sum = 0;
    for (int k = 0; k <= few; k++) {
      sum += Math.exp(logChoose);
      logChoose += Math.log(n - k) - Math.log(k + 1);
    }
    return Math.min(1, 2 * sum);
  }

  Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("goodToBad", goodToBad);
    json.put("badToGood", badToGood);
    json.put("changedAnswers", changed);
    json.put("mcNemarP", mcNemar());
    json.put("klNats", divergence());
    return json;
  }

  @Override
  public String toString() {
    return String.format(
        java.util.Locale.ROOT,
        "%d good to bad, %d bad to good (McNemar p %.2f), %d answers changed, KL %.5f nats",
        goodToBad,
        badToGood,
        mcNemar(),
        changed,
        divergence());
  }
}
