package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.WeightVectors;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Geometry of a matrix product as numpy.matmul defines it: A [..., M, K] times B [..., K, N],
 * leading dimensions broadcast; a vector is a row on the left and a column on the right, and that
 * dimension is dropped from the result.
 *
 * @param out shape of the result
 * @param axes one per dimension of the result
 * @param k the contracted axis
 * @param a index into the left operand
 * @param b index into the right operand
 */
record Product(List<DimExpr> out, List<Axis> axes, Axis k, List<KExpr> a, List<KExpr> b) {

  static Product of(OpContext c, List<DimExpr> a, List<DimExpr> b) {
    return of(c, a, b, false, false);
  }

  /** With the last two dimensions of an operand exchanged. */
  static Product of(OpContext c, List<DimExpr> a, List<DimExpr> b, boolean transA, boolean transB) {
    if (a.isEmpty() || b.isEmpty()) {
      throw c.error("TSR-0303", "a matrix product needs operands of rank 1 or more");
    }
    boolean row = a.size() == 1;
    boolean column = b.size() == 1;
    int ra = a.size();
    int rb = b.size();
    DimExpr ka = a.get(row ? 0 : transA ? ra - 2 : ra - 1);
    DimExpr kb = b.get(column ? 0 : transB ? rb - 1 : rb - 2);
    if (ka.isConst() && kb.isConst() && !ka.equals(kb)) {
      throw c.error("TSR-0303", "the contracted dimensions " + ka + " and " + kb + " differ");
    }
    c.demandEqual(ka, kb);
    List<DimExpr> batchA = row ? List.of() : a.subList(0, ra - 2);
    List<DimExpr> batchB = column ? List.of() : b.subList(0, rb - 2);
    List<DimExpr> batch = Shapes.broadcast(c, List.of(batchA, batchB));
    List<DimExpr> out = new ArrayList<>(batch);
    List<Axis> axes = new ArrayList<>(Shapes.axes("b", batch));
    List<KExpr> ia = new ArrayList<>(Shapes.index(batchA, batch, axes));
    List<KExpr> ib = new ArrayList<>(Shapes.index(batchB, batch, axes));
    Axis k = new Axis("k", ka.isConst() ? ka : kb);
    if (!row) {
      Axis m = new Axis("m", a.get(transA ? ra - 1 : ra - 2));
      out.add(m.extent());
      axes.add(m);
      ia.add(K.axis(m));
    }
    ia.add(row || !transA ? ia.size() : ia.size() - 1, K.axis(k));
    ib.add(K.axis(k));
    if (!column) {
      Axis n = new Axis("n", b.get(transB ? rb - 2 : rb - 1));
      out.add(n.extent());
      axes.add(n);
      ib.add(transB ? ib.size() - 1 : ib.size(), K.axis(n));
    }
    return new Product(List.copyOf(out), List.copyOf(axes), k, List.copyOf(ia), List.copyOf(ib));
  }

  /** The rows of the left operand, each for the matrix of the right operand that it meets. */
  static void rows(Tensor left, long[] b, boolean transA, boolean transB, WeightVectors vectors) {
    int groups = (int) Tensor.count(java.util.Arrays.copyOf(b, Math.max(0, b.length - 2)));
    int columns = b.length == 1 ? 1 : (int) b[transB ? b.length - 2 : b.length - 1];
    int matrix = b.length == 1 ? (int) b[0] : (int) (b[b.length - 2] * b[b.length - 1]);
    if (matrix == 0 || columns == 0) {
      return;
    }
    forEach(
        left.shape(),
        b,
        transA,
        transB,
        (at, x, stepX, w, stepW, n, row, column) -> {
          if (column == 0) {
            float[] vector = new float[n];
            for (int k = 0; k < n; k++) {
              vector[k] = (float) left.getDouble(x + k * stepX);
            }
            vectors.add(w / matrix, groups, vector);
          }
        });
  }

  /** What {@link #forEach} calls for each element of the result. */
  interface Visitor {
    /**
     * @param at position in the result
     * @param a position of the first factor in the left operand, then every {@code stepA}
     * @param b likewise in the right operand
     * @param n number of products
     * @param row row of the (last) matrix, 0 if the left operand is a vector
     * @param column its column, 0 if the right operand is a vector
     */
    void element(int at, int a, int stepA, int b, int stepB, int n, int row, int column);
  }

  /**
   * Visits all elements of the product of constant shapes, last two dimensions exchanged where
   * told.
   */
  static void forEach(long[] a, long[] b, boolean transA, boolean transB, Visitor visitor) {
    int ra = a.length;
    int rb = b.length;
    long[] sa = Shapes.strides(a);
    long[] sb = Shapes.strides(b);
    int m = ra == 1 ? 1 : (int) a[transA ? ra - 1 : ra - 2];
    int n = rb == 1 ? 1 : (int) b[transB ? rb - 2 : rb - 1];
    int k = (int) a[ra == 1 ? 0 : transA ? ra - 2 : ra - 1];
    if (k != b[rb == 1 ? 0 : transB ? rb - 1 : rb - 2]) {
      throw new IllegalArgumentException("the contracted dimensions differ");
    }
    int stepM = ra == 1 ? 0 : (int) sa[transA ? ra - 1 : ra - 2];
    int stepA = (int) sa[ra == 1 ? 0 : transA ? ra - 2 : ra - 1];
    int stepN = rb == 1 ? 0 : (int) sb[transB ? rb - 2 : rb - 1];
    int stepB = (int) sb[rb == 1 ? 0 : transB ? rb - 1 : rb - 2];
    int batchRank = Math.max(Math.max(ra, rb) - 2, 0);
    long[] batch = new long[batchRank];
    java.util.Arrays.fill(batch, 1);
    for (int d = 0; d < batchRank; d++) {
      int da = d - (batchRank - (ra - 2));
      int db = d - (batchRank - (rb - 2));
      long ea = da >= 0 ? a[da] : 1;
      long eb = db >= 0 ? b[db] : 1;
      batch[d] = ea == 1 ? eb : ea;
    }
    int at = 0;
    long batches = Tensor.count(batch);
    for (long i = 0; i < batches; i++) {
      long[] index = Shapes.unravel(i, batch);
      int offsetA = 0;
      int offsetB = 0;
      for (int d = 0; d < batchRank; d++) {
        int da = d - (batchRank - (ra - 2));
        int db = d - (batchRank - (rb - 2));
        offsetA += da >= 0 && a[da] != 1 ? (int) (index[d] * sa[da]) : 0;
        offsetB += db >= 0 && b[db] != 1 ? (int) (index[d] * sb[db]) : 0;
      }
      for (int r = 0; r < m; r++) {
        for (int col = 0; col < n; col++) {
          visitor.element(
              at++, offsetA + r * stepM, stepA, offsetB + col * stepN, stepB, k, r, col);
        }
      }
    }
  }
}
