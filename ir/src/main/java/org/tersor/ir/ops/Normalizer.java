package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Rows of X divided by their largest element, the sum of magnitudes or the root of the sum of
 * squares; unchanged where that is 0.
 */
final class Normalizer extends OpBase {
  Normalizer() {
    super(
        OpSchema.of(TabledOperator.ML, "Normalizer", 1)
            .sample("X[n f]; norm=MAX|L1|L2")
            .input("X", "T")
            .output("Y", "F")
            .types("F", Types.set(DType.F32))
            .types("T", FeatureOperators.NUMBERS)
            .attribute("norm", AttributeKind.STRING)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private static String norm(OpContext c) {
    String norm = c.stringAttr("norm", "MAX");
    if (!List.of("MAX", "L1", "L2").contains(norm)) {
      throw c.error("TSR-0304", "norm '" + norm + "' is not MAX, L1 or L2");
    }
    if (c.in(0).isRanked() && (c.rank(0) < 1 || c.rank(0) > 2)) {
      throw c.error("TSR-0303", "X must be [N, C] or [C]");
    }
    return norm;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    norm(c);
    return List.of(c.in(0).withDtype(DType.F32));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    String norm = norm(c);
    Tensor x = c.input(0);
    Tensor y = Tensor.zeros(DType.F32, x.shape());
    int width = (int) x.shape()[x.rank() - 1];
    for (int first = 0; first < x.size(); first += width) {
      double total = norm.equals("MAX") ? Double.NEGATIVE_INFINITY : 0;
      for (int i = first; i < first + width; i++) {
        double v = x.getDouble(i);
        total =
            switch (norm) {
              case "MAX" -> Math.max(total, v);
              case "L1" -> total + Math.abs(v);
              default -> total + v * v;
            };
      }
      total = norm.equals("L2") ? Math.sqrt(total) : total;
      for (int i = first; i < first + width; i++) {
        y.setDouble(i, total == 0 ? x.getDouble(i) : x.getDouble(i) / total);
      }
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    String norm = norm(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    Scalar type = c.dtype(0) == DType.F32 ? Scalar.F32 : Scalar.F64;
    KExpr x = K.cast(type, kernel.value(0, Shapes.refs(axes)));
    Reduction row = Reduction.over(kernel, axes, axes.size() - 1, axes.size());
    KExpr total =
        switch (norm) {
          case "MAX" -> row.reduce("total", ReduceOp.MAX, x);
          case "L1" -> row.sum("total", K.unary(UnaryOp.ABS, x));
          default -> K.unary(UnaryOp.SQRT, row.sum("total", K.mul(x, x)));
        };
    KExpr zero = K.literal(type, 0.0);
    kernel.stage(kernel.out(0), axes, K.select(K.eq(total, zero), x, K.div(x, total)));
    return kernel.build();
  }
}
