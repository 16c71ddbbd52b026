package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Geometry of X [N, C, spatial...] spread by W [C, M / group, kernel...], the same for floats and
 * integers.
 *
 * @param out [N, M, out...]
 * @param begin positions of the result that are cut off before it, one per spatial dimension
 */
record ConvTransposePlan(
    List<DimExpr> out, long[] stride, long[] dilation, List<DimExpr> begin, long groups) {

  /** X is operand {@code xi}, W is operand {@code wi}. */
  static ConvTransposePlan of(OpContext c, int xi, int wi) {
    List<DimExpr> x = c.dims(xi);
    List<DimExpr> w = c.dims(wi);
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
    c.demandEqual(x.get(1), w.getFirst());
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
    return new ConvTransposePlan(List.copyOf(out), stride, dilation, begin, groups);
  }

  private static long outputSize(OpContext c, long[] given, int d, int rank) {
    if (given.length != rank && given.length != rank + 2) {
      throw c.error("TSR-0304", "output_shape must have " + rank + " numbers");
    }
    return given[given.length - rank + d];
  }

  /**
   * How the result is a sum.
   *
   * @param axes of the result
   * @param target index into the result
   * @param fold axes of the sum
   * @param x index into X
   * @param w index into W
   * @param inside whether X has an element there
   * @param filter the result's channel
   */
  record Indices(
      List<Axis> axes,
      List<KExpr> target,
      List<Axis> fold,
      List<KExpr> x,
      List<KExpr> w,
      KExpr inside,
      KExpr filter) {}

  /** The same operands as for {@link #of}. */
  Indices indices(OpContext c, int operandX, int operandW) {
    List<DimExpr> xs = c.dims(operandX);
    List<DimExpr> ws = c.dims(operandW);
    Axis n = new Axis("n", xs.getFirst());
    Axis g = new Axis("g", DimExpr.of(groups));
    Axis m = new Axis("m", ws.get(1));
    // Both are the same; a weight tells it before the model runs.
    DimExpr channels = ws.getFirst().isConst() ? ws.getFirst() : xs.get(1);
    DimExpr perGroup = channels.floorDiv(groups);
    Axis ic = new Axis("ic", perGroup);
    List<Axis> o = Shapes.axes("o", out.subList(2, out.size()));
    List<Axis> k = Shapes.axes("k", ws.subList(2, ws.size()));
    KExpr channel = K.add(K.mul(K.axis(g), K.dim(perGroup)), K.axis(ic));
    List<KExpr> xi = new ArrayList<>(List.of(K.axis(n), channel));
    List<KExpr> wi = new ArrayList<>(List.of(channel, K.axis(m)));
    KExpr inside = K.bool(true);
    for (int d = 0; d < o.size(); d++) {
      // The input position whose window holds this result at this tap, if there is one.
      KExpr shifted =
          K.sub(
              K.add(K.axis(o.get(d)), K.dim(begin.get(d))),
              K.mul(K.axis(k.get(d)), K.index(dilation[d])));
      KExpr step = K.index(stride[d]);
      if (stride[d] != 1) {
        inside = K.and(inside, K.eq(K.floorMod(shifted, step), K.index(0)));
      }
      KExpr position = K.floorDiv(shifted, step);
      inside =
          K.and(K.and(inside, K.ge(shifted, K.index(0))), K.lt(position, K.dim(xs.get(2 + d))));
      xi.add(position);
      wi.add(K.axis(k.get(d)));
    }
    List<Axis> fold = new ArrayList<>(List.of(ic));
    fold.addAll(k);
    fold.removeIf(a -> a.extent().isConst(1));
    KExpr filter = K.add(K.mul(K.axis(g), K.dim(ws.get(1))), K.axis(m));
    List<Axis> axes = new ArrayList<>(List.of(n, g, m));
    axes.addAll(o);
    axes.removeIf(a -> a.extent().isConst(1));
    List<KExpr> target = new ArrayList<>(List.of(K.axis(n), filter));
    target.addAll(Shapes.refs(o));
    return new Indices(axes, target, fold, xi, wi, inside, filter);
  }

  /** Takes a product. */
  interface Product {
    /**
     * @param x position in X
     * @param w position in W
     * @param filter the result's channel
     * @param y position in the result
     */
    void add(int x, int w, int filter, int y);
  }

  /** Visits every product of constant shapes: every input element is spread over its window. */
  void forEach(long[] xs, long[] ws, Product product) {
    long[] size = Window.numbers(out);
    int rank = xs.length - 2;
    long[] spatial = java.util.Arrays.copyOfRange(xs, 2, xs.length);
    long[] kernel = java.util.Arrays.copyOfRange(ws, 2, ws.length);
    long[] windows = java.util.Arrays.copyOfRange(size, 2, size.length);
    long[] first = Window.numbers(begin);
    int plane = (int) Tensor.count(spatial);
    int taps = (int) Tensor.count(kernel);
    int outPlane = (int) Tensor.count(windows);
    int channels = (int) xs[1];
    int perGroup = (int) (channels / groups);
    int filters = (int) ws[1];
    for (int p = 0; p < plane; p++) {
      long[] at = Shapes.unravel(p, spatial);
      for (int t = 0; t < taps; t++) {
        long[] tap = Shapes.unravel(t, kernel);
        long target = 0;
        boolean inside = true;
        for (int d = 0; d < rank; d++) {
          long position = at[d] * stride[d] + tap[d] * dilation[d] - first[d];
          inside &= position >= 0 && position < windows[d];
          target = target * windows[d] + position;
        }
        for (int n = 0; n < xs[0] && inside; n++) {
          for (int ic = 0; ic < channels; ic++) {
            for (int m = 0; m < filters; m++) {
              int filter = ic / perGroup * filters + m;
              product.add(
                  (n * channels + ic) * plane + p,
                  (ic * filters + m) * taps + t,
                  filter,
                  (int) ((n * size[1] + filter) * outPlane + target));
            }
          }
        }
      }
    }
  }
}
