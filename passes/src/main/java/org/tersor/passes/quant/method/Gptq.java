package org.tersor.passes.quant.method;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.format.BlockParameters;

/**
 * GPTQ (Frantar et al., 2022): columns are rounded one after the other, and what each rounding does
 * to the results is compensated in the columns that are still free. With {@code H = 2 mean(x xT)}
 * and {@code inverse(H) = UT U}, U upper triangular, the error e of column i goes into column j as
 * {@code e U[i][j] / U[i][i]}: row i of U.
 *
 * <p>Where a layer has fewer input vectors than columns, the same numbers come from the vectors
 * without H, which would be large: with {@code H = D + X XT}, D diagonal, the inverse of every
 * trailing part of H follows from a matrix of the size of the number of vectors.
 *
 * @param damping added to the diagonal of H, as a share of its mean
 * @param act rounds columns by falling diagonal of H; grids are then those of the given weights
 * @param fixed grids of blocks are those of the given weights, not of those that are updated when a
 *     block begins
 * @param search looks for grids of least error to the power 2.4
 */
public record Gptq(double damping, boolean act, boolean fixed, boolean search)
    implements WeightMethod {
  private static final int ATTEMPTS = 6;

  @Override
  public String text() {
    return "gptq:damping="
        + damping
        + ",grid="
        + (search ? "mse" : "minmax")
        + ",groups="
        + (fixed || act ? "static" : "current")
        + ",order="
        + (act ? "act" : "natural");
  }

  @Override
  public boolean needsInputs() {
    return true;
  }

  @Override
  public WeightProblem.Coded choose(WeightProblem problem) {
    boolean follows = problem.codec().level() == FormatDef.Level.BLOCK && !act && !fixed;
    List<BlockParameters> parameters = new ArrayList<>(problem.fitAll(search));
    long[] codes = new long[problem.rows() * problem.columns()];
    int perGroup = problem.rows() / problem.groups();
    for (int g = 0; g < problem.groups(); g++) {
      new Run(problem, g * perGroup, perGroup, parameters, codes, follows).go();
    }
    return new WeightProblem.Coded(parameters, codes);
  }

  /** How errors spread from a column to later ones; columns in order of rounding. */
  private interface Feedback {
    /** The error that is added to a column of a row, from all columns before it. */
    double into(int row, int at);

    /** Takes the error of a column. */
    void put(int row, int at, double error);
  }

  /** One group of rows that share inputs. */
  private final class Run {
    private final WeightProblem problem;
    private final LayerInputs inputs;
    private final int first;
    private final int rows;
    private final List<BlockParameters> parameters;
    private final long[] codes;
    private final boolean follows;
    private final int columns;

    Run(
        WeightProblem problem,
        int first,
        int rows,
        List<BlockParameters> parameters,
        long[] codes,
        boolean follows) {
      this.problem = problem;
      this.first = first;
      this.rows = rows;
      this.parameters = parameters;
      this.codes = codes;
      this.follows = follows;
      this.columns = problem.columns();
      this.inputs = problem.inputs(first);
    }

    void go() {
      double[] diagonal = inputs.diagonal();
      boolean[] dead = new boolean[columns];
      double mean = 0;
      for (int j = 0; j < columns; j++) {
        diagonal[j] *= 2;
        dead[j] = diagonal[j] == 0;
        mean += (dead[j] ? 1 : diagonal[j]) / columns;
      }
      int[] order = IntStream.range(0, columns).toArray();
      if (act) {
        order =
            Arrays.stream(order)
                .boxed()
                .sorted(Comparator.comparingDouble(j -> dead[j] ? -1 : -diagonal[j]))
                .mapToInt(j -> j)
                .toArray();
      }
      Optional<Feedback> feedback = Optional.empty();
      double share = damping;
      for (int attempt = 0; attempt < ATTEMPTS && feedback.isEmpty(); attempt++) {
        feedback = feedback(order, dead, share * mean);
        if (feedback.isEmpty()) {
          share = share == 0 ? 0.01 : share * 10;
          problem.report("gptq: H is not positive definite; damping raised to " + share);
        }
      }
      if (feedback.isEmpty()) {
        problem.report("gptq: no damping makes H positive definite: plain rounding");
      }
      round(order, dead, feedback);
    }

    private Optional<Feedback> feedback(int[] order, boolean[] dead, double damp) {
      return inputs.isDense() ? dense(order, dead, damp) : thin(order, dead, damp);
    }

    /** {@code w[j] -= e U[i][j] / U[i][i]}, by the triangular factor of the inverse. */
    private Optional<Feedback> dense(int[] order, boolean[] dead, double damp) {
      double[][] h = new double[columns][columns];
      for (int i = 0; i < columns; i++) {
        for (int j = 0; j < columns; j++) {
          h[i][j] = 2 * inputs.product(order[i], order[j]);
        }
        h[i][i] = (dead[order[i]] ? 1 : h[i][i]) + damp;
      }
      return Triangular.inverseFactor(h)
          .map(u -> {
            double[][] pending = new double[rows][columns];
            return new Feedback() {
              @Override
              public double into(int row, int at) {
                return pending[row][at];
              }

              @Override
              public void put(int row, int at, double error) {
                double scaled = error / u[at][at];
                double[] line = u[at];
                double[] target = pending[row];
                for (int j = at + 1; j < columns; j++) {
                  target[j] -= scaled * line[j];
                }
              }
            };
          });
    }

    /** The same from the vectors: {@code inverse(D + X XT)} by the Woodbury identity. */
    private Optional<Feedback> thin(int[] order, boolean[] dead, double damp) {
      int n = inputs.vectors().size();
      if (n == 0) {
        return Optional.empty();
      }
      double root = Math.sqrt(2.0 / inputs.count());
      double[][] x = new double[columns][n];
      double[] d = new double[columns];
      for (int j = 0; j < columns; j++) {
        d[j] = (dead[order[j]] ? 1 : 0) + damp;
        if (!(d[j] > 0)) {
          return Optional.empty();
        }
        for (int v = 0; v < n; v++) {
          x[j][v] = root * inputs.vectors().get(v)[order[j]];
        }
      }
      double[][] inverse = new double[n][n];
      for (int v = 0; v < n; v++) {
        inverse[v][v] = 1;
      }
      // From the last column on, so that each step adds to the matrix that is inverted.
      double[][] spread = new double[columns][];
      for (int j = columns - 1; j >= 0; j--) {
        double[] t = new double[n];
        double reach = d[j];
        for (int v = 0; v < n; v++) {
          double sum = 0;
          for (int u = 0; u < n; u++) {
            sum += inverse[v][u] * x[j][u];
          }
          t[v] = sum;
          reach += sum * x[j][v];
        }
        spread[j] = t;
        for (int v = 0; v < n; v++) {
          double factor = t[v] / reach;
          double[] line = inverse[v];
          for (int u = 0; u < n; u++) {
            line[u] -= factor * t[u];
          }
        }
      }
      double[][] pending = new double[rows][n];
      return Optional.of(
          new Feedback() {
            @Override
            public double into(int row, int at) {
              double sum = 0;
              for (int v = 0; v < n; v++) {
                sum += x[at][v] * pending[row][v];
              }
              return sum / d[at];
            }

            @Override
            public void put(int row, int at, double error) {
              for (int v = 0; v < n; v++) {
                pending[row][v] += error * spread[at][v];
              }
            }
          });
    }

    private void round(int[] order, boolean[] dead, Optional<Feedback> feedback) {
      Grids grids = problem.grids(follows ? List.of() : parameters);
      for (int at = 0; at < columns; at++) {
        int column = order[at];
        if (follows && column % problem.span() == 0) {
          grids = problem.grids(refit(at, dead, feedback));
        }
        int position = problem.position(column);
        for (int r = 0; r < rows; r++) {
          double w = current(r, at, column, dead, feedback);
          int p = follows ? r : problem.parametersOf(first + r, column);
          long code = grids.code(p, w, position);
          codes[(first + r) * columns + column] = code;
          double error = w - grids.value(p, code, position);
          if (error != 0 && feedback.isPresent()) {
            feedback.get().put(r, at, error);
          }
        }
      }
    }

    private double current(int r, int at, int column, boolean[] dead, Optional<Feedback> feedback) {
      if (feedback.isEmpty()) {
        return problem.weight(first + r, column);
      }
      // What is never multiplied with anything but 0 is worth nothing.
      return dead[column] ? 0 : problem.weight(first + r, column) + feedback.get().into(r, at);
    }

    /** Grids of the blocks that begin, over the weights as they are by now. */
    private List<BlockParameters> refit(int at, boolean[] dead, Optional<Feedback> feedback) {
      int to = Math.min(columns, at + problem.span());
      List<float[]> groups = new ArrayList<>();
      int[] rowOf = new int[rows];
      for (int r = 0; r < rows; r++) {
        float[] values = new float[to - at];
        for (int c = at; c < to; c++) {
          values[c - at] = (float) current(r, c, c, dead, feedback);
        }
        groups.add(values);
        rowOf[r] = first + r;
      }
      List<BlockParameters> fitted = problem.fit(groups, rowOf, search);
      for (int r = 0; r < rows; r++) {
        parameters.set(problem.parametersOf(first + r, at), fitted.get(r));
      }
      return fitted;
    }
  }
}
