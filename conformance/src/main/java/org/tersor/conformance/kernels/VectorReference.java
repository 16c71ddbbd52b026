package org.tersor.conformance.kernels;

import java.util.List;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** Kernels as a person writes them with the Vector API, over heap arrays. */
final class VectorReference {
  private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
  private static final int L = S.length();

  /** Columns of a packed panel. */
  static final int PANEL = 4 * L;

  private VectorReference() {}

  /** Operands A[m][k], B packed [n / PANEL][k][PANEL], bias[n] padded to panels; sizes m, n, k. */
  static void gemm(List<Object> operands, Object result, int[] sizes) {
    float[] a = (float[]) operands.get(0);
    float[] b = (float[]) operands.get(1);
    float[] bias = (float[]) operands.get(2);
    float[] c = (float[]) result;
    int m = sizes[0];
    int n = sizes[1];
    int k = sizes[2];
    float[] edge = new float[5 * PANEL];
    for (int n0 = 0; n0 < n; n0 += PANEL) {
      boolean whole = n0 + PANEL <= n;
      int i = 0;
      for (; i + 5 <= m; i += 5) {
        if (whole) {
          fiveRows(a, i * k, k, b, n0 * k, bias, n0, c, i * n + n0, n);
        } else {
          fiveRows(a, i * k, k, b, n0 * k, bias, n0, edge, 0, PANEL);
          for (int r = 0; r < 5; r++) {
            System.arraycopy(edge, r * PANEL, c, (i + r) * n + n0, n - n0);
          }
        }
      }
      for (; i < m; i++) {
        oneRow(a, i * k, k, b, n0 * k, bias, n0, edge);
        System.arraycopy(edge, 0, c, i * n + n0, Math.min(PANEL, n - n0));
      }
    }
  }

  private static void oneRow(
      float[] a, int at, int k, float[] b, int panel, float[] bias, int n0, float[] out) {
    FloatVector c0 = FloatVector.zero(S);
    FloatVector c1 = c0;
    FloatVector c2 = c0;
    FloatVector c3 = c0;
    for (int p = 0; p < k; p++) {
      FloatVector x = FloatVector.broadcast(S, a[at + p]);
      int row = panel + p * PANEL;
      c0 = x.fma(FloatVector.fromArray(S, b, row), c0);
      c1 = x.fma(FloatVector.fromArray(S, b, row + L), c1);
      c2 = x.fma(FloatVector.fromArray(S, b, row + 2 * L), c2);
      c3 = x.fma(FloatVector.fromArray(S, b, row + 3 * L), c3);
    }
    store(c0, bias, n0, out, 0);
    store(c1, bias, n0 + L, out, L);
    store(c2, bias, n0 + 2 * L, out, 2 * L);
    store(c3, bias, n0 + 3 * L, out, 3 * L);
  }

  private static void store(FloatVector sum, float[] bias, int b, float[] out, int at) {
    sum.add(FloatVector.fromArray(S, bias, b)).max(0f).intoArray(out, at);
  }

