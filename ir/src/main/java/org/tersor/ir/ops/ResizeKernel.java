package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/**
 * The kernel of {@link Resize}: per dimension tables of positions and weights (they depend on
 * shapes alone, so with constant scales they are made once), then one gather or one sum of
 * products.
 */
final class ResizeKernel {
  private final OpContext context;
  private final KernelBuilder kernel;
  private final ResizePlan plan;
  private final List<Axis> axes;
  private final List<Axis> taps = new ArrayList<>();
  private final List<KExpr> index = new ArrayList<>();
  private KExpr weight = K.f32(1);
  private KExpr inside = K.bool(true);

  ResizeKernel(OpBase operator, OpContext context) {
    this.context = context;
    kernel = new KernelBuilder(operator, context);
    plan = ResizePlan.of(context);
    axes = Shapes.axes("o", plan.out());
  }

  Lowering build() {
    boolean first = true;
    for (int d = 0; d < plan.dims().size(); d++) {
      ResizePlan.Dim dim = plan.dims().get(d);
      if (dim.isCopy(plan.coordinates())) {
        index.add(K.axis(axes.get(d)));
      } else if (plan.mode() == ResizePlan.Mode.NEAREST) {
        index.add(
            repeats(dim)
                ? K.floorDiv(K.axis(axes.get(d)), K.index((long) (float) dim.scale().orElseThrow()))
                : nearest(d, dim));
      } else {
        KExpr factor = weights(d, dim);
        weight = first ? factor : K.mul(weight, factor);
        first = false;
      }
    }
    Buf out = kernel.out(0);
    if (plan.mode() == ResizePlan.Mode.NEAREST) {
      KExpr element = K.at(kernel.in(0), index);
      kernel.stage(out, axes, guarded(element, K.cast(out.element(), K.f32(plan.extrapolation()))));
      return kernel.build();
    }
    Scalar type = out.element() == Scalar.F64 ? Scalar.F64 : Scalar.F32;
    KExpr element = K.cast(type, kernel.value(0, index));
    KExpr sum = taps.isEmpty() ? element : K.sum(taps, K.mul(K.cast(type, weight), element));
    KExpr value = whole(type, sum);
    kernel.stage(out, axes, guarded(value, K.literal(type, (double) plan.extrapolation())));
    return kernel.build();
  }

  private KExpr whole(Scalar type, KExpr sum) {
    DType result = context.dtype(0);
    return switch (plan.whole(result)) {
      case AS_CAST -> sum;
      case SATURATE -> clamped(type, sum, result);
      case ROUND_AND_SATURATE -> clamped(type, K.unary(UnaryOp.RINT, sum), result);
    };
  }

  private static KExpr clamped(Scalar type, KExpr value, DType result) {
    // 2^31 - 1 is no float, and the next one is beyond the integers.
    float most = (float) result.maxValue();
    most = (double) most > result.maxValue() ? Math.nextDown(most) : most;
    KExpr atLeast = K.max(value, K.literal(type, (double) result.minValue()));
    return K.min(atLeast, K.literal(type, (double) most));
  }

  private KExpr guarded(KExpr value, KExpr otherwise) {
    return inside instanceof KExpr.IntLit ? value : K.select(inside, value, otherwise);
  }

  /** Whether every element is simply repeated a whole number of times. */
  private boolean repeats(ResizePlan.Dim dim) {
    boolean whole = dim.scale().map(s -> s >= 1 && s == Math.rint(s) && s < 1 << 20).orElse(false);
    boolean floors =
        plan.nearest() == ResizePlan.Nearest.FLOOR || plan.nearest() == ResizePlan.Nearest.SIMPLE;
    return whole && floors && plan.coordinates() == ResizePlan.Coordinates.ASYMMETRIC;
  }

  private KExpr f32(DimExpr dim) {
    return dim.isConst() ? K.f32((double) dim.constValue()) : K.cast(Scalar.F32, K.dim(dim));
  }

