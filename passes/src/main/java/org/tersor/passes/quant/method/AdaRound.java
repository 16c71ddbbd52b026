package org.tersor.passes.quant.method;

import java.util.stream.IntStream;

/**
 * AdaRound (Nagel et al., 2020): learns for each weight whether it is rounded up or down, so that
 * the layer, on inputs of the quantized model before it, gives the results of the float layer in
 * the float model. The choice is soft while it is learned, {@code h = clip(1.2 sigmoid(v) - 0.1, 0,
 * 1)}, with a term {@code 0.01 sum(1 - |2h - 1|^beta)} that makes it hard in the end (beta 20 to 2,
 * off for the first fifth). Errors are those of the linear layer, before an activation. A row whose
 * error would be larger than with nearest codes keeps those.
 */
public record AdaRound(int iterations, boolean search) implements WeightMethod {
  private static final double RATE = 0.01;
  private static final double HARDNESS = 0.01;
  private static final double WARM = 0.2;

  @Override
  public String text() {
    return "adaround:grid=" + (search ? "mse" : "minmax") + ",iterations=" + iterations;
  }

  @Override
  public boolean needsInputs() {
    return true;
  }

  @Override
  public boolean needsTargets() {
    return true;
  }

  @Override
  public WeightProblem.Coded choose(WeightProblem problem) {
    WeightProblem.Coded nearest = problem.rounded(problem.fitAll(search));
    Grids grids = problem.grids(nearest.parameters());
    long[] codes = nearest.codes().clone();
    // Rows do not depend on each other, and write codes of their own.
    IntStream.range(0, problem.rows()).parallel().forEach(r -> learn(problem, grids, r, codes));
    WeightProblem.Coded learned = new WeightProblem.Coded(nearest.parameters(), codes);
    double[] before = problem.errors(nearest);
    double[] after = problem.errors(learned);
    int kept = 0;
    for (int row = 0; row < problem.rows(); row++) {
      if (!(after[row] <= before[row])) {
        kept++;
        System.arraycopy(
            nearest.codes(),
            row * problem.columns(),
            codes,
            row * problem.columns(),
            problem.columns());
      }
    }
    if (kept > 0) {
      problem.report(
          "adaround: "
              + kept
              + " of "
              + problem.rows()
              + " rows keep nearest codes, which err less");
    }
    return learned;
  }

  private void learn(WeightProblem problem, Grids grids, int row, long[] codes) {
    int columns = problem.columns();
    LayerInputs in = problem.inputs(row);
    int target = problem.rowInGroup(row);
    long[][] around = new long[columns][];
    double[] low = new double[columns];
    double[] step = new double[columns];
    double[] v = new double[columns];
    for (int c = 0; c < columns; c++) {
      int p = problem.parametersOf(row, c);
      double w = problem.weight(row, c);
      around[c] = grids.around(p, w, problem.position(c));
      low[c] = grids.value(p, around[c][0], problem.position(c));
      step[c] = grids.value(p, around[c][1], problem.position(c)) - low[c];
      double rest = step[c] == 0 ? 0 : (w - low[c]) / step[c];
      double soft = Math.clamp((rest + 0.1) / 1.2, 1e-6, 1 - 1e-6);
      v[c] = Math.log(soft / (1 - soft));
    }
    double[] first = new double[columns];
    double[] second = new double[columns];
    double[] values = new double[columns];
    double[] slope = new double[columns];
    double[] h = new double[columns];
    for (int i = 0; i < iterations; i++) {
      for (int c = 0; c < columns; c++) {
        double s = 1 / (1 + Math.exp(-v[c]));
        double stretched = 1.2 * s - 0.1;
        h[c] = Math.clamp(stretched, 0, 1);
        slope[c] = stretched > 0 && stretched < 1 ? 1.2 * s * (1 - s) : 0;
        values[c] = low[c] + h[c] * step[c];
      }
      double[] gradient = in.gradient(values, target);
      double progress = i / (double) iterations;
      boolean hardens = progress >= WARM;
      double beta = 2 + 9 * (1 + Math.cos(Math.PI * (progress - WARM) / (1 - WARM)));
      double correct1 = 1 - Math.pow(0.9, i + 1);
      double correct2 = 1 - Math.pow(0.999, i + 1);
      for (int c = 0; c < columns; c++) {
        double g = gradient[c] * step[c];
        if (hardens) {
          double side = 2 * h[c] - 1;
          g -= HARDNESS * 2 * beta * Math.signum(side) * Math.pow(Math.abs(side), beta - 1);
        }
        g *= slope[c];
        first[c] = 0.9 * first[c] + 0.1 * g;
        second[c] = 0.999 * second[c] + 0.001 * g * g;
        v[c] -= RATE * (first[c] / correct1) / (Math.sqrt(second[c] / correct2) + 1e-8);
      }
    }
    for (int c = 0; c < columns; c++) {
      codes[row * columns + c] = around[c][1.2 / (1 + Math.exp(-v[c])) - 0.1 >= 0.5 ? 1 : 0];
    }
  }
}
