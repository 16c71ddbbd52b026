package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.WeightLayout;
import org.tersor.ir.op.WeightVectors;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * MatMul (1, 9, 13) and com.microsoft FusedMatMul: Y = alpha * A x B, matrices optionally
 * transposed.
 */
final class MatMul extends OpBase implements Differentiable {

  MatMul() {
    super(
        OpSchema.of("", "MatMul", 1, 9, 13)
            .sample("A[b*0-2~ m k]; B[b*0-2~ k n] || A[k]; B[b*0-2 k n] || A[b*0-2 m k]; B[k]")
            .input("A", "T")
            .input("B", "T")
            .output("Y", "T")
            .types("T", Types.NUMERIC)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private MatMul(OpSchema.Builder schema) {
    super(schema);
  }

  static MatMul fused() {
    return new MatMul(
        OpSchema.of("com.microsoft", "FusedMatMul", 1)
            .sample(
                "A[b*0-1 m k]; B[b*0-1 k n]; alpha=0.25..2.0; transA=-; transB=-; transBatchA=-; transBatchB=-")
            .input("A", "T")
            .input("B", "T")
            .output("Y", "T")
            .attribute("alpha", AttributeKind.FLOAT)
            .attribute("transA", AttributeKind.INT)
            .attribute("transB", AttributeKind.INT)
            .attribute("transBatchA", AttributeKind.INT)
            .attribute("transBatchB", AttributeKind.INT)
            .types("T", Types.FLOATS)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private static boolean transA(OpContext c) {
    return c.intAttr("transA", 0) != 0 && c.rank(0) > 1;
  }

  private static boolean transB(OpContext c) {
    return c.intAttr("transB", 0) != 0 && c.rank(1) > 1;
  }

  private static Product product(OpContext c) {
    if (c.intAttr("transBatchA", 0) != 0 || c.intAttr("transBatchB", 0) != 0) {
      throw c.error(
          "TSR-0202",
          "transBatchA and transBatchB are not supported: put a Transpose before the node");
    }
    return Product.of(c, c.dims(0), c.dims(1), transA(c), transB(c));
  }

  @Override
  public Optional<WeightLayout> weights(OpContext c) {
    if (!c.in(1).isRanked() || c.rank(1) < 2) {
      return Optional.empty();
    }
    int rank = c.rank(1);
    List<Integer> rows = new ArrayList<>();
    for (int d = 0; d < rank - 2; d++) {
      rows.add(d);
    }
    rows.add(transB(c) ? rank - 2 : rank - 1);
    return Optional.of(new WeightLayout(1, rows, List.of(transB(c) ? rank - 1 : rank - 2)));
  }

  @Override
  public void weightVectors(EvalContext c, WeightVectors vectors) {
    Product.rows(c.input(0), c.input(1).shape(), transA(c), transB(c), vectors);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(type(c.dtype(0), shapes(c, 0, 2).map(s -> product(c).out())));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor a = c.input(0);
    Tensor b = c.input(1);
    Tensor y = Shapes.allocate(c, a.dtype(), outType(c, 0).staticShape());
    if (a.dtype().isInteger()) {
      long[] x = Shapes.longs(a);
      long[] w = Shapes.longs(b);
      Product.forEach(
          a.shape(),
          b.shape(),
          false,
          false,
          (at, pa, sa, pb, sb, n, row, column) -> {
            long sum = 0;
            for (int k = 0; k < n; k++) {
              sum += x[pa + k * sa] * w[pb + k * sb];
            }
            y.setLong(at, sum);
          });
      return List.of(y);
    }
    double alpha = c.floatAttr("alpha", 1);
    double[] x = Reals.of(a);
    double[] w = Reals.of(b);
    Product.forEach(
        a.shape(),
        b.shape(),
        transA(c),
        transB(c),
        (at, pa, sa, pb, sb, n, row, column) -> {
          double sum = 0;
          for (int k = 0; k < n; k++) {
            sum += x[pa + k * sa] * w[pb + k * sb];
          }
          y.setDouble(at, alpha * sum);
        });
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    Product p = product(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    KExpr sum = K.sum(List.of(p.k()), K.mul(kernel.value(0, p.a()), kernel.value(1, p.b())));
    kernel.stage(kernel.out(0), p.axes(), scaled(sum, c.floatAttr("alpha", 1)));
    return kernel.build();
  }

  /** {@code factor * value}, without the product where the factor is 1. */
  static KExpr scaled(KExpr value, float factor) {
    Scalar type = value.scalar();
    return factor == 1 ? value : K.mul(K.literal(type, (double) factor), value);
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    List<DimExpr> a = c.dims(0);
    List<DimExpr> b = c.dims(1);
    if (!schema().domain().isEmpty() || a.size() < 2 || b.size() < 2) {
      throw c.error("TSR-0203", "the derivative of a product with a vector is not known");
    }
    List<DimExpr> batch =
        Shapes.broadcast(c, List.of(a.subList(0, a.size() - 2), b.subList(0, b.size() - 2)));
    List<DimExpr> wideA = new ArrayList<>(batch);
    wideA.addAll(a.subList(a.size() - 2, a.size()));
    List<DimExpr> wideB = new ArrayList<>(batch);
    wideB.addAll(b.subList(b.size() - 2, b.size()));
    Value byA = p.add("MatMul", p.gradient(), p.transposed(p.inputs().get(1), b.size()));
    Value byB = p.add("MatMul", p.transposed(p.inputs().get(0), a.size()), p.gradient());
    return List.of(p.unbroadcast(c, byA, wideA, a), p.unbroadcast(c, byB, wideB, b));
  }
}
