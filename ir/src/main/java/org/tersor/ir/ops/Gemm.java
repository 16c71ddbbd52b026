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
 * Gemm (1, 6, 7, 9, 11, 13) and com.microsoft FusedGemm: Y [M, N] = alpha * A' [M, K] x B' [K, N] +
 * beta * C, C broadcast to [M, N]. Before opset 7 an attribute said that C is to be broadcast;
 * before 11 C was required.
 */
final class Gemm extends OpBase implements Differentiable {

  Gemm() {
    super(
        schema(
                OpSchema.of("", "Gemm", 1, 6, 7, 9, 11, 13)
                    .sample(
                        "-10: C[m~ n~]=must; A[m k]; B[k n]; 11-: C[m~ n~]; transA=0; transB=0; alpha=-2.0..2.0; beta=-2.0..2.0; broadcast=- || A[k m]; B[n k]; -10: C[n~]=must; 11-: C[n~]; transA!=1; transB!=1; alpha=-; beta=-; broadcast=- || transB!=1; A[m k]; B[n k]; -10: C[]=must; 11-: C[]; transA=-; alpha=-; beta=-2.0..2.0; broadcast=-"))
            .attribute("broadcast", AttributeKind.INT));
  }

  private Gemm(OpSchema.Builder schema) {
    super(schema);
  }

  static Gemm fused() {
    return new Gemm(
        Activation.attributes(
            schema(
                OpSchema.of("com.microsoft", "FusedGemm", 1)
                    .sample(
                        "A[m k]; B[k n]; C[m~ n~]; transA=0; transB=0; alpha=-2.0..2.0; beta=-2.0..2.0; activation!=Relu|Sigmoid|Tanh; activation_params=-; activation_alpha=-; activation_beta=-; activation_gamma=-"))));
  }

  private static OpSchema.Builder schema(OpSchema.Builder schema) {
    return schema
        .input("A", "T")
        .input("B", "T")
        .optional("C", "T")
        .output("Y", "T")
        .attribute("alpha", AttributeKind.FLOAT)
        .attribute("beta", AttributeKind.FLOAT)
        .attribute("transA", AttributeKind.INT)
        .attribute("transB", AttributeKind.INT)
        .types("T", Types.NUMERIC)
        .tolerance(OpSchema.Tolerance.ACCUMULATION);
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    if (!schema().domain().isEmpty() || !c.dtype(0).isFloat()) {
      throw c.error("TSR-0203", "the derivative of a product with an activation is not known");
    }
    Value scaled = p.add("Mul", p.gradient(), p.number(c.dtype(0), c.floatAttr("alpha", 1)));
    Value a = p.inputs().get(0);
    Value b = p.inputs().get(1);
    Value byA = p.add("MatMul", scaled, transB(c) ? b : p.transposed(b, 2));
    Value byB = p.add("MatMul", transA(c) ? a : p.transposed(a, 2), scaled);
    List<Value> parts = new ArrayList<>();
    parts.add(transA(c) ? p.transposed(byA, 2) : byA);
    parts.add(transB(c) ? p.transposed(byB, 2) : byB);
    if (c.hasInput(2)) {
      DimExpr m = c.dims(0).get(transA(c) ? 1 : 0);
      DimExpr n = c.dims(1).get(transB(c) ? 0 : 1);
      Value byC = p.unbroadcast(c, p.gradient(), List.of(m, n), c.dims(2));
      parts.add(p.add("Mul", byC, p.number(c.dtype(0), c.floatAttr("beta", 1))));
    }
    return parts;
  }

  private static boolean transA(OpContext c) {
    return c.intAttr("transA", 0) != 0;
  }

  private static boolean transB(OpContext c) {
    return c.intAttr("transB", 0) != 0;
  }

  private static Product product(OpContext c) {
    if (c.rank(0) != 2 || c.rank(1) != 2) {
      throw c.error("TSR-0303", "A and B must be matrices");
    }
    Product product = Product.of(c, c.dims(0), c.dims(1), transA(c), transB(c));
    if (c.hasInput(2) && c.in(2).isRanked()) {
      List<DimExpr> bias = c.dims(2);
      for (int d = 0; d < bias.size(); d++) {
        int at = d + 2 - bias.size();
        if (at < 0
            || (bias.get(d).isConst()
                && !bias.get(d).isConst(1)
                && product.out().get(at).isConst()
                && !bias.get(d).equals(product.out().get(at)))) {
          throw c.error("TSR-0303", "C cannot be broadcast to " + product.out());
        }
      }
    }
    return product;
  }

  @Override
  public Optional<WeightLayout> weights(OpContext c) {
    return c.in(1).isRanked() && c.rank(1) == 2
        ? Optional.of(WeightLayout.of(1, 2, transB(c) ? 0 : 1))
        : Optional.empty();
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
    double alpha = c.floatAttr("alpha", 1);
    double beta = c.floatAttr("beta", 1);
    boolean exact = a.dtype().isInteger() && alpha == 1 && beta == 1;
    double[] x = exact ? new double[0] : Reals.of(a);
    double[] w = exact ? new double[0] : Reals.of(b);
    long[] stepC = c.hasInput(2) ? Shapes.broadcastStrides(c.input(2).shape(), 2) : new long[2];
    Activation activation = Activation.ofGemm(c);
    Product.forEach(
        a.shape(),
        b.shape(),
        transA(c),
        transB(c),
        (at, pa, sa, pb, sb, n, row, column) -> {
          int atC = (int) (row * stepC[0] + column * stepC[1]);
          if (exact) {
            long sum = c.hasInput(2) ? c.input(2).getLong(atC) : 0;
            for (int k = 0; k < n; k++) {
              sum += a.getLong(pa + k * sa) * b.getLong(pb + k * sb);
            }
            y.setLong(at, sum);
          } else {
            double sum = 0;
            for (int k = 0; k < n; k++) {
              sum += x[pa + k * sa] * w[pb + k * sb];
            }
            sum = alpha * sum + (c.hasInput(2) && beta != 0 ? beta * c.input(2).getDouble(atC) : 0);
            y.setDouble(at, activation.apply(sum));
          }
        });
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    Product p = product(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    KExpr sum = K.sum(List.of(p.k()), K.mul(kernel.value(0, p.a()), kernel.value(1, p.b())));
    float alpha = c.floatAttr("alpha", 1);
    float beta = c.floatAttr("beta", 1);
    if (!sum.scalar().isFloat() && (alpha != 1 || beta != 1)) {
      sum = K.cast(Scalar.F64, sum);
    }
    KExpr value = MatMul.scaled(sum, alpha);
    if (c.hasInput(2) && beta != 0) {
      KExpr bias =
          K.cast(value.scalar(), K.at(kernel.in(2), Shapes.index(c.dims(2), p.out(), p.axes())));
      value = K.add(value, MatMul.scaled(bias, beta));
    }
    kernel.stage(kernel.out(0), p.axes(), Activation.ofGemm(c).apply(value));
    return kernel.build();
  }
}
