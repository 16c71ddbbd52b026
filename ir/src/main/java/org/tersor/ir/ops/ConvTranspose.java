package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.WeightLayout;
import org.tersor.ir.op.WeightVectors;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * ConvTranspose (1, 11, 22): X [N, C, spatial...] spread by W [C, M / group, kernel...] over [N, M,
 * out...], + B [M]. out = (in - 1) * stride + output_padding + (kernel - 1) * dilation + 1 - pads,
 * unless output_shape says otherwise.
 */
final class ConvTranspose extends OpBase {
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

  /**
   * Shapes of one node.
   *
   * @param out [N, M, out...]
   * @param begin positions of the result that are cut off before it, one per spatial dimension
   */
  private record Plan(
      List<DimExpr> out, long[] stride, long[] dilation, List<DimExpr> begin, long groups) {}

  private static Plan plan(OpContext c) {
    List<DimExpr> x = c.dims(0);
    List<DimExpr> w = c.dims(1);
    if (x.size() < 3 || w.size() != x.size()) {
      throw c.error(
          "TSR-0303",
          "X [N, C, D...] and W [C, M / group, k...] must have the same rank, 3 or more");
    }
    int rank = x.size() - 2;
    long groups = c.intAttr("group", 1);
    if (groups < 1
        || groups > Integer.MAX_VALUE
        || (x.get(1).isConst() && x.get(1).constValue() % groups != 0)) {
      throw c.error("TSR-0303", x.get(1) + " channels do not make " + groups + " groups");
    }
    if (x.get(1).isConst() && w.getFirst().isConst() && !x.get(1).equals(w.getFirst())) {
      throw c.error("TSR-0303", "X has " + x.get(1) + " channels and W expects " + w.getFirst());
    }
    List<DimExpr> kernel = w.subList(2, w.size());
    ConvPlan.checkKernelShape(c, kernel);
    long[] stride = Window.positive(c, "strides", rank);
    long[] dilation = Window.positive(c, "dilations", rank);
    long[] pads = Window.longs(c, "pads", 2 * rank, 0);
    long[] outputPadding = Window.longs(c, "output_padding", rank, 0);
    Optional<long[]> given = c.intsAttr("output_shape").filter(s -> s.length > 0);
    String autoPad = c.stringAttr("auto_pad", "NOTSET");
    List<DimExpr> out = new ArrayList<>(List.of(x.getFirst(), w.get(1).times(groups)));
    List<DimExpr> begin = new ArrayList<>();
    for (int d = 0; d < rank; d++) {
      DimExpr full =
          x.get(2 + d)
              .minus(1)
              .times(stride[d])
              .plus(outputPadding[d])
              .plus(kernel.get(d).minus(1).times(dilation[d]))
              .plus(1);
      boolean same = autoPad.equals("SAME_UPPER") || autoPad.equals("SAME_LOWER");
      if (given.isPresent() || same) {
        DimExpr size =
            given.isPresent()
                ? DimExpr.of(outputSize(c, given.get(), d, rank))
                : x.get(2 + d).times(stride[d]);
        DimExpr total = full.minus(size).max(DimExpr.ZERO);
        DimExpr half = total.floorDiv(2);
        // The odd position goes to the end with SAME_UPPER, to the beginning otherwise.
        begin.add(autoPad.equals("SAME_UPPER") ? half : total.minus(half));
        out.add(size);
      } else {
        boolean explicit = autoPad.equals("NOTSET");
        begin.add(DimExpr.of(explicit ? pads[d] : 0));
        out.add(explicit ? full.minus(pads[d] + pads[rank + d]) : full);
      }
      if (out.getLast().isConst() && out.getLast().constValue() < 0) {
        throw c.error("TSR-0303", "spatial dimension " + d + " of the result is negative");
      }
    }
    return new Plan(List.copyOf(out), stride, dilation, begin, groups);
  }

