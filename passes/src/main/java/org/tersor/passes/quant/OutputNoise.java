package org.tersor.passes.quant;

import java.util.Map;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * How far a model's first output is from what it should be, summed over samples.
 *
 * <p>Scores are what stands along the last axis of more than one element: probabilities, or what a
 * softmax makes probabilities of.
 */
public final class OutputNoise {
  private double signal;
  private double noise;
  private double divergence;
  private long positions;

  /**
   * Of all outputs of two graphs, power of the error by power of the first one's results.
   *
   * @param other with outputs of the same names
   */
  static double of(
      Compiler compiler,
      Quantizer.Options options,
      Graph exact,
      Graph other,
      Iterable<Map<String, Tensor>> samples) {
    Executable left = compiler.link(exact, options.backend(), Quantizer.quiet(options));
    Executable right = compiler.link(other, options.backend(), Quantizer.quiet(options));
    OutputNoise sum = new OutputNoise();
    for (Map<String, Tensor> sample : samples) {
      Map<String, Tensor> coded = right.run(sample);
      left.run(sample)
          .forEach((name, tensor) -> {
            if (tensor.dtype().isFloat()) {
              sum.power(tensor, coded.getOrDefault(name, tensor));
            }
          });
    }
    return sum.relative();
  }

  /** Takes the power of one call's output and of its error; it need not hold scores. */
  void power(Tensor exact, Tensor coded) {
    if (exact.size() != coded.size()) {
      throw new TersorException("TSR-0906", "the outputs differ in size: " + exact + ", " + coded);
    }
    for (int i = 0; i < exact.size(); i++) {
      double x = exact.getDouble(i);
      double e = x - coded.getDouble(i);
      signal += x * x;
      noise += e * e;
    }
  }

  /** Takes one call's output. */
  public void add(Tensor exact, Tensor coded) {
    power(exact, coded);
    int classes = classes(exact);
    double[] p = new double[classes];
    double[] q = new double[classes];
    for (int at = 0; at + classes <= exact.size(); at += classes) {
      logProbabilities(exact, at, p);
      logProbabilities(coded, at, q);
      for (int c = 0; c < classes; c++) {
        divergence += Math.exp(p[c]) * (p[c] - q[c]);
      }
      positions++;
    }
  }

  /** Mean KL divergence from the exact distribution in nats. */
  public double kl() {
    return positions == 0 ? 0 : divergence / positions;
  }

  /** Power of the noise by power of the signal. */
  public double relative() {
    return signal == 0 ? noise : noise / signal;
  }

  /** Signal to noise in dB. */
  public double sqnr() {
    return -10 * Math.log10(relative());
  }

  /** Elements of one distribution. */
  static int classes(Tensor scores) {
    for (int d = scores.rank() - 1; d >= 0; d--) {
      if (scores.shape()[d] > 1) {
        return Math.toIntExact(scores.shape()[d]);
      }
    }
    return 1;
  }

  /** Fills in ln p of the distribution that begins at an element. */
  static void logProbabilities(Tensor scores, int at, double[] p) {
    double largest = Double.NEGATIVE_INFINITY;
    double sum = 0;
    boolean already = true;
    for (int c = 0; c < p.length; c++) {
      p[c] = scores.getDouble(at + c);
      largest = Math.max(largest, p[c]);
      sum += p[c];
      already &= p[c] >= 0;
    }
    if (already && Math.abs(sum - 1) < 1e-3) {
      for (int c = 0; c < p.length; c++) {
        p[c] = Math.log(Math.max(p[c], 1e-30));
      }
      return;
    }
    double total = 0;
    for (double x : p) {
      total += Math.exp(x - largest);
    }
    double log = largest + Math.log(total);
    for (int c = 0; c < p.length; c++) {
      p[c] -= log;
    }
  }
}
