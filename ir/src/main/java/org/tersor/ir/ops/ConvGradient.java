package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * The derivative of a convolution of known sizes. By X: the transposed convolution of the gradient.
 * By W: the convolution of X with the gradient as its kernel, batch and channels exchanged, strides
 * and dilations too; group by group.
 */
final class ConvGradient {
  private final OpContext c;
  private final Differentiable.Pullback p;
  private final long[] stride;
  private final long[] dilation;
  private final long[] begin;
  private final long[] end;
  private final int groups;

  private ConvGradient(
      OpContext c,
      Differentiable.Pullback p,
      long[] stride,
      long[] dilation,
      long[] begin,
      long[] end,
      int groups) {
    this.c = c;
    this.p = p;
    this.stride = stride;
    this.dilation = dilation;
    this.begin = begin;
    this.end = end;
    this.groups = groups;
  }

  private static ConvGradient of(
      OpContext c, Differentiable.Pullback p, Window window, int groups) {
    return new ConvGradient(
        c,
        p,
        window.stride(),
        window.dilation(),
        known(c, window.padBegin()),
        known(c, window.padEnd()),
        groups);
  }

  /** Of Conv, by its inputs. */
  static List<Value> conv(OpContext c, Differentiable.Pullback p) {
    ConvPlan plan = ConvPlan.of(c, 0, 1);
    Window window = plan.window();
    ConvGradient g = of(c, p, window, Math.toIntExact(plan.groups()));
    long[] kernel = known(c, window.kernel());
    Value x = p.inputs().get(0);
    Value w = p.inputs().get(1);
    List<Value> parts = new ArrayList<>();
    parts.add(
        g.spread(p.gradient(), w, known(c, window.output()), kernel, known(c, window.input())));
    parts.add(g.byWeights(x, p.gradient(), c.dims(1).get(1), c.dims(1).getFirst(), kernel));
    if (c.hasInput(2)) {
      parts.add(g.byBias(c.dims(1).getFirst()));
    }
    return parts;
  }

  /** Of ConvTranspose, by its inputs: what Conv gives with the same weights. */
  static List<Value> transposed(OpContext c, Differentiable.Pullback p, ConvTransposePlan plan) {
    long[] stride = plan.stride();
    long[] dilation = plan.dilation();
    int rank = stride.length;
    long[] input = known(c, c.dims(0).subList(2, rank + 2));
    long[] kernel = known(c, c.dims(1).subList(2, rank + 2));
    long[] result = known(c, plan.out().subList(2, rank + 2));
    long[] before = known(c, plan.begin());
    long[] end = new long[rank];
    for (int d = 0; d < rank; d++) {
      long reach = (input[d] - 1) * stride[d] + (kernel[d] - 1) * dilation[d] + 1;
      // Positions that only padding of the result made were reached by nothing: cut off below.
      end[d] = Math.max(0, reach - before[d] - result[d]);
    }
    ConvGradient g =
        new ConvGradient(c, p, stride, dilation, before, end, Math.toIntExact(plan.groups()));
    Value x = p.inputs().get(0);
    Value gathered =
        p.modern(
            "Conv",
            Map.of(
                "strides", list(stride),
                "dilations", list(dilation),
                "pads", list(concat(before, end)),
                "group", new Attribute.IntAttr(plan.groups())),
            p.gradient(),
            p.inputs().get(1));
    List<Value> parts = new ArrayList<>(List.of(g.first(gathered, input)));
    parts.add(g.byWeights(p.gradient(), x, c.dims(1).get(1), c.dims(0).get(1), kernel));
    if (c.hasInput(2)) {
      parts.add(g.byBias(plan.out().get(1)));
    }
    return parts;
  }

  /** Of AveragePool: every window gives each of its elements an equal share. */
  static Value average(OpContext c, Differentiable.Pullback p, boolean includesPad) {
    Window window = PoolPlan.of(c).window();
    Tensor counts = Shapes.allocate(c, c.dtype(0), planes(1, known(c, window.output())));
    window.forEach(
        (w, taps, kernelAt, inputAt, padded) -> counts.setDouble(w, includesPad ? padded : taps));
    Value divisors = p.builder().constant("", Constant.of(counts));
    return windows(c, p, p.add("Div", p.gradient(), divisors));
  }

