package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * DeformConv (19, 22): a convolution whose taps are moved by offset [N, groups * taps * dims, o...]
 * (per tap one number for each spatial dimension) and weighted by mask [N, groups * taps, o...];
 * offset_group tells how many parts of the channels have offsets of their own. Moved taps are
 * interpolated linearly; what lies outside of X is zero.
 */
final class DeformConv extends OpBase {
  private static final int OFFSET = 2;
  private static final int BIAS = 3;
  private static final int MASK = 4;

  /** Offsets beyond are so far outside that only their being there matters. */
  private static final double FAR = 1 << 28;

  DeformConv() {
    super(
        OpSchema.of("", "DeformConv", 19, 22)
            .sample(
                "p=1..2; q=1..2; oh=1..3; ow=1..3; h=plus(oh, p, -1); w=plus(ow, q, -1); t=times(p, q); r=times(2, t); X[n c h w]; W[m c p q]; offset[n r oh ow]; B[m]; mask[n t oh ow]; dilations=-; group=-; kernel_shape=-; offset_group=-; pads=-; strides=-")
            .input("X", "T")
            .input("W", "T")
            .input("offset", "T")
            .optional("B", "T")
            .optional("mask", "T")
            .output("Y", "T")
            .types("T", Types.FLOATS)
            .attribute("dilations", AttributeKind.INTS)
            .attribute("group", AttributeKind.INT)
            .attribute("kernel_shape", AttributeKind.INTS)
            .attribute("offset_group", AttributeKind.INT)
            .attribute("pads", AttributeKind.INTS)
            .attribute("strides", AttributeKind.INTS)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private static ConvPlan plan(OpContext c) {
    ConvPlan plan = ConvPlan.of(c, 0, 1);
    long parts = parts(c);
    DimExpr channels = c.dims(0).get(1);
    if (channels.isConst() && channels.constValue() % parts != 0) {
      throw c.error("TSR-0303", channels + " channels do not make " + parts + " offset groups");
    }
    DimExpr numbers = DimExpr.product(plan.window().kernel()).times(parts);
    check(c, OFFSET, "offset", numbers.times(plan.window().rank()), plan);
    if (c.hasInput(MASK)) {
      check(c, MASK, "mask", numbers, plan);
    }
    return plan;
  }

  private static long parts(OpContext c) {
    long parts = c.intAttr("offset_group", 1);
    if (parts < 1 || parts > Integer.MAX_VALUE) {
      throw c.error("TSR-0304", "offset_group is " + parts);
    }
    return parts;
  }

  private static void check(OpContext c, int input, String name, DimExpr numbers, ConvPlan plan) {
    List<DimExpr> dims = c.dims(input);
    if (dims.size() != plan.out().size()) {
      throw c.error("TSR-0303", name + " must have rank " + plan.out().size());
    }
    Shapes.agree(c, "samples of " + name, dims.getFirst(), plan.out().getFirst());
    Shapes.agree(c, "numbers of " + name + " per window", dims.get(1), numbers);
    for (int d = 0; d < plan.window().rank(); d++) {
      Shapes.agree(c, "windows of " + name, dims.get(2 + d), plan.window().output().get(d));
    }
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    boolean ranked = shapes(c, 0, 3).isPresent() && (!c.hasInput(MASK) || c.in(MASK).isRanked());
    return List.of(
        ranked
            ? ValueType.TensorType.of(c.dtype(0), plan(c).out())
            : ValueType.TensorType.unranked(c.dtype(0)));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    ConvPlan plan = plan(c);
    Window window = plan.window();
    Tensor x = c.input(0);
    Tensor w = c.input(1);
    Tensor y = Shapes.allocate(c, x.dtype(), Window.numbers(plan.out()));
    long[] spatial = Window.numbers(window.input());
    long[] kernel = Window.numbers(window.kernel());
    long[] windows = Window.numbers(window.output());
    long[] begin = Window.numbers(window.padBegin());
    int taps = (int) Tensor.count(kernel);
    int points = (int) Tensor.count(windows);
    int plane = (int) Tensor.count(spatial);
    int channels = (int) x.shape()[1];
    int filters = (int) w.shape()[0];
    int perGroup = (int) w.shape()[1];
    int parts = (int) parts(c);
    int rank = window.rank();
    for (int i = 0; i < y.size(); i++) {
      int point = i % points;
      int filter = i / points % filters;
      int n = i / points / filters;
      long[] out = Shapes.unravel(point, windows);
      double sum = c.hasInput(BIAS) ? c.input(BIAS).getDouble(filter) : 0;
      for (int ic = 0; ic < perGroup; ic++) {
        int channel = (int) (filter / (filters / plan.groups())) * perGroup + ic;
        int part = channel / (channels / parts);
        for (int t = 0; t < taps; t++) {
          long[] tap = Shapes.unravel(t, kernel);
          int moved = (n * parts + part) * taps + t;
          double[] at = new double[rank];
          for (int d = 0; d < rank; d++) {
            at[d] =
                out[d] * window.stride()[d]
                    + tap[d] * window.dilation()[d]
                    - begin[d]
                    + c.input(OFFSET).getDouble((moved * rank + d) * points + point);
          }
          double value = sample(x, (n * channels + channel) * plane, spatial, at);
          double mask = c.hasInput(MASK) ? c.input(MASK).getDouble(moved * points + point) : 1;
          sum += value * mask * w.getDouble((filter * perGroup + ic) * taps + t);
        }
      }
      y.setDouble(i, sum);
    }
    return List.of(y);
  }

  private static double sample(Tensor x, int plane, long[] spatial, double[] at) {
    double sum = 0;
    for (int corner = 0; corner < 1 << at.length; corner++) {
      double weight = 1;
      long position = 0;
      boolean inside = true;
      for (int d = 0; d < at.length; d++) {
        double base = Math.floor(at[d]);
        int step = corner >> d & 1;
        double near = base + step;
        weight *= step == 0 ? 1 - (at[d] - base) : at[d] - base;
        inside &= near >= 0 && near < spatial[d];
        position = position * spatial[d] + (long) near;
      }
      sum += inside ? weight * x.getDouble((int) (plane + position)) : 0;
    }
    return sum;
  }

  /** First the moved taps of every window, then the convolution as one contraction. */
  @Override
  Lowering code(OpContext c) {
    ConvPlan plan = plan(c);
    Window window = plan.window();
    KernelBuilder kernel = new KernelBuilder(this, c);
    Scalar type = kernel.computeType(0);
    List<DimExpr> x = c.dims(0);
    Axis n = new Axis("n", x.getFirst());
    Axis ch = new Axis("c", x.get(1));
    List<Axis> taps = window.kernelAxes();
    List<Axis> outs = window.outputAxes();
    DimExpr tapCount = DimExpr.product(window.kernel());
    KExpr tap = K.index(0);
    for (Axis t : taps) {
      tap = K.add(K.mul(tap, K.dim(t.extent())), K.axis(t));
    }
    long parts = parts(c);
    Axis part = new Axis("part", DimExpr.of(parts));
    List<Axis> tableAxes = new ArrayList<>(List.of(n, part));
    tableAxes.addAll(taps);
    tableAxes.addAll(outs);
    KExpr moved = K.add(K.mul(K.axis(part), K.dim(tapCount)), tap);
    List<Buf> places = new ArrayList<>();
    for (int d = 0; d < window.rank(); d++) {
      KExpr number = K.add(K.mul(moved, K.index(window.rank())), K.index(d));
      List<KExpr> at = new ArrayList<>(List.of(K.axis(n), number));
      at.addAll(Shapes.refs(outs));
      KExpr offset =
          K.max(K.min(kernel.value(OFFSET, at), K.literal(type, FAR)), K.literal(type, -FAR));
      Buf place = kernel.temp("place" + d, type, tableAxes.stream().map(Axis::extent).toList());
      kernel.stage(
          place,
          tableAxes,
          K.add(K.cast(type, window.position(d, outs.get(d), taps.get(d))), offset));
      places.add(place);
    }
    KExpr own = parts == 1 ? K.index(0) : K.floorDiv(K.axis(ch), K.dim(x.get(1).floorDiv(parts)));
    List<KExpr> table = new ArrayList<>(List.of(K.axis(n), own));
    table.addAll(Shapes.refs(taps));
    table.addAll(Shapes.refs(outs));
    KExpr value = K.literal(type, 0.0);
    for (int corner = 0; corner < 1 << window.rank(); corner++) {
      value = K.add(value, corner(kernel, window, places, table, K.axis(n), K.axis(ch), corner));
    }
    if (c.hasInput(MASK)) {
      List<KExpr> at = new ArrayList<>(List.of(K.axis(n), K.add(K.mul(own, K.dim(tapCount)), tap)));
      at.addAll(Shapes.refs(outs));
      value = K.mul(value, kernel.value(MASK, at));
    }
    List<Axis> sampleAxes = new ArrayList<>(List.of(n, ch));
    sampleAxes.addAll(taps);
    sampleAxes.addAll(outs);
    Buf samples = kernel.temp("samples", type, sampleAxes.stream().map(Axis::extent).toList());
    kernel.stage(samples, sampleAxes, value);
    List<KExpr> from = new ArrayList<>(plan.x().subList(0, 2));
    from.addAll(Shapes.refs(taps));
    from.addAll(Shapes.refs(outs));
    KExpr sum = K.sum(plan.fold(), K.mul(K.at(samples, from), kernel.value(1, plan.w())));
    if (c.hasInput(BIAS)) {
      sum = K.add(sum, kernel.value(BIAS, plan.channel()));
    }
    kernel.stage(kernel.out(0), plan.axes(), plan.target(), sum);
    return kernel.build();
  }

  /** One corner of the element that a moved tap lies in, times its weight. */
  private static KExpr corner(
      KernelBuilder kernel,
      Window window,
      List<Buf> places,
      List<KExpr> table,
      KExpr sample,
      KExpr channel,
      int corner) {
    List<KExpr> index = new ArrayList<>(List.of(sample, channel));
    KExpr inside = K.bool(true);
    KExpr weight = K.bool(true);
    for (int d = 0; d < window.rank(); d++) {
      KExpr place = K.at(places.get(d), table);
      KExpr base = K.unary(UnaryOp.FLOOR, place);
      KExpr fraction = K.sub(place, base);
      boolean near = (corner >> d & 1) == 0;
      KExpr factor = near ? K.sub(K.literal(place.scalar(), 1.0), fraction) : fraction;
      weight = d == 0 ? factor : K.mul(weight, factor);
      KExpr at = K.add(K.cast(Scalar.INDEX, base), K.index(near ? 0 : 1));
      inside = K.and(inside, K.and(K.ge(at, K.index(0)), K.lt(at, K.dim(window.input().get(d)))));
      index.add(at);
    }
    KExpr value = kernel.value(0, index);
    return K.select(inside, K.mul(weight, value), K.literal(value.scalar(), 0.0));
  }
}
