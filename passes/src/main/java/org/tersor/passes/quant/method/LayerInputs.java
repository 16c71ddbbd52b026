package org.tersor.passes.quant.method;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.tersor.runtime.TersorException;

/**
 * What a layer's rows were multiplied with during calibration, in memory that does not grow with
 * the number of samples: the vectors themselves while they are few, else the sums of their
 * products, {@code G = mean(x xT)}. Where targets are given (results of the float layer), also what
 * relates them to the inputs, so that a row's mean squared error {@code mean((w x - y)^2)} and its
 * gradient are known exactly.
 */
public final class LayerInputs {
  /** Vectors whose products are added together: fits a cache. */
  private static final int BATCH = 32;

  private final int columns;
  private final int targets;
  private final List<float[]> vectors = new ArrayList<>();
  private final List<float[]> results = new ArrayList<>();
  private double[][] products = new double[0][];
  private double[][] cross = new double[0][];
  private final double[] energy;
  private final double[] magnitudes;
  private final double[] squares;
  private final double[] peaks;
  private long count;

  /**
   * @param columns length of the vectors
   * @param targets rows that have targets; 0 if none has
   */
  public LayerInputs(int columns, int targets) {
    this.columns = columns;
    this.targets = targets;
    this.energy = new double[targets];
    this.magnitudes = new double[columns];
    this.squares = new double[columns];
    this.peaks = new double[columns];
  }

  /**
   * Adds one vector.
   *
   * @param target results of the float rows for it; empty without targets
   */
  public void add(float[] vector, float[] target) {
    if (vector.length != columns || target.length != targets) {
      throw new IllegalArgumentException(vector.length + " and " + target.length);
    }
    for (float x : vector) {
      if (!Float.isFinite(x)) {
        return;
      }
    }
    vectors.add(vector.clone());
    results.add(target.clone());
    count++;
    for (int j = 0; j < columns; j++) {
      magnitudes[j] += Math.abs(vector[j]);
      squares[j] += (double) vector[j] * vector[j];
      peaks[j] = Math.max(peaks[j], Math.abs(vector[j]));
    }
    for (int r = 0; r < targets; r++) {
      energy[r] += (double) target[r] * target[r];
    }
    if (products.length > 0 ? vectors.size() >= BATCH : vectors.size() > columns / 2 + 1) {
      multiply();
    }
  }

  private void multiply() {
    if (products.length == 0) {
      long bytes = 8L * columns * columns;
      if (bytes > Runtime.getRuntime().maxMemory() / 2) {
        throw new TersorException(
            "TSR-0418",
            "products of "
                + columns
                + " inputs take "
                + bytes
                + " bytes, more than half of the memory that Java may use; calibrate with at most "
                + columns / 2
                + " vectors, or give Java more memory (-Xmx)");
      }
      products = new double[columns][columns];
      cross = new double[targets][columns];
    }
    for (int from = 0; from < vectors.size(); from += BATCH) {
      int to = Math.min(vectors.size(), from + BATCH);
      for (int i = 0; i < columns; i++) {
        double[] row = products[i];
        for (int v = from; v < to; v++) {
          float[] x = vectors.get(v);
          double xi = x[i];
          if (xi != 0) {
            for (int j = i; j < columns; j++) {
              row[j] += xi * x[j];
            }
          }
        }
      }
      for (int r = 0; r < targets; r++) {
        double[] row = cross[r];
        for (int v = from; v < to; v++) {
          float[] x = vectors.get(v);
          double y = results.get(v)[r];
          for (int j = 0; j < columns; j++) {
            row[j] += y * x[j];
          }
        }
      }
    }
    vectors.clear();
    results.clear();
  }

  /** Ends collection. */
  public void seal() {
    if (products.length > 0) {
      multiply();
      for (int i = 0; i < columns; i++) {
        for (int j = 0; j < i; j++) {
          products[i][j] = products[j][i];
        }
      }
    }
  }

  public int columns() {
    return columns;
  }

  public long count() {
    return count;
  }

