package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * AveragePool (1, 7, 10, 11, 19, 22): the mean of each window over its elements inside X or, with
 * count_include_pad (from 7), over those inside X and its padding. ceil_mode from 10, dilations
 * from 19.
 */
final class AveragePool extends OpBase implements Differentiable {
  AveragePool() {
    super(
        PoolPlan.attributes(
                OpSchema.of("", "AveragePool", 1, 7, 10, 11, 19, 22)
                    .sample(
                        "X[n c s*1-2]; kernel_shape=each(s, 2..3); strides=each(s, 1..2); pads=each2(s, 0..1); -6: count_include_pad=-; 7-: count_include_pad=0|1; 10-: ceil_mode=0|1; 19-: dilations=each(s, 1..2); auto_pad=- || X[n c s*1-2]; kernel_shape=each(s, 1..3); strides=each(s, 1..2); -6: count_include_pad=-; 7-: count_include_pad=0|1; auto_pad=SAME_UPPER|SAME_LOWER|VALID; ceil_mode=-; pads=-; dilations=-"))
            .input("X", "T")
            .output("Y", "T")
            .attribute("count_include_pad", AttributeKind.INT)
            .attribute("dilations", AttributeKind.INTS)
            .types("T", Types.FLOATS)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(type(c.dtype(0), c.in(0).shape().map(s -> PoolPlan.of(c).out())));
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    return List.of(ConvGradient.average(c, p, includesPad(c)));
  }

  static boolean includesPad(OpContext c) {
    return c.intAttr("count_include_pad", 0) != 0;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    PoolPlan plan = PoolPlan.of(c);
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), Window.numbers(plan.out()));
    plan.forEach((at, plane, window, taps, inputAt, padded) -> {
      double sum = 0;
      for (int t = 0; t < taps; t++) {
        sum += x.getDouble(plane + inputAt[t]);
      }
      y.setDouble(at, sum / (includesPad(c) ? padded : taps));
    });
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    PoolPlan plan = PoolPlan.of(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    KExpr x = kernel.value(0, plan.x());
    KExpr sum = K.sum(plan.fold(), plan.guarded(x, K.literal(x.scalar(), 0.0)));
    kernel.stage(kernel.out(0), plan.axes(), K.div(sum, count(plan, includesPad(c), x.scalar())));
    return kernel.build();
  }

  /** Elements that a window counts, as a number of the given type. */
  static KExpr count(PoolPlan plan, boolean includesPad, Scalar type) {
    Window w = plan.window();
    DimExpr constant = DimExpr.ONE;
    KExpr variable = K.index(1);
    for (int d = 0; d < w.rank(); d++) {
      boolean whole =
          includesPad
              ? !w.reachesBeyondPadding(d)
              : w.inside(d, K.axis(new Axis("p", DimExpr.of(2)))) instanceof KExpr.IntLit;
      if (whole) {
        constant = constant.times(w.kernel().get(d));
      } else {
        variable = K.mul(variable, counted(w, d, plan.axes().get(2 + d), includesPad));
      }
    }
    KExpr count = K.mul(K.dim(constant), variable);
    return count instanceof KExpr.IntLit literal
        ? K.literal(type, (double) literal.value())
        : K.cast(type, count);
  }

  /** Taps of a window in dimension {@code d} inside the input, or the input and its padding. */
  private static KExpr counted(Window w, int d, Axis out, boolean includesPad) {
    DimExpr low = includesPad ? w.padBegin().get(d).times(-1) : DimExpr.ZERO;
    DimExpr high = includesPad ? w.input().get(d).plus(w.padEnd().get(d)) : w.input().get(d);
    KExpr first = K.sub(K.mul(K.axis(out), K.index(w.stride()[d])), K.dim(w.padBegin().get(d)));
    long dilation = w.dilation()[d];
    // First tap at or after `low`, first tap at or after `high`, of taps at first + i * dilation.
    KExpr skipped = K.max(ceilDiv(K.sub(K.dim(low), first), dilation), K.index(0));
    KExpr end = K.min(ceilDiv(K.sub(K.dim(high), first), dilation), K.dim(w.kernel().get(d)));
    return K.sub(end, skipped);
  }

  private static KExpr ceilDiv(KExpr a, long b) {
    return K.floorDiv(K.add(a, K.index(b - 1)), K.index(b));
  }
}
