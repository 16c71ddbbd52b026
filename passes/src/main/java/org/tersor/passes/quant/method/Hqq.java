package org.tersor.passes.quant.method;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.format.BlockParameters;

/**
 * Half-quadratic quantization (Badri and Shaji, 2023): grids keep their steps and move, so that the
 * error to the power 0.7 falls. Needs no data. A format whose zero point is an integer gains next
 * to nothing, one that is symmetric nothing; the report says so.
 */
public record Hqq() implements WeightMethod {
  private static final double POWER = 0.7;
  private static final double GROWTH = 1.01;
  private static final int ITERATIONS = 20;

  @Override
  public String text() {
    return "hqq";
  }

  @Override
  public boolean needsInputs() {
    return false;
  }

  @Override
  public WeightProblem.Coded choose(WeightProblem problem) {
    List<BlockParameters> parameters = problem.fitAll(false);
    if (parameters.stream().anyMatch(p -> problem.format().moved(p, 0).isEmpty())) {
      problem.report(
          "hqq moves grids, and those of format '"
              + problem.format().id()
              + "' cannot move: plain rounding");
      return problem.rounded(parameters);
    }
    List<float[]> groups = problem.groupsOf(problem.weights());
    List<BlockParameters> best = parameters;
    double least = Double.POSITIVE_INFINITY;
    double first = Double.NaN;
    double strength = 10;
    for (int i = 0; i < ITERATIONS; i++) {
      Grids grids = problem.grids(parameters);
      List<BlockParameters> next = new ArrayList<>();
      double error = 0;
      for (int g = 0; g < groups.size(); g++) {
        float[] values = groups.get(g);
        double shift = 0;
        for (int v = 0; v < values.length; v++) {
          double residual = (double) values[v] - grids.round(g, values[v], problem.position(v));
          error += Math.abs(residual);
          shift += residual - shrunk(residual, strength);
        }
        Optional<BlockParameters> moved =
            problem.format().moved(parameters.get(g), shift / values.length);
        next.add(moved.orElse(parameters.get(g)));
      }
      first = i == 0 ? error : first;
      if (!(error < least)) {
        break;
      }
      least = error;
      best = parameters;
      parameters = next;
      strength *= GROWTH;
    }
    if (!(least < first * (1 - 1e-3))) {
      problem.report("hqq found no better zero points: as plain rounding");
    }
    return problem.rounded(best);
  }

  /** The generalised soft threshold. */
  private static double shrunk(double x, double strength) {
    double size = Math.abs(x);
    return size == 0
        ? 0
        : Math.signum(x) * Math.max(0, size - Math.pow(size, POWER - 1) / strength);
  }
}
