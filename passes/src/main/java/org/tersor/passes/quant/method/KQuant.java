package org.tersor.passes.quant.method;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.format.BlockParameters;

/**
 * The search of ggml's K-quants: of several grids for each group, each moved and stretched to the
 * least weighted squared error of the codes that it gives, the one with the least. Without inputs a
 * weight counts {@code rms + |w|}, with them {@code mean(x^2) * sqrt(rms^2 + w^2)} of what it is
 * multiplied with. A search, not a format: scales and minima stay numbers of the format asked for.
 *
 * @param steps candidates besides the plain grid
 */
public record KQuant(int steps, boolean fromInputs) implements WeightMethod {
  /** Codes that the range is made longer or shorter by, over those of a whole range. */
  private static final double SPREAD = 1.0;

  @Override
  public String text() {
    return "kquant:steps=" + steps + ",importance=" + (fromInputs ? "inputs" : "weights");
  }

  @Override
  public boolean needsInputs() {
    return fromInputs;
  }

  @Override
  public WeightProblem.Coded choose(WeightProblem problem) {
    List<float[]> groups = problem.groupsOf(problem.weights());
    List<double[]> importance = new ArrayList<>();
    for (int g = 0; g < groups.size(); g++) {
      importance.add(importance(problem, groups.get(g), g));
    }
    Choice choice = new Choice(problem, groups, importance);
    double codes = (1L << problem.codec().codeField().type().bits()) - 1;
    for (int step = 0; step < steps; step++) {
      double longer = steps == 1 ? 0 : (2.0 * step / (steps - 1) - 1) * SPREAD;
      choice.refine(codes / Math.max(0.5, codes + longer));
    }
    return problem.rounded(choice.best);
  }

  private double[] importance(WeightProblem problem, float[] values, int group) {
    double squares = 0;
    for (float value : values) {
      squares += (double) value * value;
    }
    double mean = squares / values.length;
    double[] importance = new double[values.length];
    boolean seen = fromInputs && problem.hasInputs();
    for (int i = 0; i < values.length; i++) {
      importance[i] =
          seen
              ? problem.meanSquare(group, i) * Math.sqrt(mean + (double) values[i] * values[i])
              : Math.sqrt(mean) + Math.abs(values[i]);
    }
    return importance;
  }

  /** The best parameters so far of every group. */
  private static final class Choice {
    private final WeightProblem problem;
    private final List<float[]> groups;
    private final List<double[]> importance;
    private final double[] least;
    private List<BlockParameters> best;

    Choice(WeightProblem problem, List<float[]> groups, List<double[]> importance) {
      this.problem = problem;
      this.groups = groups;
      this.importance = importance;
      this.best = new ArrayList<>(problem.fitAll(false));
      this.least = new double[groups.size()];
      java.util.Arrays.fill(least, Double.POSITIVE_INFINITY);
      take(best);
    }

    /** Codes of ranges stretched by a factor, then the grids that suit these codes best. */
    void refine(double stretch) {
      List<float[]> ranges = new ArrayList<>();
      for (float[] values : groups) {
        ranges.add(new float[] {(float) (low(values) * stretch), (float) (high(values) * stretch)});
      }
      List<BlockParameters> tried = fit(ranges);
      Grids grids = problem.grids(tried);
      List<float[]> shifted = new ArrayList<>();
      List<float[]> scaled = new ArrayList<>();
      for (int g = 0; g < groups.size(); g++) {
        Line line = Line.through(problem, grids, g, groups.get(g), importance.get(g));
        shifted.add(line.of(ranges.get(g), true));
        scaled.add(line.of(ranges.get(g), false));
      }
      take(tried);
      take(fit(shifted));
      take(fit(scaled));
    }

    private List<BlockParameters> fit(List<float[]> ranges) {
      List<BlockParameters> fitted = new ArrayList<>();
      for (int g = 0; g < ranges.size(); g++) {
        fitted.add(problem.fit(ranges.get(g), problem.rowOfGroup(g)));
      }
      return fitted;
    }

    private void take(List<BlockParameters> tried) {
      Grids grids = problem.grids(tried);
      for (int g = 0; g < least.length; g++) {
        double error = 0;
        float[] values = groups.get(g);
        for (int i = 0; i < values.length; i++) {
          double e = (double) grids.round(g, values[i], problem.position(i)) - values[i];
          error += importance.get(g)[i] * e * e;
        }
        if (error < least[g]) {
          least[g] = error;
          best.set(g, tried.get(g));
        }
      }
    }

    private static float low(float[] values) {
      float low = values[0];
      for (float value : values) {
        low = Math.min(low, value);
      }
      return low;
    }

    private static float high(float[] values) {
      float high = values[0];
      for (float value : values) {
        high = Math.max(high, value);
      }
      return high;
    }
  }

  /**
   * Weights as a linear function of the values of their codes, by weighted least squares.
   *
   * @param through the slope of the line through zero
   */
  private record Line(double slope, double shift, double through) {
    static Line through(
        WeightProblem problem, Grids grids, int group, float[] values, double[] importance) {
      double sum = 0;
      double sumV = 0;
      double sumX = 0;
      double sumVv = 0;
      double sumVx = 0;
      for (int i = 0; i < values.length; i++) {
        double v = grids.round(group, values[i], problem.position(i));
        double w = importance[i];
        sum += w;
        sumV += w * v;
        sumX += w * values[i];
        sumVv += w * v * v;
        sumVx += w * v * values[i];
      }
      double through = sumVv > 0 ? sumVx / sumVv : 1;
      double determinant = sum * sumVv - sumV * sumV;
      if (!(determinant > 1e-12 * sum * sumVv)) {
        return new Line(through, 0, through);
      }
      return new Line(
          (sum * sumVx - sumV * sumX) / determinant,
          (sumVv * sumX - sumV * sumVx) / determinant,
          through);
    }

    float[] of(float[] range, boolean shifted) {
      float[] result = new float[range.length];
      for (int i = 0; i < result.length; i++) {
        result[i] = (float) (shifted ? slope * range[i] + shift : through * range[i]);
      }
      return result;
    }
  }
}
