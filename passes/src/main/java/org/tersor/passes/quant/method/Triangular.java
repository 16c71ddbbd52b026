package org.tersor.passes.quant.method;

import java.util.Optional;

/** Triangular factors. */
final class Triangular {
  private Triangular() {}

  /**
   * U, upper triangular, with {@code inverse(h) = UT U}; empty unless {@code h} is positive
   * definite. It is the inverse of R, upper triangular, with {@code h = R RT}.
   *
   * @param h symmetric; overwritten
   */
  static Optional<double[][]> inverseFactor(double[][] h) {
    int n = h.length;
    for (int j = n - 1; j >= 0; j--) {
      double[] last = h[j];
      double pivot = last[j];
      for (int p = j + 1; p < n; p++) {
        pivot -= last[p] * last[p];
      }
      if (!(pivot > 0) || !Double.isFinite(pivot)) {
        return Optional.empty();
      }
      double root = Math.sqrt(pivot);
      last[j] = root;
      for (int i = 0; i < j; i++) {
        h[i][j] = (h[i][j] - dot(h[i], last, j + 1)) / root;
      }
    }
    // Rows from the last on: U[i] = (e_i - sum over p > i of R[i][p] U[p]) / R[i][i].
    double[][] u = new double[n][n];
    for (int i = n - 1; i >= 0; i--) {
      double[] row = u[i];
      row[i] = 1;
      for (int p = i + 1; p < n; p++) {
        double factor = h[i][p];
        if (factor != 0) {
          double[] other = u[p];
          for (int j = p; j < n; j++) {
            row[j] -= factor * other[j];
          }
        }
      }
      for (int j = i; j < n; j++) {
        row[j] /= h[i][i];
      }
    }
    return Optional.of(u);
  }

  private static double dot(double[] a, double[] b, int from) {
    double s = 0;
    double t = 0;
    double u = 0;
    double v = 0;
    int p = from;
    for (; p + 3 < a.length; p += 4) {
      s += a[p] * b[p];
      t += a[p + 1] * b[p + 1];
      u += a[p + 2] * b[p + 2];
      v += a[p + 3] * b[p + 3];
    }
    for (; p < a.length; p++) {
      s += a[p] * b[p];
    }
    return s + t + (u + v);
  }
}
