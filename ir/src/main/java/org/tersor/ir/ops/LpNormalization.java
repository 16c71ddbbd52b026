package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.Tensor;

/**
 * LpNormalization (1, 22): each vector along axis divided by its 1- or 2-norm; a zero vector stays
 * zero.
 */
final class LpNormalization extends OpBase {
  LpNormalization() {
    super(
        OpSchema.of("", "LpNormalization", 1, 22)
            .sample("input[d*1-4]; axis=axis(input); p=1|2")
            .input("input", "T")
            .output("output", "T")
            .attribute("axis", AttributeKind.INT)
            .attribute("p", AttributeKind.INT)
            .types("T", Types.FLOATS)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(c.in(0));
  }

  private static boolean isL1(OpContext c) {
    long p = c.intAttr("p", 2);
    if (p != 1 && p != 2) {
      throw c.error("TSR-0304", "p must be 1 or 2, not " + p);
    }
    return p == 1;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), x.shape());
    int axis = c.axis(c.intAttr("axis", -1), x.rank());
    int step = (int) Shapes.strides(x.shape())[axis];
    int n = (int) x.shape()[axis];
    for (int i = 0; i < x.size(); i++) {
      int first = i - i / step % n * step;
      double norm = 0;
      for (int k = 0; k < n; k++) {
        double v = x.getDouble(first + k * step);
        norm += isL1(c) ? Math.abs(v) : v * v;
      }
      norm = isL1(c) ? norm : Math.sqrt(norm);
      y.setDouble(i, norm == 0 ? 0 : x.getDouble(i) / norm);
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    int axis = c.axis(c.intAttr("axis", -1), axes.size());
    Reduction r = Reduction.over(kernel, axes, axis, axis + 1);
    KExpr x = kernel.value(0, Shapes.refs(axes));
    KExpr norm =
        isL1(c)
            ? r.sum("norm", K.unary(UnaryOp.ABS, x))
            : r.store("norm", K.unary(UnaryOp.SQRT, K.sum(r.folded(), K.mul(x, x))));
    KExpr zero = K.literal(x.scalar(), 0.0);
    kernel.stage(kernel.out(0), axes, K.select(K.eq(norm, zero), zero, K.div(x, norm)));
    return kernel.build();
  }
}
