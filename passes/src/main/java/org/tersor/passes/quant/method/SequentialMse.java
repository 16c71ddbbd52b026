package org.tersor.passes.quant.method;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.format.BlockParameters;

/**
 * Scales by the error of the layer's results: of evenly spaced shrink factors of each range, the
 * one whose nearest codes change the results of the quantized model before it least. Ranges of a
 * row are chosen from left to right, each given the error of those before.
 */
public record SequentialMse(int candidates, double least) implements WeightMethod {
  @Override
  public String text() {
    return "seqmse:candidates=" + candidates + ",least=" + least;
  }

  @Override
  public boolean needsInputs() {
    return true;
  }

  @Override
  public WeightProblem.Coded choose(WeightProblem problem) {
    return problem.codec().level() == FormatDef.Level.TENSOR ? together(problem) : apart(problem);
  }

  private WeightProblem.Coded together(WeightProblem problem) {
    WeightProblem.Coded best = problem.rounded(problem.fitAll(false));
    double lowest = sum(problem.errors(best));
    for (int step = candidates - 1; step > least * candidates; step--) {
      float[] shrunk = WeightProblem.scaled(problem.weights(), step / (double) candidates);
      WeightProblem.Coded tried = problem.rounded(List.of(problem.fit(shrunk, 0)));
      double error = sum(problem.errors(tried));
      if (error < lowest) {
        lowest = error;
        best = tried;
      }
    }
    return best;
  }

  private static double sum(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum;
  }

  private WeightProblem.Coded apart(WeightProblem problem) {
    int columns = problem.columns();
    List<float[]> groups = problem.groupsOf(problem.weights());
    List<BlockParameters> chosen = new ArrayList<>();
    for (int row = 0; row < problem.rows(); row++) {
      LayerInputs in = problem.inputs(row);
      double[] error = new double[columns];
      for (int s = 0; s < problem.spans(); s++) {
        float[] values = groups.get(row * problem.spans() + s);
        int from = s * problem.span();
        double lowest = Double.POSITIVE_INFINITY;
        double[] kept = error;
        BlockParameters best = problem.fit(values, row);
        List<BlockParameters> tried = new ArrayList<>(List.of(best));
        for (int step = candidates - 1; step > least * candidates; step--) {
          tried.add(problem.fit(WeightProblem.scaled(values, step / (double) candidates), row));
        }
        Grids grids = problem.grids(tried);
        for (int t = 0; t < tried.size(); t++) {
          double[] with = error.clone();
          for (int c = 0; c < values.length; c++) {
            with[from + c] =
                (double) grids.round(t, values[c], problem.position(from + c)) - values[c];
          }
          double now = in.energy(with);
          if (now < lowest) {
            lowest = now;
            kept = with;
            best = tried.get(t);
          }
        }
        error = kept;
        chosen.add(best);
      }
    }
    return problem.rounded(chosen);
  }
}