  private static long outputSize(OpContext c, long[] given, int d, int rank) {
    if (given.length != rank && given.length != rank + 2) {
      throw c.error("TSR-0304", "output_shape must have " + rank + " numbers");
    }
    return given[given.length - rank + d];
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
    Plan plan = plan(c);
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
    return List.of(type(c.dtype(0), shapes(c, 0, 2).map(s -> plan(c).out())));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Plan plan = plan(c);
    long[] out = Window.numbers(plan.out());
    Tensor y = Shapes.allocate(c, c.dtype(0), out);
    long[] xs = c.input(0).shape();
    long[] ws = c.input(1).shape();
    double[] x = Reals.of(c.input(0));
    double[] w = Reals.of(c.input(1));
    double[] sum = new double[y.size()];
    int rank = xs.length - 2;
    long[] spatial = java.util.Arrays.copyOfRange(xs, 2, xs.length);
    long[] kernel = java.util.Arrays.copyOfRange(ws, 2, ws.length);
    long[] windows = java.util.Arrays.copyOfRange(out, 2, out.length);
    long[] begin = Window.numbers(plan.begin());
    int plane = (int) Tensor.count(spatial);
    int taps = (int) Tensor.count(kernel);
    int outPlane = (int) Tensor.count(windows);
    int channels = (int) xs[1];
    int perGroup = (int) (channels / plan.groups());
    int filters = (int) ws[1];
    // Every input element is spread over its window of the result.
    for (int p = 0; p < plane; p++) {
      long[] at = Shapes.unravel(p, spatial);
      for (int t = 0; t < taps; t++) {
        long[] tap = Shapes.unravel(t, kernel);
        long target = 0;
        boolean inside = true;
        for (int d = 0; d < rank; d++) {
          long position = at[d] * plan.stride()[d] + tap[d] * plan.dilation()[d] - begin[d];
          inside &= position >= 0 && position < windows[d];
          target = target * windows[d] + position;
        }
        if (!inside) {
          continue;
        }
        for (int n = 0; n < xs[0]; n++) {
          for (int ic = 0; ic < channels; ic++) {
            double value = x[(n * channels + ic) * plane + p];
            int first = ic / perGroup * filters;
            for (int m = 0; m < filters; m++) {
              sum[(int) ((n * out[1] + first + m) * outPlane + target)] +=
                  value * w[(ic * filters + m) * taps + t];
            }
          }
        }
      }
    }
    for (int i = 0; i < sum.length; i++) {
      double bias = c.hasInput(2) ? c.input(2).getDouble((int) (i / outPlane % out[1])) : 0;
      y.setDouble(i, sum[i] + bias);
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    Plan plan = plan(c);
    List<DimExpr> xs = c.dims(0);
    List<DimExpr> ws = c.dims(1);
    KernelBuilder kernel = new KernelBuilder(this, c);
    Axis n = new Axis("n", xs.getFirst());
    Axis g = new Axis("g", DimExpr.of(plan.groups()));
    Axis m = new Axis("m", ws.get(1));
    DimExpr perGroup = xs.get(1).floorDiv(plan.groups());
    Axis ic = new Axis("ic", perGroup);
    List<Axis> o = Shapes.axes("o", plan.out().subList(2, plan.out().size()));
    List<Axis> k = Shapes.axes("k", ws.subList(2, ws.size()));
    KExpr channel = K.add(K.mul(K.axis(g), K.dim(perGroup)), K.axis(ic));
    List<KExpr> xi = new ArrayList<>(List.of(K.axis(n), channel));
    List<KExpr> wi = new ArrayList<>(List.of(channel, K.axis(m)));
    KExpr inside = K.bool(true);
    for (int d = 0; d < o.size(); d++) {
      // The input position whose window holds this result at this tap, if there is one.
      KExpr shifted =
          K.sub(
              K.add(K.axis(o.get(d)), K.dim(plan.begin().get(d))),
              K.mul(K.axis(k.get(d)), K.index(plan.dilation()[d])));
      KExpr stride = K.index(plan.stride()[d]);
      if (plan.stride()[d] != 1) {
        inside = K.and(inside, K.eq(K.floorMod(shifted, stride), K.index(0)));
      }
      KExpr position = K.floorDiv(shifted, stride);
      inside =
          K.and(K.and(inside, K.ge(shifted, K.index(0))), K.lt(position, K.dim(xs.get(2 + d))));
      xi.add(position);
      wi.add(K.axis(k.get(d)));
    }
    KExpr x = kernel.value(0, xi);
    List<Axis> fold = new ArrayList<>(List.of(ic));
    fold.addAll(k);
    fold.removeIf(a -> a.extent().isConst(1));
    KExpr value =
        K.sum(fold, K.mul(K.select(inside, x, K.literal(x.scalar(), 0.0)), kernel.value(1, wi)));
    KExpr filter = K.add(K.mul(K.axis(g), K.dim(ws.get(1))), K.axis(m));
    if (c.hasInput(2)) {
      value = K.add(value, kernel.value(2, filter));
    }
    List<Axis> axes = new ArrayList<>(List.of(n, g, m));
    axes.addAll(o);
    axes.removeIf(a -> a.extent().isConst(1));
    List<KExpr> target = new ArrayList<>(List.of(K.axis(n), filter));
    target.addAll(Shapes.refs(o));
    kernel.stage(kernel.out(0), axes, target, value);
    return kernel.build();
  }
}
