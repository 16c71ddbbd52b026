package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * {@code org.tersor.QLinearConvTranspose}: to ConvTranspose what {@link QLinearConv} is to Conv;
 * the standard has none. Operands are those of QLinearConv, W [C, M / group, kernel...] has one
 * scale and zero point, or one for each of the M / group columns, which all groups share.
 */
final class QLinearConvTranspose extends OpBase {
  /** Name of the operator. */
  static final String TYPE = "QLinearConvTranspose";

  private static final int W = 3;

  QLinearConvTranspose() {
    super(
        Conv.attributes(
                OpSchema.of(OpKey.TERSOR, TYPE, 1)
                    .input("x", "T1")
                    .input("x_scale", "F")
                    .input("x_zero_point", "T1")
                    .input("w", "T2")
                    .input("w_scale", "F")
                    .input("w_zero_point", "T2")
                    .input("y_scale", "F")
                    .input("y_zero_point", "T3")
                    .optional("B", "T4")
                    .output("y", "T3"))
            .attribute("output_padding", AttributeKind.INTS)
            .attribute("output_shape", AttributeKind.INTS)
            .types("F", Types.set(DType.F32))
            .types("T1", Types.set(DType.U8, DType.I8))
            .types("T2", Types.set(DType.U8, DType.I8))
            .types("T3", Types.set(DType.U8, DType.I8))
            .types("T4", Types.set(DType.I32))
            .tolerance(OpSchema.Tolerance.ROUNDING));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    boolean known = c.in(0).isRanked() && c.in(W).isRanked();
    return List.of(
        known
            ? ValueType.TensorType.of(c.dtype(7), ConvTransposePlan.of(c, 0, W).out())
            : ValueType.TensorType.unranked(c.dtype(7)));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    ConvTransposePlan plan = ConvTransposePlan.of(c, 0, W);
    long[] out = Window.numbers(plan.out());
    Tensor y = Shapes.allocate(c, c.dtype(7), out);
    long[] x = Shapes.longs(c.input(0));
    long[] w = Shapes.longs(c.input(W));
    int columns = (int) c.input(W).shape()[1];
    long zx = Quant.zeroAt(c, 2, 0);
    int[] sum = new int[y.size()];
    plan.forEach(
        c.input(0).shape(),
        c.input(W).shape(),
        (px, pw, filter, py) ->
            sum[py] += (int) ((x[px] - zx) * (w[pw] - Quant.zeroAt(c, 5, filter % columns))));
    int plane = (int) Tensor.count(java.util.Arrays.copyOfRange(out, 2, out.length));
    for (int i = 0; i < sum.length; i++) {
      int filter = (int) (i / plane % out[1]);
      int total = sum[i] + (c.hasInput(8) ? (int) c.input(8).getLong(filter) : 0);
      float scale =
          Quant.scaleAt(c, 1, 0) * Quant.scaleAt(c, 4, filter % columns) / Quant.scaleAt(c, 6, 0);
      y.setLong(i, Quant.saturate(y.dtype(), (float) total * scale, c.input(7).getLong(0)));
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    ConvTransposePlan plan = ConvTransposePlan.of(c, 0, W);
    KernelBuilder kernel = new KernelBuilder(this, c);
    ConvTransposePlan.Indices at = plan.indices(c, 0, W);
    KExpr column = at.w().get(1);
    KExpr zx = Quant.zero(kernel, c, 2, Quant.perChannel(c, 2, K.index(0)));
    KExpr zw = Quant.zero(kernel, c, 5, Quant.perChannel(c, 5, column));
    KExpr x = K.select(at.inside(), Quant.centered(K.at(kernel.in(0), at.x()), zx), K.i32(0));
    KExpr w = Quant.centered(K.at(kernel.in(W), at.w()), zw);
    KExpr sum = K.sum(at.fold(), K.mul(x, w));
    if (c.hasInput(8)) {
      sum = K.add(sum, K.at(kernel.in(8), at.filter()));
    }
    KExpr sx = Quant.scale(kernel, 1, Quant.perChannel(c, 1, K.index(0)));
    KExpr sw = Quant.scale(kernel, 4, Quant.perChannel(c, 4, column));
    KExpr sy = Quant.scale(kernel, 6, Quant.perChannel(c, 6, K.index(0)));
    KExpr value = K.mul(K.cast(Scalar.F32, sum), K.div(K.mul(sx, sw), sy));
    KExpr zy = Quant.zero(kernel, c, 7, Quant.perChannel(c, 7, K.index(0)));
    kernel.stage(kernel.out(0), at.axes(), at.target(), Quant.saturated(c.dtype(7), value, zy));
    return kernel.build();
  }
}