  /** A number per window of a pool, added to each of the elements that the window covers. */
  static Value windows(OpContext c, Differentiable.Pullback p, Value share) {
    Window window = PoolPlan.of(c).window();
    long[] output = known(c, window.output());
    long[] input = known(c, window.input());
    long[] kernel = known(c, window.kernel());
    Tensor ones = Shapes.allocate(c, c.dtype(0), planes(1, kernel));
    for (int i = 0; i < ones.size(); i++) {
      ones.setDouble(i, 1);
    }
    List<DimExpr> one = new ArrayList<>(List.of(c.dims(0).get(0).times(c.dims(0).get(1))));
    one.add(DimExpr.ONE);
    one.addAll(DimExpr.list(output));
    ConvGradient g = of(c, p, window, 1);
    Value spread =
        g.spread(
            p.reshape(c, share, one),
            p.builder().constant("", Constant.of(ones)),
            output,
            kernel,
            input);
    return p.reshape(c, spread, c.dims(0));
  }

  private static long[] planes(long channels, long[] spatial) {
    return concat(new long[] {1, channels}, spatial);
  }

  private static long[] concat(long[] a, long[] b) {
    return LongStream.concat(Arrays.stream(a), Arrays.stream(b)).toArray();
  }

  private static long[] known(OpContext c, List<DimExpr> dims) {
    return dims.stream()
        .mapToLong(dim -> {
          if (!dim.isConst()) {
            throw c.error("TSR-0203", "the extent " + dim + " must be known for its gradient");
          }
          return dim.constValue();
        })
        .toArray();
  }

  private static Attribute list(long[] values) {
    return new Attribute.IntsAttr(Arrays.stream(values).boxed().toList());
  }

  private Value byBias(DimExpr channels) {
    List<Long> axes = new ArrayList<>(List.of(0L));
    LongStream.range(2, c.rank(0)).forEach(axes::add);
    return p.reshape(c, p.sum(p.gradient(), axes), List.of(channels));
  }

  /** Elements of windows added where the windows took them from. */
  private Value spread(Value windows, Value weights, long[] output, long[] kernel, long[] input) {
    long[] missing = new long[input.length];
    long[] after = end.clone();
    for (int d = 0; d < missing.length; d++) {
      long reach = (output[d] - 1) * stride[d] + (kernel[d] - 1) * dilation[d] + 1;
      missing[d] = input[d] + begin[d] + end[d] - reach;
      if (missing[d] < 0) { // The last window begins inside and ends beyond the padding.
        after[d] -= missing[d];
        missing[d] = 0;
      }
      // What the last window leaves over is less than a stride.
      if (missing[d] >= stride[d]) {
        throw c.error("TSR-0203", "the derivative of windows that leave so much over");
      }
    }
    return p.modern(
        "ConvTranspose",
        Map.of(
            "strides", list(stride),
            "dilations", list(dilation),
            "pads", list(concat(begin, after)),
            "output_padding", list(missing),
            "group", new Attribute.IntAttr(groups)),
        windows,
        weights);
  }

  /**
   * The gradient of weights [rows, columns, kernel].
   *
   * @param wide what windows were taken from, with {@code columns} channels per group
   * @param narrow an element per window, with {@code rows} channels
   */
  private Value byWeights(Value wide, Value narrow, DimExpr columns, DimExpr rows, long[] kernel) {
    long wides = known(c, List.of(columns))[0];
    long narrows = known(c, List.of(rows))[0] / groups;
    List<Value> parts = new ArrayList<>();
    for (int group = 0; group < groups; group++) {
      Value sums =
          p.modern(
              "Conv",
              Map.of(
                  "strides", list(dilation),
                  "dilations", list(stride),
                  "pads", list(concat(begin, end))),
              exchanged(channelsOf(wide, group, wides)),
              exchanged(channelsOf(narrow, group, narrows)));
      parts.add(exchanged(first(sums, kernel)));
    }
    return groups == 1
        ? parts.getFirst()
        : p.modern("Concat", Map.of("axis", new Attribute.IntAttr(0)), parts.toArray(Value[]::new));
  }

  /** The first positions of the spatial dimensions. */
  private Value first(Value value, long[] extents) {
    return p.modern(
        "Slice",
        Map.of(),
        value,
        p.builder().longs(new long[extents.length]),
        p.builder().longs(extents),
        p.builder().longs(LongStream.range(2, 2 + extents.length).toArray()));
  }

  private Value channelsOf(Value value, int group, long count) {
    return groups == 1
        ? value
        : p.modern(
            "Slice",
            Map.of(),
            value,
            p.builder().longs(group * count),
            p.builder().longs((group + 1) * count),
            p.builder().longs(1));
  }

  /** Batch and channels exchanged. */
  private Value exchanged(Value value) {
    List<Long> order = new ArrayList<>(List.of(1L, 0L));
    LongStream.range(2, c.rank(0)).forEach(order::add);
    return p.permuted(value, order);
  }
}
