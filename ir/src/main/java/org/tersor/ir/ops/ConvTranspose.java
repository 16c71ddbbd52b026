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
 * ConvTranspose (1, 11, 22): X [N, C, spatial...] spread by W [C, M / group, kernel...] over [N, M,
 * out...], + B [M]. out = (in - 1) * stride + output_padding + (kernel - 1) * dilation + 1 - pads,
 * unless output_shape says otherwise.
 */
final class ConvTranspose extends OpBase implements Differentiable {
  ConvTranspose() {
    super(
        Conv.attributes(
                OpSchema.of("", "ConvTranspose", 1, 11, 22)
                    .sample(
                        "group=1|2; X[n group.c s*1-2]; k=each(s, 1..3); W[group.c m k*]; B[group.m]; kernel_shape=k; strides=each(s, 1..3); dilations=each(s, 1..2); pads=each2(s, 0..1); auto_pad=-; output_shape=-; output_padding=-"))
            .input("X", "T")
            .input("W", "T")
            .optional("B", "T")
            .output("Y", "T")
            .attribute("output_padding", AttributeKind.INTS)
            .attribute("output_shape", AttributeKind.INTS)
            .types("T", Types.FLOATS)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    return ConvGradient.transposed(c, p, ConvTransposePlan.of(c, 0, 1));
  }

  @Override
  public Optional<WeightLayout> weights(OpContext c) {
    // All groups share the rows of their outputs, as scales along axis 1 do.
    return c.in(1).isRanked() && c.rank(1) >= 3
        ? Optional.of(WeightLayout.of(1, c.rank(1), 1))
        : Optional.empty();
  }

  @Override
  public void weightVectors(EvalContext c, WeightVectors vectors) {
    ConvTransposePlan plan = ConvTransposePlan.of(c, 0, 1);
    Tensor x = c.input(0);
    long[] ws = c.input(1).shape();
    int rank = ws.length - 2;
    long[] spatial = java.util.Arrays.copyOfRange(x.shape(), 2, rank + 2);
    long[] kernel = java.util.Arrays.copyOfRange(ws, 2, rank + 2);
    long[] windows = java.util.Arrays.copyOfRange(Window.numbers(plan.out()), 2, rank + 2);
    long[] begin = Window.numbers(plan.begin());
    int plane = (int) Tensor.count(spatial);
    int taps = (int) Tensor.count(kernel);
    int channels = (int) x.shape()[1];
    int perGroup = (int) (channels / plan.groups());
    int outPlane = (int) Tensor.count(windows);
    int[] source = new int[taps];
    float[] vector = new float[channels * taps];
    for (int p = 0; p < outPlane; p++) {
      long[] at = Shapes.unravel(p, windows);
      for (int t = 0; t < taps; t++) {
        long[] tap = Shapes.unravel(t, kernel);
        long from = 0;
        boolean reaches = true;
        for (int d = 0; d < rank; d++) {
          long spread = at[d] + begin[d] - tap[d] * plan.dilation()[d];
          long position = Math.floorDiv(spread, plan.stride()[d]);
          reaches &=
              spread == position * plan.stride()[d] && position >= 0 && position < spatial[d];
          from = from * spatial[d] + position;
        }
        source[t] = reaches ? (int) from : -1;
      }
      for (int n = 0; n < x.shape()[0]; n++) {
        // Groups share rows but no results: a vector of each, 0 where the others' channels are.
        for (int g = 0; g < plan.groups(); g++) {
          java.util.Arrays.fill(vector, 0);
          for (int ic = g * perGroup; ic < (g + 1) * perGroup; ic++) {
            for (int t = 0; t < taps; t++) {
              vector[ic * taps + t] =
                  source[t] < 0 ? 0 : (float) x.getDouble((n * channels + ic) * plane + source[t]);
            }
          }
          vectors.add(0, 1, vector);
        }
      }
    }
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(type(c.dtype(0), shapes(c, 0, 2).map(s -> ConvTransposePlan.of(c, 0, 1).out())));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    ConvTransposePlan plan = ConvTransposePlan.of(c, 0, 1);
    long[] out = Window.numbers(plan.out());
    Tensor y = Shapes.allocate(c, c.dtype(0), out);
    long[] xs = c.input(0).shape();
    long[] ws = c.input(1).shape();
    double[] x = Reals.of(c.input(0));
    double[] w = Reals.of(c.input(1));
    double[] sum = new double[y.size()];
    plan.forEach(xs, ws, (px, pw, filter, py) -> sum[py] += x[px] * w[pw]);
    int outPlane = (int) Tensor.count(java.util.Arrays.copyOfRange(out, 2, out.length));
    for (int i = 0; i < sum.length; i++) {
      double bias = c.hasInput(2) ? c.input(2).getDouble((int) (i / outPlane % out[1])) : 0;
      y.setDouble(i, sum[i] + bias);
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    ConvTransposePlan plan = ConvTransposePlan.of(c, 0, 1);
    KernelBuilder kernel = new KernelBuilder(this, c);
    ConvTransposePlan.Indices at = plan.indices(c, 0, 1);
    KExpr x = kernel.value(0, at.x());
    KExpr value =
        K.sum(
            at.fold(),
            K.mul(K.select(at.inside(), x, K.literal(x.scalar(), 0.0)), kernel.value(1, at.w())));
    if (c.hasInput(2)) {
      value = K.add(value, kernel.value(2, at.filter()));
    }
    kernel.stage(kernel.out(0), at.axes(), at.target(), value);
    return kernel.build();
  }
}
