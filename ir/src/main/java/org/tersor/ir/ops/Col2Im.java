package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Col2Im (18): columns [N, C * taps, windows] laid back onto images [N, C, image_shape...]: each
 * pixel is the sum of the column elements that windows of block_shape read there.
 */
final class Col2Im extends OpBase {
  private static final int IMAGE = 1;
  private static final int BLOCK = 2;

  Col2Im() {
    super(
        OpSchema.of("", "Col2Im", 18)
            .sample(
                "p=1..2; q=1..2; bh=1..3; bw=1..3; h=plus(bh, p, -1); w=plus(bw, q, -1); c=1..2; r=times(c, p, q); l=times(bh, bw); input[n r l]; image_shape=dims(h w); block_shape=dims(p q); dilations=-; pads=-; strides=-")
            .input("input", "T")
            .input("image_shape", "I")
            .input("block_shape", "I")
            .output("output", "T")
            .types("T", Types.NUMERIC)
            .types("I", Types.I64)
            .attribute("dilations", AttributeKind.INTS)
            .attribute("pads", AttributeKind.INTS)
            .attribute("strides", AttributeKind.INTS)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private static Optional<Window> window(OpContext c) {
    Optional<List<DimExpr>> image = c.symbolic(IMAGE);
    Optional<List<DimExpr>> block = c.symbolic(BLOCK);
    if (c.rank(0) != 3) {
      throw c.error("TSR-0303", "the columns must be [N, C * taps, windows]");
    }
    if (image.isEmpty() || block.isEmpty()) {
      return Optional.empty();
    }
    List<DimExpr> all = new ArrayList<>(image.get());
    all.addAll(block.get());
    for (DimExpr extent : all) {
      if (extent.isConst()
          && (extent.constValue() < 1 || extent.constValue() > Integer.MAX_VALUE)) {
        throw c.error("TSR-0303", "an image or block cannot have the extent " + extent);
      }
    }
    Window window = Window.of(c, image.get(), block.get());
    if (window.rank() < 1) {
      throw c.error("TSR-0303", "an image has one dimension or more");
    }
    Shapes.agree(c, "number of windows", c.dims(0).get(2), DimExpr.product(window.output()));
    DimExpr rows = c.dims(0).get(1);
    DimExpr taps = DimExpr.product(block.get());
    if (rows.isConst() && taps.isConst() && rows.constValue() % taps.constValue() != 0) {
      throw c.error("TSR-0303", rows + " rows are no multiple of " + taps + " taps");
    }
    return Optional.of(window);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    Optional<Window> window = window(c);
    List<DimExpr> shape = new ArrayList<>(List.of(c.dims(0).getFirst()));
    if (window.isPresent()) {
      shape.add(c.dims(0).get(1).floorDiv(DimExpr.product(window.get().kernel())));
      shape.addAll(window.get().input());
    } else {
      Optional<DimExpr> rank = c.in(IMAGE).shape().map(List::getFirst).filter(DimExpr::isConst);
      if (rank.isEmpty()) {
        return List.of(TensorType.unranked(c.dtype(0)));
      }
      for (int d = 0; d <= rank.get().constValue(); d++) {
        shape.add(unknown(c, d));
      }
    }
    return List.of(TensorType.of(c.dtype(0), shape));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Window window = window(c).orElseThrow();
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), outType(c, 0).staticShape());
    int taps = (int) Tensor.count(Window.numbers(window.kernel()));
    int windows = (int) Tensor.count(Window.numbers(window.output()));
    int plane = (int) Tensor.count(Window.numbers(window.input()));
    int planes = plane == 0 ? 0 : y.size() / plane;
    double[] sum = new double[y.size()];
    long[] whole = new long[y.size()];
    window.forEach((w, count, kernelAt, inputAt, padded) -> {
      for (int p = 0; p < planes; p++) {
        for (int t = 0; t < count; t++) {
          int from = (p * taps + kernelAt[t]) * windows + w;
          int to = p * plane + inputAt[t];
          if (Reals.isInteger(x)) {
            whole[to] += x.getLong(from);
          } else {
            sum[to] += x.getDouble(from);
          }
        }
      }
    });
    for (int i = 0; i < y.size(); i++) {
      if (Reals.isInteger(x)) {
        y.setLong(i, whole[i]);
      } else {
        y.setDouble(i, sum[i]);
      }
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    Window window =
        window(c).orElseThrow(() -> notLowered(c, "the image's shape is only known when it runs"));
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes("o", kernel.out(0).shape());
    List<Axis> taps = window.kernelAxes();
    KExpr tap = K.index(0);
    KExpr at = K.index(0);
    KExpr inside = K.bool(true);
    for (int d = 0; d < window.rank(); d++) {
      // The window that reads this pixel with this tap, if there is one.
      KExpr shifted =
          K.sub(
              K.add(K.axis(axes.get(2 + d)), K.dim(window.padBegin().get(d))),
              K.mul(K.axis(taps.get(d)), K.index(window.dilation()[d])));
      KExpr stride = K.index(window.stride()[d]);
      KExpr position = K.floorDiv(shifted, stride);
      if (window.stride()[d] != 1) {
        inside = K.and(inside, K.eq(K.floorMod(shifted, stride), K.index(0)));
      }
      KExpr extent = K.dim(window.output().get(d));
      inside = K.and(inside, K.and(K.ge(shifted, K.index(0)), K.lt(position, extent)));
      tap = K.add(K.mul(tap, K.dim(window.kernel().get(d))), K.axis(taps.get(d)));
      at = K.add(K.mul(at, extent), position);
    }
    KExpr row = K.add(K.mul(K.axis(axes.get(1)), K.dim(DimExpr.product(window.kernel()))), tap);
    KExpr x = kernel.value(0, K.axis(axes.get(0)), row, at);
    List<Axis> fold = new ArrayList<>(taps);
    fold.removeIf(a -> a.extent().isConst(1));
    kernel.stage(kernel.out(0), axes, K.sum(fold, K.select(inside, x, K.literal(x.scalar(), 0L))));
    return kernel.build();
  }
}
