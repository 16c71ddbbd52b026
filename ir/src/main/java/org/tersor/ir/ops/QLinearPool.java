package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
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
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * com.microsoft QLinearAveragePool: the mean of the dequantized window, quantized.
 * QLinearGlobalAveragePool: rint(i32 sum * (sx / (sy * count))) + zy. channels_last is supported
 * for the global pool only.
 */
final class QLinearPool extends OpBase {
  private final boolean global;

  QLinearPool(boolean global) {
    super(
        (global
                ? OpSchema.of("com.microsoft", "QLinearGlobalAveragePool", 1)
                    .sample(
                        "X[n c s*1-2]; x_scale[]=positive; x_zero_point![]; y_scale[]=positive; y_zero_point![]; channels_last=0")
                : PoolPlan.attributes(
                        OpSchema.of("com.microsoft", "QLinearAveragePool", 1)
                            .sample(
                                "X[n c s*1-2]; x_scale[]=positive; x_zero_point![]; y_scale[]=positive; y_zero_point![]; kernel_shape=each(s, 1..3); strides=each(s, 1..2); pads=-; count_include_pad=0|1; channels_last=-; auto_pad=-; ceil_mode=-"))
                    .attribute("count_include_pad", AttributeKind.INT))
            .input("X", "T")
            .input("x_scale", "F")
            .optional("x_zero_point", "T")
            .input("y_scale", "F")
            .optional("y_zero_point", "T")
            .output("Y", "T")
            .attribute("channels_last", AttributeKind.INT)
            .types("T", Types.set(DType.U8, DType.I8))
            .types("F", Types.set(DType.F32)));
    this.global = global;
  }

  private static boolean channelsLast(OpContext c) {
    return c.intAttr("channels_last", 0) != 0;
  }

  private List<DimExpr> outDims(OpContext c) {
    if (!global) {
      if (channelsLast(c)) {
        throw c.error(
            "TSR-0202",
            "channels_last is not supported: put a Transpose before and after the node");
      }
      return PoolPlan.of(c).out();
    }
    List<DimExpr> out = new ArrayList<>(GlobalPool.pooled(c, c.dims(0)));
    if (channelsLast(c)) {
      out.set(1, DimExpr.ONE);
      out.set(out.size() - 1, c.dims(0).getLast());
    }
    return List.copyOf(out);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(type(c.dtype(0), c.in(0).shape().map(s -> outDims(c))));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), Window.numbers(outDims(c)));
    float sx = Quant.scaleAt(c, 1, 0);
    float sy = Quant.scaleAt(c, 3, 0);
    long zx = Quant.zeroAt(c, 2, 0);
    long zy = Quant.zeroAt(c, 4, 0);
    if (global) {
      int count = x.size() / Math.max(1, y.size());
      int inner = channelsLast(c) ? (int) x.shape()[x.rank() - 1] : 1;
      for (int i = 0; i < y.size(); i++) {
        int first = channelsLast(c) ? i / inner * inner * count + i % inner : i * count;
        long sum = 0;
        for (int k = 0; k < count; k++) {
          sum += x.getLong(first + k * inner) - zx;
        }
        y.setLong(i, Quant.saturate(y.dtype(), (float) sum * (sx / (sy * count)), zy));
      }
      return List.of(y);
    }
    PoolPlan.of(c)
        .forEach((at, plane, window, taps, inputAt, padded) -> {
          float sum = 0;
          for (int t = 0; t < taps; t++) {
            sum += (x.getLong(plane + inputAt[t]) - zx) * sx;
          }
          float mean = sum / (AveragePool.includesPad(c) ? padded : taps);
          y.setLong(at, Quant.saturate(y.dtype(), mean / sy, zy));
        });
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    KExpr zx = QLinearBinary.zero(kernel, c, 2);
    KExpr zy = QLinearBinary.zero(kernel, c, 4);
    KExpr sx = kernel.scalar(1, Scalar.F32);
    KExpr sy = kernel.scalar(3, Scalar.F32);
    DType type = c.dtype(0);
    if (!global) {
      PoolPlan plan = PoolPlan.of(c);
      KExpr x = K.mul(K.cast(Scalar.F32, Quant.centered(K.at(kernel.in(0), plan.x()), zx)), sx);
      KExpr sum = K.sum(plan.fold(), plan.guarded(x, K.f32(0)));
      KExpr mean = K.div(sum, AveragePool.count(plan, AveragePool.includesPad(c), Scalar.F32));
      kernel.stage(kernel.out(0), plan.axes(), Quant.saturated(type, K.div(mean, sy), zy));
      return kernel.build();
    }
    List<DimExpr> dims = c.dims(0);
    int channel = channelsLast(c) ? dims.size() - 1 : 1;
    List<Axis> all = Shapes.axes(dims);
    List<Axis> kept = List.of(all.getFirst(), all.get(channel));
    List<Axis> folded = new ArrayList<>(all);
    folded.removeAll(kept);
    KExpr sum = K.sum(folded, Quant.centered(K.at(kernel.in(0), Shapes.refs(all)), zx));
    DimExpr count = DimExpr.product(folded.stream().map(Axis::extent).toList());
    KExpr scale = K.div(sx, K.mul(sy, K.cast(Scalar.F32, K.dim(count))));
    List<KExpr> target = new ArrayList<>();
    for (int d = 0; d < dims.size(); d++) {
      target.add(d == 0 || d == channel ? K.axis(all.get(d)) : K.index(0));
    }
    kernel.stage(
        kernel.out(0),
        kept,
        target,
        Quant.saturated(type, K.mul(K.cast(Scalar.F32, sum), scale), zy));
    return kernel.build();
  }
}
