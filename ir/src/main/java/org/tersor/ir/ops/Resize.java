package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Resize (10, 11, 13, 18, 19) and Upsample (1, 7, 9). Coordinates are computed in float32, as every
 * implementation does: in double other elements would be the nearest ones. Elements outside X are
 * those at its border, or, with exclude_outside, left out.
 */
final class Resize extends OpBase {
  /** Attribute of the sized form: whether the others are those since version 11. */
  static final String MODERN = "modern";

  private Resize(OpSchema.Builder schema) {
    super(schema);
  }

  static Resize resize() {
    return new Resize(
        OpSchema.of("", "Resize", 10, 11, 13, 18, 19)
            .sample(
                "13-: X[d*1-4]; 13-: sizes=each(d, 1..6); 13-: mode!=nearest; 13-: nearest_mode=round_prefer_floor|round_prefer_ceil|floor|ceil; 13-: coordinate_transformation_mode=half_pixel|asymmetric|align_corners|pytorch_half_pixel; roi=-; scales=-; axes=-; antialias=-; cubic_coeff_a=-; exclude_outside=-; extrapolation_value=-; keep_aspect_ratio_policy=- || 13-: X[n c h w]; 13-: sizes=dims(n c p q); 13-: mode!=linear|cubic; 13-: coordinate_transformation_mode=half_pixel|asymmetric|align_corners|pytorch_half_pixel; roi=-; scales=-; axes=-; antialias=-; 13-: cubic_coeff_a=-0.75|-0.5; 13-: exclude_outside=0; nearest_mode=-; extrapolation_value=-; keep_aspect_ratio_policy=- || 18-: X[n c h w]; 18-: axes=dims(2 3); 18-: sizes=dims(p q); 18-: mode!=linear|cubic; 18-: antialias=0|1; roi=-; scales=-; nearest_mode=-; cubic_coeff_a=-; exclude_outside=-; extrapolation_value=-; keep_aspect_ratio_policy=-; coordinate_transformation_mode=-")
            .input("X", "T1")
            .optional("roi", "T2")
            .optional("scales", "F")
            .optional("sizes", "I")
            .output("Y", "T1")
            .attribute("antialias", AttributeKind.INT)
            .attribute("axes", AttributeKind.INTS)
            .attribute("coordinate_transformation_mode", AttributeKind.STRING)
            .attribute("cubic_coeff_a", AttributeKind.FLOAT)
            .attribute("exclude_outside", AttributeKind.INT)
            .attribute("extrapolation_value", AttributeKind.FLOAT)
            .attribute("keep_aspect_ratio_policy", AttributeKind.STRING)
            .attribute("mode", AttributeKind.STRING)
            .attribute("nearest_mode", AttributeKind.STRING)
            .types("T1", Types.NUMERIC_OR_BOOL)
            .types("T2", Types.FLOATS)
            .types("F", Types.set(DType.F32))
            .types("I", Types.I64));
  }

  /** With sizes of the result computed beside scales, see {@link ResizeSizes}. */
  static Resize sized() {
    return new Resize(
        OpSchema.of(OpKey.TERSOR, "Resize", 1)
            .input("X", "T1")
            .optional("roi", "T2")
            .input("scales", "F")
            .input("sizes", "I")
            .output("Y", "T1")
            .attribute(MODERN, AttributeKind.INT)
            .types("T1", Types.NUMERIC_OR_BOOL)
            .types("T2", Types.FLOATS)
            .types("F", Types.set(DType.F32))
            .types("I", Types.I64));
  }

  static Resize upsample() {
    return new Resize(
        OpSchema.of("", "Upsample", 1, 7, 9, 10)
            .sample(
                "-6: -; 10-: -; X[n c h w]; 7-8: scales!=list(1.0, 1.0, 1.0..3.0, 1.0..3.0); 9-: scales![*]=list(1.0, 1.0, 1.0..3.0, 1.0..3.0); mode=nearest|linear; height_scale=-; width_scale=- || -6: -; 10-: -; X[d*1-4]; r=rank(X); 7-8: scales!=copies(r, 1.0..2.5); 9-: scales![#d]=1.0..2.5; mode=nearest; height_scale=-; width_scale=-")
            .input("X", "T")
            .optional("scales", "F")
            .output("Y", "T")
            .attribute("height_scale", AttributeKind.FLOAT)
            .attribute("mode", AttributeKind.STRING)
            .attribute("scales", AttributeKind.FLOATS)
            .attribute("width_scale", AttributeKind.FLOAT)
            .types("T", Types.NUMERIC_OR_BOOL)
            .types("F", Types.set(DType.F32)));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(type(c.dtype(0), c.in(0).shape().map(s -> ResizePlan.of(c).out())));
  }