  public boolean hasTargets() {
    return targets > 0;
  }

  /** Whether only {@link #products} are left of the vectors. */
  public boolean isDense() {
    return products.length > 0;
  }

  /** The vectors, where they are kept. */
  public List<float[]> vectors() {
    return vectors;
  }

  /** Element of the mean of x xT; dense only. */
  double product(int i, int j) {
    return products[i][j] / count;
  }

  /** Mean of x_j squared. */
  public double[] diagonal() {
    double[] diagonal = new double[columns];
    for (int j = 0; j < columns; j++) {
      diagonal[j] = meanSquare(j);
    }
    return diagonal;
  }

  /** Mean of x_j squared, of one column. */
  double meanSquare(int column) {
    return squares[column] / Math.max(1, count);
  }

  /** Mean of |x_j|. */
  public double[] magnitudes() {
    double[] means = magnitudes.clone();
    for (int j = 0; j < columns; j++) {
      means[j] /= Math.max(1, count);
    }
    return means;
  }

  /** Largest |x_j|. */
  public double[] peaks() {
    return peaks.clone();
  }

  /** G d: half the gradient of {@code mean((d x)^2)}. */
  public double[] times(double[] d) {
    double[] result = new double[columns];
    if (isDense()) {
      for (int i = 0; i < columns; i++) {
        if (d[i] != 0) {
          double di = d[i] / count;
          double[] row = products[i];
          for (int j = 0; j < columns; j++) {
            result[j] += di * row[j];
          }
        }
      }
      return result;
    }
    for (float[] x : vectors) {
      double u = dot(x, d) / count;
      for (int j = 0; j < columns; j++) {
        result[j] += u * x[j];
      }
    }
    return result;
  }

  /** {@code mean((d x)^2)}. */
  public double energy(double[] d) {
    double sum = 0;
    if (!isDense()) {
      for (float[] x : vectors) {
        double u = dot(x, d);
        sum += u * u / count;
      }
      return sum;
    }
    double[] g = times(d);
    for (int j = 0; j < columns; j++) {
      sum += g[j] * d[j];
    }
    return Math.max(0, sum);
  }

  /** {@code mean((w x - y)^2)} of a row with targets. */
  public double error(double[] w, int row) {
    double sum = 0;
    if (!isDense()) {
      for (int v = 0; v < vectors.size(); v++) {
        double u = dot(vectors.get(v), w) - results.get(v)[row];
        sum += u * u / count;
      }
      return sum;
    }
    double[] g = times(w);
    for (int j = 0; j < columns; j++) {
      sum += w[j] * (g[j] - 2 * cross[row][j] / count);
    }
    return Math.max(0, sum + energy[row] / count);
  }

  /** Gradient of {@link #error} in w. */
  public double[] gradient(double[] w, int row) {
    double[] result = new double[columns];
    if (!isDense()) {
      for (int v = 0; v < vectors.size(); v++) {
        float[] x = vectors.get(v);
        double u = 2 * (dot(x, w) - results.get(v)[row]) / count;
        for (int j = 0; j < columns; j++) {
          result[j] += u * x[j];
        }
      }
      return result;
    }
    double[] g = times(w);
    for (int j = 0; j < columns; j++) {
      result[j] = 2 * (g[j] - cross[row][j] / count);
    }
    return result;
  }

  private static double dot(float[] x, double[] d) {
    // Four sums: the additions of one would wait for each other.
    double a = 0;
    double b = 0;
    double c = 0;
    double e = 0;
    int j = 0;
    for (; j + 3 < x.length; j += 4) {
      a += x[j] * d[j];
      b += x[j + 1] * d[j + 1];
      c += x[j + 2] * d[j + 2];
      e += x[j + 3] * d[j + 3];
    }
    for (; j < x.length; j++) {
      a += x[j] * d[j];
    }
    return a + b + (c + e);
  }

  @Override
  public String toString() {
    return count
        + " vectors of "
        + columns
        + (isDense() ? " as products " : " ")
        + Arrays.toString(new int[] {targets});
  }
}