  private static void fiveRows(
      float[] a,
      int a0,
      int k,
      float[] b,
      int panel,
      float[] bias,
      int n0,
      float[] c,
      int at,
      int stride) {
    FloatVector c00 = FloatVector.zero(S);
    FloatVector c01 = c00;
    FloatVector c02 = c00;
    FloatVector c03 = c00;
    FloatVector c10 = c00;
    FloatVector c11 = c00;
    FloatVector c12 = c00;
    FloatVector c13 = c00;
    FloatVector c20 = c00;
    FloatVector c21 = c00;
    FloatVector c22 = c00;
    FloatVector c23 = c00;
    FloatVector c30 = c00;
    FloatVector c31 = c00;
    FloatVector c32 = c00;
    FloatVector c33 = c00;
    FloatVector c40 = c00;
    FloatVector c41 = c00;
    FloatVector c42 = c00;
    FloatVector c43 = c00;
    int a1 = a0 + k;
    int a2 = a1 + k;
    int a3 = a2 + k;
    int a4 = a3 + k;
    for (int p = 0; p < k; p++) {
      int row = panel + p * PANEL;
      FloatVector b0 = FloatVector.fromArray(S, b, row);
      FloatVector b1 = FloatVector.fromArray(S, b, row + L);
      FloatVector b2 = FloatVector.fromArray(S, b, row + 2 * L);
      FloatVector b3 = FloatVector.fromArray(S, b, row + 3 * L);
      FloatVector x = FloatVector.broadcast(S, a[a0 + p]);
      c00 = x.fma(b0, c00);
      c01 = x.fma(b1, c01);
      c02 = x.fma(b2, c02);
      c03 = x.fma(b3, c03);
      x = FloatVector.broadcast(S, a[a1 + p]);
      c10 = x.fma(b0, c10);
      c11 = x.fma(b1, c11);
      c12 = x.fma(b2, c12);
      c13 = x.fma(b3, c13);
      x = FloatVector.broadcast(S, a[a2 + p]);
      c20 = x.fma(b0, c20);
      c21 = x.fma(b1, c21);
      c22 = x.fma(b2, c22);
      c23 = x.fma(b3, c23);
      x = FloatVector.broadcast(S, a[a3 + p]);
      c30 = x.fma(b0, c30);
      c31 = x.fma(b1, c31);
      c32 = x.fma(b2, c32);
      c33 = x.fma(b3, c33);
      x = FloatVector.broadcast(S, a[a4 + p]);
      c40 = x.fma(b0, c40);
      c41 = x.fma(b1, c41);
      c42 = x.fma(b2, c42);
      c43 = x.fma(b3, c43);
    }
    row(c00, c01, c02, c03, bias, n0, c, at);
    row(c10, c11, c12, c13, bias, n0, c, at + stride);
    row(c20, c21, c22, c23, bias, n0, c, at + 2 * stride);
    row(c30, c31, c32, c33, bias, n0, c, at + 3 * stride);
    row(c40, c41, c42, c43, bias, n0, c, at + 4 * stride);
  }

  private static void row(
      FloatVector c0,
      FloatVector c1,
      FloatVector c2,
      FloatVector c3,
      float[] bias,
      int b,
      float[] c,
      int at) {
    store(c0, bias, b, c, at);
    store(c1, bias, b + L, c, at + L);
    store(c2, bias, b + 2 * L, c, at + 2 * L);
    store(c3, bias, b + 3 * L, c, at + 3 * L);
  }

  /** Operands x, y; max(x + y, 0); sizes: elements. */
  static void addRelu(List<Object> operands, Object result, int[] sizes) {
    float[] x = (float[]) operands.get(0);
    float[] y = (float[]) operands.get(1);
    float[] z = (float[]) result;
    int i = 0;
    for (; i + L <= sizes[0]; i += L) {
      FloatVector.fromArray(S, x, i).add(FloatVector.fromArray(S, y, i)).max(0f).intoArray(z, i);
    }
    for (; i < sizes[0]; i++) {
      z[i] = Math.max(x[i] + y[i], 0);
    }
  }

  /** Twice the values of an F16 array; sizes: elements. C2 makes vectors of such loops. */
  static void halfToFloat(List<Object> operands, Object result, int[] sizes) {
    short[] x = (short[]) operands.get(0);
    float[] y = (float[]) result;
    for (int i = 0; i < sizes[0]; i++) {
      float value = Float.float16ToFloat(x[i]);
      y[i] = value + value;
    }
  }

  /** Sums of rows; sizes rows, columns. */
  static void rowSum(List<Object> operands, Object result, int[] sizes) {
    float[] x = (float[]) operands.get(0);
    float[] y = (float[]) result;
    for (int r = 0; r < sizes[0]; r++) {
      FloatVector sum = FloatVector.zero(S);
      int at = r * sizes[1];
      int end = at + sizes[1];
      for (; at + L <= end; at += L) {
        sum = sum.add(FloatVector.fromArray(S, x, at));
      }
      float rest = sum.reduceLanes(VectorOperators.ADD);
      for (; at < end; at++) {
        rest += x[at];
      }
      y[r] = rest;
    }
  }