  private KExpr scale(ResizePlan.Dim dim) {
    if (dim.scale().isPresent()) {
      return K.f32(dim.scale().get());
    }
    return dim.scaleAt() >= 0
        ? K.at(kernel.in(ResizePlan.scalesInput(context)), K.index(dim.scaleAt()))
        : K.div(f32(dim.out()), f32(dim.in()));
  }

  /** A position of the result divided by the scale. */
  private KExpr source(ResizePlan.Dim dim, KExpr position) {
    return dim.isQuotient()
        ? K.div(K.mul(position, f32(dim.in())), f32(dim.out()))
        : K.div(position, scale(dim));
  }

  /**
   * A table of the input coordinate of each output position; marks what lies outside when cropping.
   */
  private KExpr coordinate(int d, ResizePlan.Dim dim) {
    Axis axis = axes.get(d);
    KExpr o = K.cast(Scalar.F32, K.axis(axis));
    KExpr scale = scale(dim);
    KExpr in = f32(dim.in());
    KExpr out = dim.scaleAt() >= 0 ? K.mul(scale, in) : f32(dim.out());
    KExpr half = K.f32(0.5);
    KExpr one = K.f32(1);
    KExpr wider = K.gt(K.dim(dim.out()), K.index(1));
    KExpr middle = K.sub(source(dim, K.add(o, half)), half);
    KExpr value =
        switch (plan.coordinates()) {
          case HALF_PIXEL -> middle;
          case HALF_PIXEL_SYMMETRIC -> {
            KExpr adjustment = K.div(f32(dim.out()), K.mul(scale, in));
            yield K.add(K.mul(K.div(in, K.f32(2)), K.sub(one, adjustment)), middle);
          }
          case PYTORCH_HALF_PIXEL -> K.select(wider, middle, K.f32(0));
          case ALIGN_CORNERS ->
              K.select(wider, K.div(K.mul(o, K.sub(in, one)), K.sub(out, one)), K.f32(0));
          case ASYMMETRIC -> source(dim, o);
          case TF_HALF_PIXEL_FOR_NN -> source(dim, K.add(o, half));
          case TF_CROP_AND_RESIZE -> {
            KExpr begin = roi(dim.roiAt(), 0);
            KExpr end = roi(dim.roiEnd(), 1);
            KExpr last = K.sub(in, one);
            KExpr step = K.div(K.mul(K.mul(o, K.sub(end, begin)), last), K.sub(out, one));
            yield K.select(
                wider,
                K.add(K.mul(begin, last), step),
                K.mul(K.mul(half, K.add(begin, end)), last));
          }
        };
    Buf table = kernel.temp("coordinate" + d, Scalar.F32, List.of(dim.out()));
    kernel.stage(table, List.of(axis), value);
    KExpr x = K.at(table, K.axis(axis));
    if (plan.coordinates() == ResizePlan.Coordinates.TF_CROP_AND_RESIZE) {
      inside = K.and(inside, K.and(K.ge(x, K.f32(0)), K.le(x, K.sub(in, one))));
    }
    return x;
  }

  private KExpr roi(int at, double otherwise) {
    return at < 0
        ? K.f32(otherwise)
        : K.cast(Scalar.F32, K.at(kernel.in(ResizePlan.ROI), K.index(at)));
  }

  private KExpr clamped(KExpr position, DimExpr extent) {
    return K.max(K.min(position, K.sub(K.dim(extent), K.index(1))), K.index(0));
  }

