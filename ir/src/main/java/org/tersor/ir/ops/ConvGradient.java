package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DimExpr;

/**
 * The derivative of a convolution of known sizes. By X: the transposed convolution of the gradient.
 * By W: the convolution of X with the gradient as its kernel, batch and channels exchanged, strides
 * and dilations too; group by group.
 */
final class ConvGradient {
  private final OpContext c;
  private final Differentiable.Pullback p;
  private final Window window;
  private final int groups;
  private final long[] pads;

  ConvGradient(OpContext c, Differentiable.Pullback p) {
    this.c = c;
    this.p = p;
    ConvPlan plan = ConvPlan.of(c, 0, 1);
    window = plan.window();
    groups = Math.toIntExact(plan.groups());
    pads =
        LongStream.concat(
                Arrays.stream(known(window.padBegin())), Arrays.stream(known(window.padEnd())))
            .toArray();
  }

  private long[] known(List<DimExpr> dims) {
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

  List<Value> parts() {
    List<Value> parts = new ArrayList<>(List.of(byX(), byW()));
    if (c.hasInput(2)) {
      List<Long> axes = new ArrayList<>(List.of(0L));
      LongStream.range(2, c.rank(0)).forEach(axes::add);
      parts.add(p.reshape(c, p.sum(p.gradient(), axes), List.of(c.dims(1).getFirst())));
    }
    return parts;
  }

  private Value byX() {
    long[] input = known(window.input());
    long[] kernel = known(window.kernel());
    long[] output = known(window.output());
    long[] missing = new long[input.length];
    Arrays.setAll(
        missing,
        d ->
            input[d]
                + pads[d]
                + pads[input.length + d]
                - (output[d] - 1) * window.stride()[d]
                - (kernel[d] - 1) * window.dilation()[d]
                - 1);
    // What the last window leaves over may exceed a stride: zeros are appended then.
    boolean beyond =
        LongStream.range(0, missing.length)
            .anyMatch(d -> missing[(int) d] >= Math.max(window.stride()[(int) d], 1));
    if (beyond) {
      throw c.error("TSR-0203", "the derivative of a convolution that leaves so much over");
    }
    return p.modern(
        "ConvTranspose",
        Map.of(
            "strides", list(window.stride()),
            "dilations", list(window.dilation()),
            "pads", list(pads),
            "output_padding", list(missing),
            "group", new Attribute.IntAttr(groups)),
        p.gradient(),
        p.inputs().get(1));
  }

  private Value byW() {
    long channels = known(c.dims(1).subList(1, 2))[0];
    long filters = known(c.dims(1).subList(0, 1))[0] / groups;
    List<Value> parts = new ArrayList<>();
    for (int group = 0; group < groups; group++) {
      Value x = exchanged(channelsOf(p.inputs().getFirst(), group, channels));
      Value g = exchanged(channelsOf(p.gradient(), group, filters));
      Value sums =
          p.modern(
              "Conv",
              Map.of(
                  "strides", list(window.dilation()),
                  "dilations", list(window.stride()),
                  "pads", list(pads)),
              x,
              g);
      long[] kernel = known(window.kernel());
      long[] axes = LongStream.range(2, 2 + kernel.length).toArray();
      Value taps =
          p.modern(
              "Slice",
              Map.of(),
              sums,
              p.builder().longs(new long[kernel.length]),
              p.builder().longs(kernel),
              p.builder().longs(axes));
      parts.add(exchanged(taps));
    }
    return groups == 1
        ? parts.getFirst()
        : p.modern("Concat", Map.of("axis", new Attribute.IntAttr(0)), parts.toArray(Value[]::new));
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
