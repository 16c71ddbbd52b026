package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * {@code org.tersor.QLinearConvTranspose} and {@code ConvTransposeInteger}: to ConvTranspose what
 * QLinearConv and ConvInteger are to Conv ({@link QLinearConv}); the standard has none. W [C, M /
 * group, kernel...] has one scale and zero point, or one for each of the M / group columns, which
 * all groups share.
 */
final class QLinearConvTranspose extends OpBase {
  private final IntegerSums sums;

  private QLinearConvTranspose(String type, IntegerSums sums) {
    super(
        sums.schema(Conv.attributes(OpSchema.of(OpKey.TERSOR, type, 1)))
            .attribute("output_padding", AttributeKind.INTS)
            .attribute("output_shape", AttributeKind.INTS));
    this.sums = sums;
  }

  static QLinearConvTranspose qlinear() {
    return new QLinearConvTranspose("QLinearConvTranspose", new IntegerSums(true));
  }

  static QLinearConvTranspose integer() {
    return new QLinearConvTranspose("ConvTransposeInteger", new IntegerSums(false));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    DType out = sums.type(c);
    boolean known = c.in(0).isRanked() && c.in(sums.w()).isRanked();
    return List.of(
        known
            ? ValueType.TensorType.of(out, ConvTransposePlan.of(c, 0, sums.w()).out())
            : ValueType.TensorType.unranked(out));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor weight = c.input(sums.w());
    ConvTransposePlan plan = ConvTransposePlan.of(c, 0, sums.w());
    long[] out = Window.numbers(plan.out());
    Tensor y = Shapes.allocate(c, outType(c, 0).dtype(), out);
    long[] x = Shapes.longs(c.input(0));
    long[] w = Shapes.longs(weight);
    int columns = (int) weight.shape()[1];
    long zx = sums.xZero(c);
    int[] sum = new int[y.size()];
    plan.forEach(
        c.input(0).shape(),
        weight.shape(),
        (px, pw, filter, py) ->
            sum[py] += (int) ((x[px] - zx) * (w[pw] - sums.wZero(c, filter % columns))));
    int plane = (int) Tensor.count(java.util.Arrays.copyOfRange(out, 2, out.length));
    for (int i = 0; i < sum.length; i++) {
      int filter = (int) (i / plane % out[1]);
      y.setLong(i, sums.result(c, sum[i], filter, filter % columns));
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    ConvTransposePlan plan = ConvTransposePlan.of(c, 0, sums.w());
    KernelBuilder kernel = new KernelBuilder(this, c);
    ConvTransposePlan.Indices at = plan.indices(c, 0, sums.w());
    KExpr column = at.w().get(1);
    KExpr x = K.select(at.inside(), sums.x(kernel, c, at.x()), K.i32(0));
    KExpr w = sums.w(kernel, c, at.w(), column);
    KExpr sum = K.sum(at.fold(), K.mul(x, w));
    KExpr value = sums.result(kernel, c, sum, at.filter(), column);
    kernel.stage(kernel.out(0), at.axes(), at.target(), value);
    return kernel.build();
  }
}