  private KExpr nearest(int d, ResizePlan.Dim dim) {
    KExpr x = coordinate(d, dim);
    KExpr half = K.f32(0.5);
    KExpr rounded =
        switch (plan.nearest()) {
          case ROUND_PREFER_FLOOR -> K.unary(UnaryOp.CEIL, K.sub(x, half));
          case ROUND_PREFER_CEIL -> K.unary(UnaryOp.FLOOR, K.add(x, half));
          case FLOOR -> K.unary(UnaryOp.FLOOR, x);
          case CEIL -> K.unary(UnaryOp.CEIL, x);
          case SIMPLE ->
              K.select(
                  K.lt(scale(dim), K.f32(1)), K.unary(UnaryOp.CEIL, x), K.unary(UnaryOp.FLOOR, x));
        };
    Buf table = kernel.temp("nearest" + d, Scalar.I32, List.of(dim.out()));
    Axis axis = axes.get(d);
    kernel.stage(
        table, List.of(axis), K.cast(Scalar.I32, clamped(K.cast(Scalar.INDEX, rounded), dim.in())));
    return K.cast(Scalar.INDEX, K.at(table, K.axis(axis)));
  }

  /** Adds the index in dimension {@code d}; returns the weight at an output position and a tap. */
  private KExpr weights(int d, ResizePlan.Dim dim) {
    Axis axis = axes.get(d);
    KExpr x = coordinate(d, dim);
    DimExpr first = plan.firstTap(dim);
    Axis tap = new Axis("t" + d, DimExpr.of(2).minus(first.times(2)));
    KExpr base = K.sub(K.unary(UnaryOp.CEIL, x), K.f32(1));
    KExpr step = K.add(K.axis(tap), K.dim(first));
    KExpr distance = K.unary(UnaryOp.ABS, K.sub(K.cast(Scalar.F32, step), K.sub(x, base)));
    if (plan.antialias() && dim.scale().orElse(0f) < 1) {
      distance = K.mul(distance, K.min(scale(dim), K.f32(1)));
    }
    KExpr plain =
        plan.mode() == ResizePlan.Mode.LINEAR
            ? K.max(K.f32(0), K.sub(K.f32(1), distance))
            : cubic(distance);
    KExpr position = K.add(K.cast(Scalar.INDEX, base), step);
    if (plan.excludeOutside()) {
      KExpr outside = K.or(K.lt(position, K.index(0)), K.ge(position, K.dim(dim.in())));
      plain = K.select(outside, K.f32(0), plain);
    }
    List<DimExpr> shape = List.of(dim.out(), tap.extent());
    Buf raw = kernel.temp("raw" + d, Scalar.F32, shape);
    kernel.stage(raw, List.of(axis, tap), plain);
    Buf total = kernel.temp("total" + d, Scalar.F32, List.of(dim.out()));
    kernel.stage(total, List.of(axis), K.sum(List.of(tap), K.at(raw, K.axis(axis), K.axis(tap))));
    Buf table = kernel.temp("weight" + d, Scalar.F32, shape);
    kernel.stage(
        table,
        List.of(axis, tap),
        K.div(K.at(raw, K.axis(axis), K.axis(tap)), K.at(total, K.axis(axis))));
    Buf positions = kernel.temp("position" + d, Scalar.I32, shape);
    kernel.stage(positions, List.of(axis, tap), K.cast(Scalar.I32, clamped(position, dim.in())));
    taps.add(tap);
    index.add(K.cast(Scalar.INDEX, K.at(positions, K.axis(axis), K.axis(tap))));
    return K.at(table, K.axis(axis), K.axis(tap));
  }

  private KExpr cubic(KExpr x) {
    double a = plan.cubic();
    KExpr squared = K.mul(x, x);
    KExpr near = K.add(K.mul(K.sub(K.mul(K.f32(a + 2), x), K.f32(a + 3)), squared), K.f32(1));
    KExpr far =
        K.sub(
            K.mul(K.add(K.mul(K.sub(K.mul(K.f32(a), x), K.f32(5 * a)), x), K.f32(8 * a)), x),
            K.f32(4 * a));
    return K.select(K.le(x, K.f32(1)), near, K.select(K.lt(x, K.f32(2)), far, K.f32(0)));
  }
}
