package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
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
  private final boolean requantised;

  private QLinearConv(OpSchema.Builder schema, boolean requantised) {
    super(schema);
    this.requantised = requantised;
  }

  static QLinearConv qlinear() {
    return new QLinearConv(
        Conv.attributes(
            OpSchema.of("", "QLinearConv", 10)
                .sample(
                    "group=1|2; x[n group.c s*2]; x_scale[]=positive; x_zero_point[]; k=each(s, 1..3); w[group.m c k*]; w_scale[]=positive; w_zero_point[]; y_scale[]=positive; y_zero_point[]; B[group.m]; kernel_shape=k; strides=each(s, 1..2); dilations=each(s, 1..2); pads=each2(s, 0..1); auto_pad=-")
                .input("x", "T1")
                .input("x_scale", "F")
                .input("x_zero_point", "T1")
                .input("w", "T2")
                .input("w_scale", "F")
                .input("w_zero_point", "T2")
                .input("y_scale", "F")
                .input("y_zero_point", "T3")
                .optional("B", "T4")
                .output("y", "T3")
                .types("F", Types.set(DType.F32))
                .types("T1", Types.set(DType.U8, DType.I8))
                .types("T2", Types.set(DType.U8, DType.I8))
                .types("T3", Types.set(DType.U8, DType.I8))
                .types("T4", Types.set(DType.I32))
                .tolerance(OpSchema.Tolerance.ROUNDING)),
        true);
  }

  static QLinearConv integer() {
    return new QLinearConv(
        Conv.attributes(
            OpSchema.of("", "ConvInteger", 10)
                .sample(
                    "group=1|2; x[n group.c s*2]; k=each(s, 1..3); w[group.m c k*]; x_zero_point[]; w_zero_point[]; kernel_shape=k; strides=each(s, 1..2); dilations=each(s, 1..2); pads=each2(s, 0..1); auto_pad=-")
                .input("x", "T1")
                .input("w", "T2")
                .optional("x_zero_point", "T1")
                .optional("w_zero_point", "T2")
                .output("y", "T3")
                .types("T1", Types.set(DType.U8, DType.I8))
                .types("T2", Types.set(DType.U8, DType.I8))
                .types("T3", Types.set(DType.I32))
                .tolerance(OpSchema.Tolerance.EXACT)),
        false);
  }

  private int w() {
    return requantised ? 3 : 1;
  }

  private int xZero() {
    return 2;
  }

  private int wZero() {
    return requantised ? 5 : 3;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    DType out = requantised ? c.dtype(7) : DType.I32;
    boolean known = c.in(0).isRanked() && c.in(w()).isRanked();
    for (int i = 1; i < c.inputCount(); i++) {
      if (i != w() && c.hasInput(i) && c.in(i).isRanked() && c.rank(i) > 1) {
        throw c.error("TSR-0303", "input " + i + " must be a scalar or of rank 1");
      }
    }
    return List.of(
        known
            ? ValueType.TensorType.of(out, ConvPlan.of(c, 0, w()).out())
            : ValueType.TensorType.unranked(out));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    ConvPlan plan = ConvPlan.of(c, 0, w());
    Tensor y = Shapes.allocate(c, outType(c, 0).dtype(), Window.numbers(plan.out()));
    long[] x = Shapes.longs(c.input(0));
    long[] w = Shapes.longs(c.input(w()));
    int filterSize = c.input(w()).size() / Math.max(1, (int) c.input(w()).shape()[0]);
    long zx = zero(c, xZero(), 0);
    int[] sum = new int[1];
    plan.forEach(
        c.input(0).shape(),
        c.input(w()).shape(),
        (px, pw, taps, inputAt, kernelAt) -> {
          long zw = zero(c, wZero(), pw / filterSize);
          for (int t = 0; t < taps; t++) {
            sum[0] += (int) ((x[px + inputAt[t]] - zx) * (w[pw + kernelAt[t]] - zw));
          }
        },
        (at, channel) -> {
          if (requantised) {
            int total = sum[0] + (c.hasInput(8) ? (int) c.input(8).getLong(channel) : 0);
            float scale =
                Quant.scaleAt(c, 1, 0) * Quant.scaleAt(c, 4, channel) / Quant.scaleAt(c, 6, 0);
            y.setLong(at, Quant.saturate(y.dtype(), (float) total * scale, c.input(7).getLong(0)));
          } else {
            y.setLong(at, sum[0]);
          }
          sum[0] = 0;
        });
    return List.of(y);
  }

  private static long zero(EvalContext c, int index, int channel) {
    return Quant.zeroAt(c, index, channel);
  }

  @Override
  Lowering code(OpContext c) {
    ConvPlan plan = ConvPlan.of(c, 0, w());
    KernelBuilder kernel = new KernelBuilder(this, c);
    KExpr zx =
        Quant.zero(
            kernel,
            c,
            xZero(),
            c.hasInput(xZero()) ? Quant.perChannel(c, xZero(), K.index(0)) : List.of());
    KExpr zw =
        Quant.zero(
            kernel,
            c,
            wZero(),
            c.hasInput(wZero()) ? Quant.perChannel(c, wZero(), plan.channel()) : List.of());
    // Padding is the zero point, so the difference is 0 there.
    KExpr x = plan.guarded(Quant.centered(K.at(kernel.in(0), plan.x()), zx), K.i32(0));
    KExpr w = Quant.centered(K.at(kernel.in(w()), plan.w()), zw);
    KExpr sum = K.sum(plan.fold(), K.mul(x, w));
    if (!requantised) {
      kernel.stage(kernel.out(0), plan.axes(), plan.target(), sum);
      return kernel.build();
    }
    if (c.hasInput(8)) {
      sum = K.add(sum, K.at(kernel.in(8), plan.channel()));
    }
    KExpr sx = Quant.scale(kernel, 1, Quant.perChannel(c, 1, K.index(0)));
    KExpr sw = Quant.scale(kernel, 4, Quant.perChannel(c, 4, plan.channel()));
    KExpr sy = Quant.scale(kernel, 6, Quant.perChannel(c, 6, K.index(0)));
    KExpr value = K.mul(K.cast(Scalar.F32, sum), K.div(K.mul(sx, sw), sy));
    KExpr zy = Quant.zero(kernel, c, 7, Quant.perChannel(c, 7, K.index(0)));
    kernel.stage(kernel.out(0), plan.axes(), plan.target(), Quant.saturated(c.dtype(7), value, zy));
    return kernel.build();
  }
}
