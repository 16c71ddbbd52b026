package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Det (11, 22): determinants of square matrices [..., M, M], by elimination with pivots. */
final class Det extends OpBase {
  private static final long MAX_SIZE = 64;

  Det() {
    super(
        OpSchema.of("", "Det", 11, 22)
            .sample("X[b*0-2 n n]")
            .input("X", "T")
            .output("Y", "T")
            .types("T", Types.FLOATS)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private static List<DimExpr> batch(OpContext c) {
    List<DimExpr> x = c.dims(0);
    if (x.size() < 2) {
      throw c.error("TSR-0303", "X must be [..., M, M]");
    }
    Shapes.agree(c, "columns of a matrix", x.getLast(), x.get(x.size() - 2));
    return x.subList(0, x.size() - 2);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(
        c.in(0).isRanked() ? TensorType.of(c.dtype(0), batch(c)) : TensorType.unranked(c.dtype(0)));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    int m = (int) x.shape()[x.rank() - 1];
    Tensor y = Tensor.zeros(x.dtype(), Window.numbers(batch(c)));
    for (int i = 0; i < y.size(); i++) {
      double[][] a = new double[m][m];
      for (int e = 0; e < m * m; e++) {
        a[e / m][e % m] = x.getDouble(i * m * m + e);
      }
      y.setDouble(i, determinant(a));
    }
    return List.of(y);
  }

  private static double determinant(double[][] a) {
    double product = 1;
    for (int j = 0; j < a.length; j++) {
      int pivot = j;
      for (int i = j + 1; i < a.length; i++) {
        pivot = Math.abs(a[i][j]) > Math.abs(a[pivot][j]) ? i : pivot;
      }
      double[] row = a[pivot];
      a[pivot] = a[j];
      a[j] = row;
      product *= pivot == j ? row[j] : -row[j];
      if (row[j] == 0) {
        return product;
      }
      for (int i = j + 1; i < a.length; i++) {
        double factor = a[i][j] / row[j];
        for (int k = j; k < a.length; k++) {
          a[i][k] -= factor * row[k];
        }
      }
    }
    return product;
  }

  /** One step per column, so the size of a matrix must be known. */
  @Override
  Lowering code(OpContext c) {
    List<DimExpr> batch = batch(c);
    DimExpr size = c.dims(0).getLast();
    if (!size.isConst() || size.constValue() > MAX_SIZE) {
      throw notLowered(
          c, "a matrix must have a known number of at most " + MAX_SIZE + " rows, not " + size);
    }
    int m = (int) size.constValue();
    KernelBuilder kernel = new KernelBuilder(this, c);
    Scalar type = kernel.computeType(0);
    List<Axis> axes = Shapes.axes("b", batch);
    Axis row = new Axis("r", size);
    Axis column = new Axis("k", size);
    List<Axis> all = new ArrayList<>(axes);
    all.add(row);
    all.add(column);
    Buf matrix = kernel.temp("m0", type, c.dims(0));
    kernel.stage(matrix, all, kernel.value(0, Shapes.refs(all)));
    KExpr zero = K.literal(type, 0.0);
    KExpr product = K.literal(type, 1.0);
    for (int j = 0; j < m; j++) {
      KExpr at = K.index(j);
      KExpr candidate =
          K.select(
              K.ge(K.axis(row), at),
              K.unary(UnaryOp.ABS, element(matrix, axes, K.axis(row), at)),
              K.literal(type, -1.0));
      Reduction rows = new Reduction(kernel, axes, List.of(row));
      KExpr largest = rows.reduce("largest" + j, ReduceOp.MAX, candidate);
      // The first row that has the largest; with a NaN no row has it.
      KExpr hit = K.select(K.eq(candidate, largest), K.cast(Scalar.I32, K.axis(row)), K.i32(m - 1));
      KExpr pivot = K.cast(Scalar.INDEX, rows.reduce("pivot" + j, ReduceOp.MIN, hit));
      KExpr leading = element(matrix, axes, pivot, at);
      KExpr sign = K.select(K.eq(pivot, at), leading, K.neg(leading));
      product = new Reduction(kernel, axes, List.of()).store("product" + j, K.mul(product, sign));
      if (j == m - 1) {
        break;
      }
      KExpr from = K.select(K.eq(K.axis(row), pivot), at, K.axis(row));
      KExpr factor =
          K.select(K.eq(leading, zero), zero, K.div(element(matrix, axes, from, at), leading));
      KExpr reduced =
          K.sub(
              element(matrix, axes, from, K.axis(column)),
              K.mul(factor, element(matrix, axes, pivot, K.axis(column))));
      Buf next = kernel.temp("m" + (j + 1), type, c.dims(0));
      kernel.stage(next, all, K.select(K.gt(K.axis(row), at), reduced, zero));
      matrix = next;
    }
    kernel.stage(kernel.out(0), axes, product);
    return kernel.build();
  }

  private static KExpr element(Buf matrix, List<Axis> axes, KExpr row, KExpr column) {
    List<KExpr> index = new ArrayList<>(Shapes.refs(axes));
    index.add(row);
    index.add(column);
    return K.at(matrix, index);
  }
}