  /** Softmax of rows; sizes rows, columns. */
  static void softmax(List<Object> operands, Object result, int[] sizes) {
    float[] x = (float[]) operands.get(0);
    float[] y = (float[]) result;
    for (int r = 0; r < sizes[0]; r++) {
      int begin = r * sizes[1];
      int end = begin + sizes[1];
      int whole = end - sizes[1] % L;
      FloatVector most = FloatVector.broadcast(S, Float.NEGATIVE_INFINITY);
      for (int i = begin; i < whole; i += L) {
        most = most.max(FloatVector.fromArray(S, x, i));
      }
      float max = most.reduceLanes(VectorOperators.MAX);
      for (int i = whole; i < end; i++) {
        max = Math.max(max, x[i]);
      }
      FloatVector sums = FloatVector.zero(S);
      for (int i = begin; i < whole; i += L) {
        FloatVector e = FloatVector.fromArray(S, x, i).sub(max).lanewise(VectorOperators.EXP);
        e.intoArray(y, i);
        sums = sums.add(e);
      }
      float sum = sums.reduceLanes(VectorOperators.ADD);
      for (int i = whole; i < end; i++) {
        y[i] = (float) Math.exp(x[i] - max);
        sum += y[i];
      }
      for (int i = begin; i < whole; i += L) {
        FloatVector.fromArray(S, y, i).div(sum).intoArray(y, i);
      }
      for (int i = whole; i < end; i++) {
        y[i] /= sum;
      }
    }
  }

  /** Operands x[c][h + 2][w + 2] (padded), w[c][9], bias[c]; sizes c, h, w. */
  static void depthwise(List<Object> operands, Object result, int[] sizes) {
    float[] x = (float[]) operands.get(0);
    float[] f = (float[]) operands.get(1);
    float[] bias = (float[]) operands.get(2);
    float[] y = (float[]) result;
    int height = sizes[1];
    int width = sizes[2];
    int stride = width + 2;
    for (int c = 0; c < sizes[0]; c++) {
      for (int h = 0; h < height; h++) {
        int in = (c * (height + 2) + h) * stride;
        depthwiseRow(x, in, stride, f, c * 9, bias[c], y, (c * height + h) * width, width);
      }
    }
  }

  private static void depthwiseRow(
      float[] x, int in, int stride, float[] f, int at, float bias, float[] y, int out, int width) {
    int w = 0;
    for (; w + L <= width; w += L) {
      FloatVector sum = FloatVector.broadcast(S, bias);
      for (int r = 0; r < 3; r++) {
        int row = in + r * stride + w;
        sum = FloatVector.fromArray(S, x, row).fma(FloatVector.broadcast(S, f[at + 3 * r]), sum);
        sum =
            FloatVector.fromArray(S, x, row + 1)
                .fma(FloatVector.broadcast(S, f[at + 3 * r + 1]), sum);
        sum =
            FloatVector.fromArray(S, x, row + 2)
                .fma(FloatVector.broadcast(S, f[at + 3 * r + 2]), sum);
      }
      sum.intoArray(y, out + w);
    }
    for (; w < width; w++) {
      float sum = bias;
      for (int t = 0; t < 9; t++) {
        sum += f[at + t] * x[in + t / 3 * stride + w + t % 3];
      }
      y[out + w] = sum;
    }
  }

  /** 2 x 2 windows, stride 2; sizes c, h, w of the output. */
  static void maxPool(List<Object> operands, Object result, int[] sizes) {
    float[] x = (float[]) operands.get(0);
    float[] y = (float[]) result;
    int width = sizes[2];
    for (int row = 0; row < sizes[0] * sizes[1]; row++) {
      int in = row * 4 * width;
      for (int w = 0; w < width; w++) {
        int a = in + 2 * w;
        int b = a + 2 * width;
        y[row * width + w] = Math.max(Math.max(x[a], x[a + 1]), Math.max(x[b], x[b + 1]));
      }
    }
  }
}
