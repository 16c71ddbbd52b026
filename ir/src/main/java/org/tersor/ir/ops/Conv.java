package org.tersor.ir.ops;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.WeightLayout;
import org.tersor.ir.op.WeightVectors;
import org.tersor.runtime.Tensor;

/**
 * Conv (1, 11, 22) and com.microsoft FusedConv: Y [N, M, windows...] = X [N, C, spatial...] * W [M,
 * C / group, kernel...] + B [M]; FusedConv adds Z and applies an activation.
 */
final class Conv extends OpBase implements Differentiable {

  Conv() {
    super(
        attributes(
            inputs(
                OpSchema.of("", "Conv", 1, 11, 22)
                    .sample(
                        "group=1|2; X[n group.c s*1-2]; k=each(s, 1..3); W[group.m c k*]; B[group.m]; kernel_shape=k; strides=each(s, 1..2); dilations=each(s, 1..2); pads=each2(s, 0..1); auto_pad=- || group=1|3; X[n group.c s*1-2]; k=each(s, 1..3); W[group.m c k*]; B[group.m]; kernel_shape=k; strides=each(s, 1..2); auto_pad=SAME_UPPER|SAME_LOWER|VALID; dilations=-; pads=-"))));
  }

  private Conv(OpSchema.Builder schema) {
    super(schema);
  }

  static Conv fused() {
    return new Conv(
        Activation.attributes(
            attributes(
                inputs(
                        OpSchema.of("com.microsoft", "FusedConv", 1)
                            .sample(
                                "group=1|2; X[n group.c s*2]; k=each(s, 1..3); W[group.m c k*]; B[group.m]; Z=-; kernel_shape=k; strides=each(s, 1..2); pads=each2(s, 0..1); dilations=-; auto_pad=-; activation=Relu|Sigmoid|Tanh; activation_params=-; activation_alpha=-; activation_beta=-; activation_gamma=-"))
                    .optional("Z", "T"))));
  }

  private static OpSchema.Builder inputs(OpSchema.Builder schema) {
    return schema
        .input("X", "T")
        .input("W", "T")
        .optional("B", "T")
        .output("Y", "T")
        .types("T", Types.FLOATS)
        .tolerance(OpSchema.Tolerance.ACCUMULATION);
  }

  /** Attributes that all convolutions have. */
  static OpSchema.Builder attributes(OpSchema.Builder schema) {
    return schema
        .attribute("auto_pad", AttributeKind.STRING)
        .attribute("dilations", AttributeKind.INTS)
        .attribute("group", AttributeKind.INT)
        .attribute("kernel_shape", AttributeKind.INTS)
        .attribute("pads", AttributeKind.INTS)
        .attribute("strides", AttributeKind.INTS);
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    if (!schema().domain().isEmpty()) {
      throw c.error("TSR-0203", "its derivative is not known");
    }
    return ConvGradient.conv(c, p);
  }

  @Override
  public Optional<WeightLayout> weights(OpContext c) {
    return c.in(1).isRanked() && c.rank(1) >= 3
        ? Optional.of(WeightLayout.of(1, c.rank(1), 0))
        : Optional.empty();
  }

  @Override
  public void weightVectors(EvalContext c, WeightVectors vectors) {
    ConvPlan.of(c, 0, 1).columns(c.input(0), c.input(1).shape(), vectors);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(type(c.dtype(0), shapes(c, 0, 2).map(s -> ConvPlan.of(c, 0, 1).out())));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    ConvPlan plan = ConvPlan.of(c, 0, 1);
    Tensor y = Shapes.allocate(c, c.dtype(0), Window.numbers(plan.out()));
    double[] x = Reals.of(c.input(0));
    double[] w = Reals.of(c.input(1));
    Activation activation = Activation.ofConv(c);
    double[] sum = new double[1];
    plan.forEach(
        c.input(0).shape(),
        c.input(1).shape(),
        (px, pw, taps, inputAt, kernelAt) -> {
          double total = 0;
          for (int t = 0; t < taps; t++) {
            total += x[px + inputAt[t]] * w[pw + kernelAt[t]];
          }
          sum[0] += total;
        },
        (at, channel) -> {
          double total =
              sum[0]
                  + (c.hasInput(2) ? c.input(2).getDouble(channel) : 0)
                  + (c.hasInput(3) ? c.input(3).getDouble(at) : 0);
          y.setDouble(at, activation.apply(total));
          sum[0] = 0;
        });
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    ConvPlan plan = ConvPlan.of(c, 0, 1);
    KernelBuilder kernel = new KernelBuilder(this, c);
    KExpr x = plan.guarded(kernel.value(0, plan.x()), K.literal(kernel.computeType(0), 0.0));
    KExpr value = K.sum(plan.fold(), K.mul(x, kernel.value(1, plan.w())));
    if (c.hasInput(2)) {
      value = K.add(value, kernel.value(2, plan.channel()));
    }
    if (c.hasInput(3)) {
      value = K.add(value, kernel.value(3, plan.target()));
    }
    kernel.stage(kernel.out(0), plan.axes(), plan.target(), Activation.ofConv(c).apply(value));
    return kernel.build();
  }
}
