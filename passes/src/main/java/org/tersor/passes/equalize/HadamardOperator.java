package org.tersor.passes.equalize;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * {@code org.tersor.hadamard(x) -> y}: the rows of the last dimension times the {@link Hadamard}
 * matrix of its size. Not a layer: its matrix is no weight and is never quantized.
 */
public final class HadamardOperator implements Operator, OperatorProvider {
  /** Name of the operator. */
  public static final String TYPE = "hadamard";

  @Override
  public List<Operator> operators() {
    return List.of(this);
  }

  @Override
  public OpSchema schema() {
    return OpSchema.of(OpKey.TERSOR, TYPE, 1)
        .input("x", "T")
        .output("y", "T")
        .types("T", java.util.EnumSet.of(DType.F32))
        .tolerance(OpSchema.Tolerance.ROUNDING)
        .build();
  }

  private static Hadamard matrix(OpContext c) {
    List<DimExpr> dims = c.dims(0);
    if (dims.isEmpty() || !dims.getLast().isConst()) {
      throw c.error("TSR-0303", "the last dimension must be known");
    }
    return Hadamard.of(Math.toIntExact(dims.getLast().constValue()))
        .orElseThrow(() ->
            c.error("TSR-0303", "no Hadamard matrix of order " + dims.getLast() + " is known"));
  }

  @Override
  public List<ValueType> infer(OpContext c) {
    if (c.in(0).isRanked()) {
      matrix(c);
    }
    return List.of(c.in(0));
  }

  @Override
  public List<Tensor> eval(EvalContext c) {
    Hadamard matrix = matrix(c);
    Tensor x = c.input(0);
    Tensor y = Tensor.zeros(x.dtype(), x.shape());
    int n = matrix.order();
    for (int row = 0; row < x.size(); row += n) {
      for (int j = 0; j < n; j++) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
          sum += x.getDouble(row + i) * matrix.sign(i, j);
        }
        y.setDouble(row + j, sum / Math.sqrt(n));
      }
    }
    return List.of(y);
  }

  /** [.., a b] as [.., a, b]: b's matrix from the right, then a's through a transposition. */
  @Override
  public Lowering lower(OpContext c) {
    Value x = c.node().input(0);
    int rank = c.dims(0).size();
    Hadamard matrix = matrix(c);
    int[] factors = matrix.factors();
    return new Lowering.Decompose(build -> {
      if (factors[1] == 1) {
        return List.of(build.add("MatMul", x, elements(build, matrix)));
      }
      List<Long> split = new ArrayList<>();
      List<Long> order = new ArrayList<>();
      for (long d = 0; d < rank - 1; d++) {
        split.add(0L);
        order.add(d);
      }
      split.add((long) factors[0]);
      split.add((long) factors[1]);
      order.add((long) rank);
      order.add((long) rank - 1);
      Map<String, org.tersor.ir.graph.Attribute> swap =
          Map.of("perm", new org.tersor.ir.graph.Attribute.IntsAttr(order));
      Value parts = build.add("Reshape", x, longs(build, split));
      Value right =
          build.add("MatMul", parts, elements(build, Hadamard.of(factors[1]).orElseThrow()));
      Value left =
          build.add(
              "MatMul",
              build.add("Transpose", swap, right),
              elements(build, Hadamard.of(factors[0]).orElseThrow()));
      List<Long> joined = new ArrayList<>(split.subList(0, rank - 1));
      joined.add((long) matrix.order());
      return List.of(
          build.add("Reshape", build.add("Transpose", swap, left), longs(build, joined)));
    });
  }

  private static Value longs(GraphBuilder build, List<Long> values) {
    return build.longs(values.stream().mapToLong(v -> v).toArray());
  }

  private static Value elements(GraphBuilder build, Hadamard matrix) {
    int n = matrix.order();
    float[] values = new float[n * n];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (matrix.sign(i / n, i % n) / Math.sqrt(n));
    }
    return build.constant(Tensor.of(values, n, n));
  }
}
