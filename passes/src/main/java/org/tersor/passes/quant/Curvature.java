package org.tersor.passes.quant;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Trace of the Gauss-Newton matrix of the loss by some weights, after Hutchinson: the mean of v' H
 * v over vectors v of random signs. H is J' A J, with J the derivative of the scores by the weights
 * and A the second derivative of the loss by the scores, so that v' H v needs only the change of
 * the scores along v, a central difference of two runs. It exists for whatever can be run.
 *
 * <p>The loss is the KL divergence to the model itself, mean over positions (then H is the Fisher
 * information), or half the squared error by the power of the output.
 */
final class Curvature {
  private static final double STEP = 1e-2;

  private final WeightRuns runs;
  private final List<Tensor> exact;
  private final boolean distribution;

  Curvature(WeightRuns runs, List<Tensor> exact, boolean distribution) {
    this.runs = runs;
    this.exact = exact;
    this.distribution = distribution;
  }

  /**
   * The trace by the weights of all these layers.
   *
   * @param probes vectors v
   */
  double trace(List<Operand> layers, int probes, long seed) {
    Random random = new Random(seed);
    double sum = 0;
    for (int probe = 0; probe < probes; probe++) {
      Map<Operand, Tensor> up = new LinkedHashMap<>();
      Map<Operand, Tensor> down = new LinkedHashMap<>();
      double step = step(layers);
      for (Operand layer : layers) {
        Tensor w = runs.exact(layer);
        Tensor more = Tensor.zeros(DType.F32, w.shape());
        Tensor less = Tensor.zeros(DType.F32, w.shape());
        for (int i = 0; i < w.size(); i++) {
          double sign = random.nextBoolean() ? step : -step;
          more.setDouble(i, w.getDouble(i) + sign);
          less.setDouble(i, w.getDouble(i) - sign);
        }
        up.put(layer, more);
        down.put(layer, less);
      }
      sum += second(runs.run(up), runs.run(down), step);
    }
    return sum / probes;
  }

  /** A hundredth of the weights' root mean square. */
  private double step(List<Operand> layers) {
    double squares = 0;
    long count = 0;
    for (Operand layer : layers) {
      Tensor w = runs.exact(layer);
      for (int i = 0; i < w.size(); i++) {
        squares += w.getDouble(i) * w.getDouble(i);
      }
      count += w.size();
    }
    double rms = Math.sqrt(squares / count);
    return rms > 0 ? STEP * rms : STEP;
  }

  /** d' A d for the change d of the scores for a step of one. */
  private double second(List<Tensor> up, List<Tensor> down, double step) {
    double sum = 0;
    double power = 0;
    long positions = 0;
    for (int s = 0; s < exact.size(); s++) {
      Tensor y = exact.get(s);
      int classes = distribution ? OutputNoise.classes(y) : Math.max(1, y.size());
      double[] p = new double[classes];
      double[] a = new double[classes];
      double[] b = new double[classes];
      for (int at = 0; at + classes <= y.size(); at += classes) {
        if (distribution) {
          OutputNoise.logProbabilities(y, at, p);
          OutputNoise.logProbabilities(up.get(s), at, a);
          OutputNoise.logProbabilities(down.get(s), at, b);
        }
        double mean = 0;
        double square = 0;
        for (int c = 0; c < classes; c++) {
          double d =
              distribution
                  ? (a[c] - b[c]) / (2 * step)
                  : (up.get(s).getDouble(at + c) - down.get(s).getDouble(at + c)) / (2 * step);
          double weight = distribution ? Math.exp(p[c]) : 1;
          mean += distribution ? weight * d : 0;
          square += weight * d * d;
          power += y.getDouble(at + c) * y.getDouble(at + c);
        }
        sum += square - mean * mean;
        positions++;
      }
    }
    return distribution ? sum / Math.max(1, positions) : power == 0 ? sum : sum / power;
  }
}
