package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * QLinearConv (10): a convolution of 8-bit integers with an int32 bias, requantised: Y =
 * saturate(rint(i32 sum * (sx * sw / sy)) + zy), W quantized per tensor or per output channel.
 * ConvInteger (10): the int32 sum itself.
 */
final class QLinearConv extends OpBase {
  private final IntegerSums sums;

  private QLinearConv(OpSchema.Builder schema, IntegerSums sums) {
    super(sums.schema(Conv.attributes(schema)));
    this.sums = sums;
  }

  static QLinearConv qlinear() {
    return new QLinearConv(
        OpSchema.of("", "QLinearConv", 10)
            .sample(
                "group=1|2; x[n group.c s*2]; x_scale[]=positive; x_zero_point[]; k=each(s, 1..3); w[group.m c k*]; w_scale[]=positive; w_zero_point[]; y_scale[]=positive; y_zero_point[]; B[group.m]; kernel_shape=k; strides=each(s, 1..2); dilations=each(s, 1..2); pads=each2(s, 0..1); auto_pad=-"),
        new IntegerSums(true));
  }

  static QLinearConv integer() {
    return new QLinearConv(
        OpSchema.of("", "ConvInteger", 10)
            .sample(
                "group=1|2; x[n group.c s*2]; k=each(s, 1..3); w[group.m c k*]; x_zero_point[]; w_zero_point[]; kernel_shape=k; strides=each(s, 1..2); dilations=each(s, 1..2); pads=each2(s, 0..1); auto_pad=-"),
        new IntegerSums(false));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    DType out = sums.type(c);
    boolean known = c.in(0).isRanked() && c.in(sums.w()).isRanked();
    return List.of(
        known
            ? ValueType.TensorType.of(out, ConvPlan.of(c, 0, sums.w()).out())
            : ValueType.TensorType.unranked(out));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor weight = c.input(sums.w());
    ConvPlan plan = ConvPlan.of(c, 0, sums.w());
    Tensor y = Shapes.allocate(c, outType(c, 0).dtype(), Window.numbers(plan.out()));
    long[] x = Shapes.longs(c.input(0));
    long[] w = Shapes.longs(weight);
    int filterSize = weight.size() / Math.max(1, (int) weight.shape()[0]);
    long zx = sums.xZero(c);
    int[] sum = new int[1];
    plan.forEach(
        c.input(0).shape(),
        weight.shape(),
        (px, pw, taps, inputAt, kernelAt) -> {
          long zw = sums.wZero(c, pw / filterSize);
          for (int t = 0; t < taps; t++) {
            sum[0] += (int) ((x[px + inputAt[t]] - zx) * (w[pw + kernelAt[t]] - zw));
          }
        },
        (at, channel) -> {
          y.setLong(at, sums.result(c, sum[0], channel, channel));
          sum[0] = 0;
        });
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    ConvPlan plan = ConvPlan.of(c, 0, sums.w());
    KernelBuilder kernel = new KernelBuilder(this, c);
    // Padding is the zero point, so the difference is 0 there.
    KExpr x = plan.guarded(sums.x(kernel, c, plan.x()), K.i32(0));
    KExpr w = sums.w(kernel, c, plan.w(), plan.channel());
    KExpr sum = K.sum(plan.fold(), K.mul(x, w));
    KExpr value = sums.result(kernel, c, sum, plan.channel(), plan.channel());
    kernel.stage(kernel.out(0), plan.axes(), plan.target(), value);
    return kernel.build();
  }
}