  /** Elements of X along one dimension that make one element of Y, with their weights. */
  private record Taps(int[] at, double[] weight, boolean outside) {}

  @Override
  List<Tensor> values(EvalContext c) {
    ResizePlan plan = ResizePlan.of(c);
    Tensor x = c.input(0);
    long[] out = Window.numbers(plan.out());
    Tensor y = Shapes.allocate(c, x.dtype(), out);
    List<List<Taps>> taps = new ArrayList<>();
    for (ResizePlan.Dim dim : plan.dims()) {
      List<Taps> all = new ArrayList<>();
      for (int o = 0; o < dim.out().constValue(); o++) {
        all.add(
            dim.isCopy(plan.coordinates())
                ? new Taps(new int[] {o}, new double[] {1}, false)
                : taps(c, plan, dim, o));
      }
      taps.add(all);
    }
    long[] strides = Shapes.strides(x.shape());
    for (int i = 0; i < y.size(); i++) {
      long[] index = Shapes.unravel(i, out);
      boolean outside = false;
      for (int d = 0; d < index.length; d++) {
        outside |= taps.get(d).get((int) index[d]).outside;
      }
      if (outside) {
        y.setDouble(i, plan.extrapolation());
      } else if (plan.mode() == ResizePlan.Mode.NEAREST) {
        int at = 0;
        for (int d = 0; d < index.length; d++) {
          at += (int) (taps.get(d).get((int) index[d]).at[0] * strides[d]);
        }
        Shapes.copy(x, at, y, i);
      } else {
        y.setDouble(i, whole(plan, x.dtype(), sum(x, taps, index, strides, 0, 0)));
      }
    }
    return List.of(y);
  }

  private static double whole(ResizePlan plan, DType type, double value) {
    double least = (double) type.minValue();
    double most = (double) type.maxValue();
    return switch (plan.whole(type)) {
      case AS_CAST -> value;
      case SATURATE -> Math.clamp(value, least, most);
      case ROUND_AND_SATURATE -> Math.clamp(Math.rint(value), least, most);
    };
  }

  private static double sum(
      Tensor x, List<List<Taps>> taps, long[] index, long[] strides, int d, int at) {
    if (d == index.length) {
      return x.getDouble(at);
    }
    Taps here = taps.get(d).get((int) index[d]);
    double sum = 0;
    for (int t = 0; t < here.at.length; t++) {
      if (here.weight[t] != 0) {
        sum +=
            here.weight[t]
                * sum(x, taps, index, strides, d + 1, at + (int) (here.at[t] * strides[d]));
      }
    }
    return sum;
  }

  /** A position of the result divided by the scale. */
  private static float source(ResizePlan.Dim dim, float position, float scale) {
    return dim.isQuotient()
        ? position * dim.in().constValue() / dim.out().constValue()
        : position / scale;
  }

  private static float coordinate(
      EvalContext c, ResizePlan plan, ResizePlan.Dim dim, int o, float scale) {
    float in = dim.in().constValue();
    float out = dim.scaleAt() >= 0 ? scale * in : dim.out().constValue();
    return switch (plan.coordinates()) {
      case HALF_PIXEL -> source(dim, o + 0.5f, scale) - 0.5f;
      case HALF_PIXEL_SYMMETRIC ->
          in / 2 * (1 - dim.out().constValue() / (scale * in))
              + (source(dim, o + 0.5f, scale) - 0.5f);
      case PYTORCH_HALF_PIXEL ->
          dim.out().constValue() > 1 ? source(dim, o + 0.5f, scale) - 0.5f : 0;
      case ALIGN_CORNERS -> dim.out().constValue() > 1 ? o * (in - 1) / (out - 1) : 0;
      case ASYMMETRIC -> source(dim, o, scale);
      case TF_HALF_PIXEL_FOR_NN -> source(dim, o + 0.5f, scale);
      case TF_CROP_AND_RESIZE -> {
        float begin = dim.roiAt() < 0 ? 0 : (float) c.input(ResizePlan.ROI).getDouble(dim.roiAt());
        float end = dim.roiAt() < 0 ? 1 : (float) c.input(ResizePlan.ROI).getDouble(dim.roiEnd());
        yield dim.out().constValue() > 1
            ? begin * (in - 1) + o * (end - begin) * (in - 1) / (out - 1)
            : 0.5f * (begin + end) * (in - 1);
      }
    };
  }

