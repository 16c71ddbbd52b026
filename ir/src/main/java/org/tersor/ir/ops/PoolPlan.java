package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Geometry of a pool over X [N, C, spatial...].
 *
 * @param out shape of the result [N, C, windows...]
 * @param axes one per dimension of the result
 * @param fold axes of the window
 * @param x index into X
 * @param inside guard of X, where there is padding
 */
record PoolPlan(
    Window window,
    List<DimExpr> out,
    List<Axis> axes,
    List<Axis> fold,
    List<KExpr> x,
    Optional<KExpr> inside) {

  /** From operand 0 and the attribute kernel_shape. */
  static PoolPlan of(OpContext c) {
    List<DimExpr> x = c.dims(0);
    if (x.size() < 3) {
      throw c.error("TSR-0303", "a pool needs X [N, C, D...] of rank 3 or more");
    }
    long[] kernel = Window.positive(c, "kernel_shape", x.size() - 2);
    Window window = Window.of(c, x.subList(2, x.size()), DimExpr.list(kernel));
    List<DimExpr> out = new ArrayList<>(x.subList(0, 2));
    out.addAll(window.output());
    List<Axis> axes = new ArrayList<>(List.of(new Axis("n", x.get(0)), new Axis("c", x.get(1))));
    List<Axis> outputs = window.outputAxes();
    List<Axis> taps = window.kernelAxes();
    axes.addAll(outputs);
    List<KExpr> positions = window.positions(outputs, taps);
    List<KExpr> index = new ArrayList<>(List.of(K.axis(axes.get(0)), K.axis(axes.get(1))));
    index.addAll(positions);
    List<Axis> fold = new ArrayList<>(taps);
    fold.removeIf(a -> a.extent().isConst(1));
    return new PoolPlan(
        window, List.copyOf(out), List.copyOf(axes), fold, index, window.inside(positions));
  }

  static OpSchema.Builder attributes(OpSchema.Builder schema) {
    return schema
        .attribute("auto_pad", AttributeKind.STRING)
        .attribute("ceil_mode", AttributeKind.INT)
        .required("kernel_shape", AttributeKind.INTS)
        .attribute("pads", AttributeKind.INTS)
        .attribute("strides", AttributeKind.INTS);
  }

  /** {@code value}, and {@code padding} outside the input. */
  KExpr guarded(KExpr value, KExpr padding) {
    return inside.map(condition -> K.select(condition, value, padding)).orElse(value);
  }

  /** What {@link #forEach} calls. */
  interface Visitor {
    /**
     * @param at position in the result
     * @param plane position of the channel's plane in X
     * @param inputAt positions of the taps in the plane
     * @param padded taps inside input and padding
     */
    void window(int at, int plane, int window, int taps, int[] inputAt, int padded);
  }

  /** Visits every window of every channel; shapes are constant. */
  void forEach(Visitor visitor) {
    int planes = (int) (out.get(0).constValue() * out.get(1).constValue());
    int plane = (int) Tensor.count(Window.numbers(window.input()));
    int windows = (int) Tensor.count(Window.numbers(window.output()));
    window.forEach((w, taps, kernelAt, inputAt, padded) -> {
      for (int p = 0; p < planes; p++) {
        visitor.window(p * windows + w, p * plane, w, taps, inputAt, padded);
      }
    });
  }
}
