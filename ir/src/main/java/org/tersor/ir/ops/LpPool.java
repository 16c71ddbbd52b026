package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.Tensor;

/**
 * LpPool (1, 2, 11, 18, 22): the p-norm of each window; dilations and ceil_mode from 18. p was a
 * float in version 1.
 */
final class LpPool extends OpBase implements Differentiable {
  LpPool() {
    super(
        PoolPlan.attributes(
                OpSchema.of("", "LpPool", 1, 2, 11, 18, 22)
                    .sample(
                        "X[n c s*1-2]; kernel_shape=each(s, 2..3); strides=each(s, 1..2); pads=each2(s, 0..1); 18-: ceil_mode=0|1; 18-: dilations=each(s, 1..2); p=1|2|3; auto_pad=-"))
            .input("X", "T")
            .output("Y", "T")
            .attribute("dilations", AttributeKind.INTS)
            .attribute("p", AttributeKind.INT)
            .types("T", Types.FLOATS)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(type(c.dtype(0), c.in(0).shape().map(s -> PoolPlan.of(c).out())));
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    FoldGradient fold = new FoldGradient(c, p, p.outputs().getFirst(), p.gradient());
    return List.of(fold.norm(GlobalPool.exponent(c), share -> ConvGradient.windows(c, p, share)));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    PoolPlan plan = PoolPlan.of(c);
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), Window.numbers(plan.out()));
    double p = GlobalPool.exponent(c);
    plan.forEach((at, plane, window, taps, inputAt, padded) -> {
      double sum = 0;
      for (int t = 0; t < taps; t++) {
        sum += Math.pow(Math.abs(x.getDouble(plane + inputAt[t])), p);
      }
      y.setDouble(at, Math.pow(sum, 1 / p));
    });
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    PoolPlan plan = PoolPlan.of(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    double p = GlobalPool.exponent(c);
    KExpr x = GlobalPool.power(kernel.value(0, plan.x()), p);
    KExpr sum = K.sum(plan.fold(), plan.guarded(x, K.literal(x.scalar(), 0.0)));
    kernel.stage(kernel.out(0), plan.axes(), GlobalPool.root(sum, p));
    return kernel.build();
  }
}