  private static Taps taps(EvalContext c, ResizePlan plan, ResizePlan.Dim dim, int o) {
    int in = (int) dim.in().constValue();
    float scale = dim.scale().orElseGet(() -> (float) dim.out().constValue() / in);
    float x = coordinate(c, plan, dim, o, scale);
    boolean outside =
        plan.coordinates() == ResizePlan.Coordinates.TF_CROP_AND_RESIZE && (x < 0 || x > in - 1);
    if (plan.mode() == ResizePlan.Mode.NEAREST) {
      double rounded =
          switch (plan.nearest()) {
            case ROUND_PREFER_FLOOR -> Math.ceil(x - 0.5f);
            case ROUND_PREFER_CEIL -> Math.floor(x + 0.5f);
            case FLOOR -> Math.floor(x);
            case CEIL -> Math.ceil(x);
            case SIMPLE -> scale < 1 ? Math.ceil(x) : Math.floor(x);
          };
      return new Taps(new int[] {Math.clamp((long) rounded, 0, in - 1)}, new double[] {1}, outside);
    }
    // The fraction is in (0, 1]: an element right at the coordinate is the upper one.
    int base = (int) Math.ceil(x) - 1;
    double fraction = x - base;
    int first = plan.firstTap(scale);
    double narrow = plan.antialias() ? Math.min(scale, 1) : 1;
    int n = 2 - 2 * first;
    int[] at = new int[n];
    double[] weight = new double[n];
    double total = 0;
    for (int t = 0; t < n; t++) {
      int position = base + first + t;
      double distance = Math.abs((first + t - fraction) * narrow);
      boolean excluded = plan.excludeOutside() && (position < 0 || position >= in);
      weight[t] =
          excluded
              ? 0
              : plan.mode() == ResizePlan.Mode.LINEAR
                  ? Math.max(0, 1 - distance)
                  : cubic(distance, plan.cubic());
      total += weight[t];
      at[t] = Math.clamp(position, 0, in - 1);
    }
    for (int t = 0; t < n; t++) {
      weight[t] /= total;
    }
    return new Taps(at, weight, outside);
  }

  private static double cubic(double x, double a) {
    if (x <= 1) {
      return ((a + 2) * x - (a + 3)) * x * x + 1;
    }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
  }

  /** Sizes first, then the resizing, where scales are only known when it runs. */
  private static Lowering runtimeSizes(OpContext c, ResizePlan plan) {
    Value x = c.node().input(0);
    boolean modern = ResizePlan.isModern(c);
    int scalesInput = ResizePlan.scalesInput(c);
    boolean bySizes = plan.dims().stream().allMatch(d -> d.scaleAt() < 0);
    Map<String, Attribute> axes = new HashMap<>();
    c.attribute("axes").ifPresent(a -> axes.put("axes", a));
    Map<String, Attribute> attributes = new HashMap<>(c.node().attributes());
    attributes.put(MODERN, new Attribute.IntAttr(modern ? 1 : 0));
    return new Lowering.Decompose(b -> {
      Value scales = c.node().input(scalesInput);
      if (bySizes) {
        boolean larger = c.stringAttr("keep_aspect_ratio_policy", "stretch").equals("not_smaller");
        axes.put("largest", new Attribute.IntAttr(larger ? 1 : 0));
        scales = b.add(OpKey.TERSOR, "ResizeScale", axes, x, c.node().input(3));
        axes.put("nearest", new Attribute.IntAttr(1));
      }
      Value sizes = b.add(OpKey.TERSOR, "ResizeSizes", axes, x, scales);
      Value roi = modern ? c.node().input(ResizePlan.ROI) : Value.NONE;
      return List.of(b.add(OpKey.TERSOR, "Resize", attributes, x, roi, scales, sizes));
    });
  }

  @Override
  Lowering code(OpContext c) {
    ResizePlan plan = ResizePlan.of(c);
    for (int d = 0; d < plan.dims().size(); d++) {
      if (plan.dims().get(d).out().equals(unknown(c, d))) {
        return runtimeSizes(c, plan);
      }
    }
    return new ResizeKernel(this, c).build();
  }
}
