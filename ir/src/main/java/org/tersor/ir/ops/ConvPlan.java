package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.WeightVectors;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Geometry of a convolution of X [N, C, spatial...] with W [M, C / groups, kernel...], the same for
 * all operators of the family.
 *
 * @param out shape of the result [N, M, windows...]
 * @param axes iteration axes of the result
 * @param target index into the result
 * @param channel output channel
 * @param fold axes of the sum
 * @param x index into X
 * @param w index into W
 * @param inside guard of X, where there is padding
 */
record ConvPlan(
    Window window,
    long groups,
    List<DimExpr> out,
    List<Axis> axes,
    List<KExpr> target,
    KExpr channel,
    List<Axis> fold,
    List<KExpr> x,
    List<KExpr> w,
    Optional<KExpr> inside) {

  /** X is operand {@code xi}, W is operand {@code wi}. */
  static ConvPlan of(OpContext c, int xi, int wi) {
    List<DimExpr> x = c.dims(xi);
    List<DimExpr> w = c.dims(wi);
    if (x.size() < 3 || w.size() != x.size()) {
      throw c.error(
          "TSR-0303",
          "a convolution needs X [N, C, D...] and W [M, C / group, k...] of the same rank, 3 or more");
    }
    long groups = c.intAttr("group", 1);
    if (groups < 1 || groups > Integer.MAX_VALUE) {
      throw c.error("TSR-0304", "group is " + groups);
    }
    DimExpr perGroup = w.get(1);
    DimExpr channels = x.get(1);
    if (channels.isConst()
        && perGroup.isConst()
        && channels.constValue() != Math.multiplyExact(perGroup.constValue(), groups)) {
      throw c.error(
          "TSR-0303",
          "X has "
              + channels
              + " channels, but W expects "
              + perGroup
              + " in each of "
              + groups
              + " groups");
    }
    if (w.getFirst().isConst() && w.getFirst().constValue() % groups != 0) {
      throw c.error(
          "TSR-0303", w.getFirst() + " output channels do not make " + groups + " groups");
    }
    List<DimExpr> kernel = w.subList(2, w.size());
    checkKernelShape(c, kernel);
    Window window = Window.of(c, x.subList(2, x.size()), kernel);
    List<DimExpr> out = new ArrayList<>(List.of(x.getFirst(), w.getFirst()));
    out.addAll(window.output());
    return of(window, groups, x.getFirst(), w.getFirst(), perGroup, out);
  }

  static void checkKernelShape(OpContext c, List<DimExpr> kernel) {
    c.intsAttr("kernel_shape")
        .ifPresent(given -> {
          for (int d = 0; d < kernel.size(); d++) {
            if (given.length != kernel.size()
                || (kernel.get(d).isConst() && kernel.get(d).constValue() != given[d])) {
              throw c.error("TSR-0303", "kernel_shape contradicts the shape of W");
            }
          }
        });
  }

  private static ConvPlan of(
      Window window,
      long groups,
      DimExpr batch,
      DimExpr filters,
      DimExpr perGroup,
      List<DimExpr> out) {
    Axis n = new Axis("n", batch);
    Axis ic = new Axis("ic", perGroup);
    List<Axis> axes = new ArrayList<>(List.of(n));
    KExpr channel;
    KExpr group;
    DimExpr filtersPerGroup = filters.floorDiv(groups);
    if (groups == 1 || filtersPerGroup.isConst(1)) {
      Axis oc = new Axis("oc", filters);
      axes.add(oc);
      channel = K.axis(oc);
      group = groups == 1 ? K.index(0) : channel;
    } else {
      Axis g = new Axis("g", DimExpr.of(groups));
      Axis m = new Axis("m", filtersPerGroup);
      axes.add(g);
      axes.add(m);
      channel = K.add(K.mul(K.axis(g), K.dim(filtersPerGroup)), K.axis(m));
      group = K.axis(g);
    }
    List<Axis> o = window.outputAxes();
    List<Axis> k = window.kernelAxes();
    axes.addAll(o);
    List<KExpr> target = new ArrayList<>(List.of(K.axis(n), channel));
    o.forEach(a -> target.add(K.axis(a)));
    List<KExpr> positions = window.positions(o, k);
    List<KExpr> x =
        new ArrayList<>(List.of(K.axis(n), K.add(K.mul(group, K.dim(perGroup)), K.axis(ic))));
    x.addAll(positions);
    List<KExpr> w = new ArrayList<>(List.of(channel, K.axis(ic)));
    k.forEach(a -> w.add(K.axis(a)));
    List<Axis> fold = new ArrayList<>(List.of(ic));
    fold.addAll(k);
    fold.removeIf(a -> a.extent().isConst(1));
    axes.removeIf(a -> a.extent().isConst(1));
    return new ConvPlan(
        window,
        groups,
        List.copyOf(out),
        axes,
        target,
        channel,
        fold,
        x,
        w,
        window.inside(positions));
  }

  /** {@code value}, and {@code padding} outside the input. */
  KExpr guarded(KExpr value, KExpr padding) {
    return inside.map(condition -> K.select(condition, value, padding)).orElse(value);
  }

  /** Sums products for {@link #forEach}. */
  interface Taps {
    /**
     * One channel of one window.
     *
     * @param x position of the input channel's plane in X
     * @param w position of the kernel's plane in W
     */
    void add(int x, int w, int taps, int[] inputAt, int[] kernelAt);
  }

  /** Receives the end of a sum. */
  interface Result {
    void store(int at, int channel);
  }

  /** For each window and group the inputs under the kernel, channel by channel, 0 outside. */
  void columns(Tensor x, long[] wShape, WeightVectors vectors) {
    int plane = (int) Tensor.count(Window.numbers(window.input()));
    int kernelPlane = (int) Tensor.count(Window.numbers(window.kernel()));
    int batch = (int) x.shape()[0];
    int channels = (int) x.shape()[1];
    int perGroup = (int) wShape[1];
    float[] vector = new float[perGroup * kernelPlane];
    window.forEach((at, taps, kernelAt, inputAt, padded) -> {
      for (int n = 0; n < batch; n++) {
        for (int g = 0; g < groups; g++) {
          Arrays.fill(vector, 0);
          for (int ic = 0; ic < perGroup; ic++) {
            int from = (n * channels + g * perGroup + ic) * plane;
            for (int t = 0; t < taps; t++) {
              vector[ic * kernelPlane + kernelAt[t]] = (float) x.getDouble(from + inputAt[t]);
            }
          }
          vectors.add(g, (int) groups, vector);
        }
      }
    });
  }

  /**
   * Visits every product of constant shapes: all taps of all input channels of an element of the
   * result, then its end.
   */
  void forEach(long[] xShape, long[] wShape, Taps each, Result end) {
    int plane = (int) Tensor.count(Window.numbers(window.input()));
    int kernelPlane = (int) Tensor.count(Window.numbers(window.kernel()));
    int windows = (int) Tensor.count(Window.numbers(window.output()));
    int batch = (int) xShape[0];
    int channels = (int) xShape[1];
    int filters = (int) wShape[0];
    int perGroup = (int) wShape[1];
    int filtersPerGroup = (int) (filters / groups);
    window.forEach((at, taps, kernelAt, inputAt, padded) -> {
      for (int n = 0; n < batch; n++) {
        for (int m = 0; m < filters; m++) {
          int first = m / filtersPerGroup * perGroup;
          for (int ic = 0; ic < perGroup; ic++) {
            each.add(
                (n * channels + first + ic) * plane,
                (m * perGroup + ic) * kernelPlane,
                taps,
                inputAt,
                kernelAt);
          }
          end.store((n * filters + m) * windows + at, m);
        }
      }
    });
  }
}
