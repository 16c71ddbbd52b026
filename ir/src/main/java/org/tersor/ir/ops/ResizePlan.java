package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * What a Resize or Upsample node does, dimension by dimension.
 *
 * @param dims one per dimension of X
 */
record ResizePlan(
    List<Dim> dims,
    Mode mode,
    Coordinates coordinates,
    Nearest nearest,
    float cubic,
    boolean excludeOutside,
    boolean antialias,
    float extrapolation) {

  enum Mode {
    NEAREST,
    LINEAR,
    CUBIC
  }

  /**
   * What becomes of an interpolated number that an integer is made of. The specification names no
   * rounding. A filter over an area rounds to the nearest, as programs for pictures do; linear
   * interpolation of two truncates. Cubic weights are negative in places, so that numbers beyond
   * the type come out, which become its first or last.
   */
  enum Whole {
    AS_CAST,
    SATURATE,
    ROUND_AND_SATURATE
  }

  Whole whole(DType type) {
    boolean small = type.isInteger() && type.bits() <= 32;
    return !small || mode == Mode.NEAREST
        ? Whole.AS_CAST
        : antialias
            ? Whole.ROUND_AND_SATURATE
            : mode == Mode.CUBIC ? Whole.SATURATE : Whole.AS_CAST;
  }

  /** From an output position to an input coordinate. */
  enum Coordinates {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    TF_HALF_PIXEL_FOR_NN,
    TF_CROP_AND_RESIZE
  }

  /** From a coordinate to the one element taken. */
  enum Nearest {
    ROUND_PREFER_FLOOR,
    ROUND_PREFER_CEIL,
    FLOOR,
    CEIL,
    /** Before opset 11: the floor, or the ceiling when the dimension shrinks. */
    SIMPLE
  }

  /**
   * One dimension.
   *
   * @param scale out / in, if it is a known number
   * @param scaleAt else position in the scales input, or -1: it is the quotient of the dimensions
   * @param roiAt position of its begin in the roi input, and position of its end; -1: none
   */
  record Dim(DimExpr in, DimExpr out, Optional<Float> scale, int scaleAt, int roiAt, int roiEnd) {
    /** Whether the dimension is passed on unchanged. */
    boolean isCopy(Coordinates coordinates) {
      return in.equals(out)
          && coordinates != Coordinates.TF_CROP_AND_RESIZE
          && (scale.isEmpty() ? scaleAt < 0 : scale.get() == 1);
    }

    /**
     * Whether the scale is the quotient of the dimensions: then positions follow from the two, with
     * one rounding. Rounded before, 1 / (2f / 7f) is no longer the tie 3.5.
     */
    boolean isQuotient() {
      return scaleAt < 0
          && (scale.isEmpty() || scale.get() == (float) out.constValue() / in.constValue());
    }
  }

  static final int ROI = 1;

  /** Index of the scales input, or -1: an attribute. */
  static int scalesInput(OpContext c) {
    if (isSized(c)) {
      return 2;
    }
    boolean upsample = c.node().op().type().equals("Upsample");
    return upsample ? (c.version() >= 9 ? 1 : -1) : c.version() >= 11 ? 2 : 1;
  }

  private static boolean given(OpContext c, int input) {
    // An input of no elements stands for an absent one.
    return input >= 0
        && c.hasInput(input)
        && !(c.in(input).isRanked() && c.rank(input) == 1 && c.dims(input).getFirst().isConst(0));
  }

  /** Whether it is the form of {@link Resize#sized}, with scales and sizes. */
  private static boolean isSized(OpContext c) {
    return c.node().op().domain().equals(OpKey.TERSOR);
  }

  /** Whether the node has the attributes that Resize has since version 11. */
  static boolean isModern(OpContext c) {
    return isSized(c)
        ? c.intAttr(Resize.MODERN, 0) != 0
        : c.node().op().type().equals("Resize") && c.version() >= 11;
  }

  static ResizePlan of(OpContext c) {
    List<DimExpr> x = c.dims(0);
    int rank = x.size();
    boolean modern = isModern(c);
    Coordinates coordinates = modern ? coordinates(c) : Coordinates.ASYMMETRIC;
    int[] axes = axes(c, rank);
    List<Dim> dims = new ArrayList<>();
    for (DimExpr dim : x) {
      dims.add(new Dim(dim, dim, Optional.of(1f), -1, -1, -1));
    }
    boolean sized = isSized(c);
    boolean bySizes = modern && !sized && given(c, 3);
    Optional<float[]> scales = bySizes ? Optional.empty() : scales(c, axes.length);
    Optional<List<DimExpr>> sizes =
        bySizes ? c.symbolic(3).or(() -> c.constant(3).map(ResizePlan::longs)) : Optional.empty();
    if (sizes.isPresent() && sizes.get().size() != axes.length) {
      throw c.error("TSR-0303", "sizes must have " + axes.length + " numbers");
    }
    Optional<Float> common = sizes.flatMap(s -> commonScale(c, x, s, axes));
    for (int i = 0; i < axes.length; i++) {
      DimExpr in = x.get(axes[i]);
      boolean crop = coordinates == Coordinates.TF_CROP_AND_RESIZE;
      int roi = crop ? i : -1;
      int roiEnd = crop ? axes.length + i : -1;
      DimExpr out;
      Optional<Float> scale = Optional.empty();
      int scaleAt = -1;
      if (sizes.isPresent() && common.isPresent()) {
        scale = common;
        out = DimExpr.of((long) (common.get() * in.constValue() + 0.5f));
      } else if (sizes.isPresent() && stretches(c)) {
        out = sizes.get().get(i);
        if (out.isConst() && in.isConst() && in.constValue() > 0) {
          scale = Optional.of((float) out.constValue() / in.constValue());
        }
      } else if (bySizes) {
        out = OpBase.unknown(c, axes[i]);
      } else {
        scale = scales.isPresent() ? Optional.of(scales.get()[i]) : Optional.empty();
        scaleAt = i;
        out =
            sized
                ? c.symbolic(3).orElseThrow().get(i)
                : scale.isPresent()
                    ? scaled(c, in, scale.get(), axes[i])
                    : OpBase.unknown(c, axes[i]);
      }
      if (out.isConst() && (out.constValue() < 0 || out.constValue() > Integer.MAX_VALUE)) {
        throw c.error("TSR-0303", "dimension " + axes[i] + " of the result would be " + out);
      }
      dims.set(axes[i], new Dim(in, out, scale, scaleAt, roi, roiEnd));
    }
    String mode = c.stringAttr("mode", "nearest");
    return new ResizePlan(
        List.copyOf(dims),
        switch (mode) {
          case "nearest" -> Mode.NEAREST;
          case "linear", "bilinear" -> Mode.LINEAR;
          case "cubic" -> Mode.CUBIC;
          default -> throw c.error("TSR-0304", "mode '" + mode + "' is not known");
        },
        coordinates,
        modern ? nearest(c) : Nearest.SIMPLE,
        c.floatAttr("cubic_coeff_a", -0.75f),
        c.intAttr("exclude_outside", 0) != 0,
        c.intAttr("antialias", 0) != 0,
        c.floatAttr("extrapolation_value", 0));
  }

  private static List<DimExpr> longs(Tensor tensor) {
    return DimExpr.list(Shapes.longs(tensor));
  }

  private static boolean stretches(OpContext c) {
    return c.stringAttr("keep_aspect_ratio_policy", "stretch").equals("stretch");
  }

  /** The scale that keeps the aspect ratio, where sizes and dimensions are numbers. */
  private static Optional<Float> commonScale(
      OpContext c, List<DimExpr> x, List<DimExpr> sizes, int[] axes) {
    String policy = c.stringAttr("keep_aspect_ratio_policy", "stretch");
    if (policy.equals("stretch")) {
      return Optional.empty();
    }
    float least = Float.POSITIVE_INFINITY;
    float largest = 0;
    for (int i = 0; i < axes.length; i++) {
      DimExpr in = x.get(axes[i]);
      if (!in.isConst() || !sizes.get(i).isConst() || in.isConst(0)) {
        return Optional.empty();
      }
      float scale = (float) sizes.get(i).constValue() / in.constValue();
      least = Math.min(least, scale);
      largest = Math.max(largest, scale);
    }
    return switch (policy) {
      case "not_larger" -> Optional.of(least);
      case "not_smaller" -> Optional.of(largest);
      default ->
          throw c.error("TSR-0304", "keep_aspect_ratio_policy '" + policy + "' is not known");
    };
  }

  /** floor(in * scale), in float32 as everybody computes it. */
  private static DimExpr scaled(OpContext c, DimExpr in, float scale, int axis) {
    if (!(scale > 0) || Float.isInfinite(scale)) {
      throw c.error("TSR-0303", "scale " + scale + " of dimension " + axis + " is not positive");
    }
    if (in.isConst()) {
      return DimExpr.of((long) Math.floor(in.constValue() * scale));
    }
    long denominator = 1;
    float numerator = scale;
    while (numerator != Math.rint(numerator) && denominator < 1 << 12) {
      numerator *= 2;
      denominator *= 2;
    }
    boolean simple = numerator == Math.rint(numerator) && numerator < 1 << 24;
    return simple ? in.times((long) numerator).floorDiv(denominator) : OpBase.unknown(c, axis);
  }

  private static Optional<float[]> scales(OpContext c, int count) {
    int input = scalesInput(c);
    float[] scales;
    if (input >= 0) {
      Optional<Tensor> known = c.constant(input);
      if (known.isEmpty()) {
        return Optional.empty();
      }
      scales = new float[known.get().size()];
      for (int i = 0; i < scales.length; i++) {
        scales[i] = (float) known.get().getDouble(i);
      }
    } else if (c.has("scales")) {
      List<Float> values = c.floatsAttr("scales").orElseThrow();
      scales = new float[values.size()];
      for (int i = 0; i < scales.length; i++) {
        scales[i] = values.get(i);
      }
    } else {
      scales = new float[] {1, 1, c.floatAttr("height_scale", 1), c.floatAttr("width_scale", 1)};
    }
    if (scales.length != count) {
      throw c.error("TSR-0303", "scales must have " + count + " numbers");
    }
    return Optional.of(scales);
  }

  static int[] axes(OpContext c, int rank) {
    long[] given =
        c.intsAttr("axes").orElseGet(() -> java.util.stream.LongStream.range(0, rank).toArray());
    int[] axes = new int[given.length];
    for (int i = 0; i < axes.length; i++) {
      axes[i] = c.axis(given[i], rank);
    }
    return axes;
  }

  private static Coordinates coordinates(OpContext c) {
    String name = c.stringAttr("coordinate_transformation_mode", "half_pixel");
    return switch (name) {
      case "half_pixel" -> Coordinates.HALF_PIXEL;
      case "half_pixel_symmetric" -> Coordinates.HALF_PIXEL_SYMMETRIC;
      case "pytorch_half_pixel" -> Coordinates.PYTORCH_HALF_PIXEL;
      case "align_corners" -> Coordinates.ALIGN_CORNERS;
      case "asymmetric" -> Coordinates.ASYMMETRIC;
      case "tf_half_pixel_for_nn" -> Coordinates.TF_HALF_PIXEL_FOR_NN;
      case "tf_crop_and_resize" -> Coordinates.TF_CROP_AND_RESIZE;
      default ->
          throw c.error("TSR-0304", "coordinate_transformation_mode '" + name + "' is not known");
    };
  }

  private static Nearest nearest(OpContext c) {
    String name = c.stringAttr("nearest_mode", "round_prefer_floor");
    return switch (name) {
      case "round_prefer_floor" -> Nearest.ROUND_PREFER_FLOOR;
      case "round_prefer_ceil" -> Nearest.ROUND_PREFER_CEIL;
      case "floor" -> Nearest.FLOOR;
      case "ceil" -> Nearest.CEIL;
      default -> throw c.error("TSR-0304", "nearest_mode '" + name + "' is not known");
    };
  }

  List<DimExpr> out() {
    return dims.stream().map(Dim::out).toList();
  }

  /**
   * First tap relative to the element just below the coordinate: taps run from here to 1 - here.
   */
  int firstTap(float scale) {
    double narrow = antialias ? Math.min(scale, 1) : 1;
    return (int) Math.floor(-support() / narrow) + 1;
  }

  /**
   * The same, or an earlier one, where the scale is only known when the model runs: it is at least
   * (out - 1/2) / in, since sizes are rounded at most to the nearest.
   */
  DimExpr firstTap(Dim dim) {
    if (!antialias || dim.scale.isPresent()) {
      return DimExpr.of(firstTap(dim.scale.orElse(1f)));
    }
    DimExpr half = dim.out.times(2).minus(DimExpr.ONE).max(DimExpr.ONE);
    DimExpr reach = dim.in.times(2L * support()).ceilDiv(half).max(DimExpr.of(support()));
    return reach.times(-1);
  }

  /** Distance, in elements, from which on an element counts nothing. */
  private int support() {
    return mode == Mode.CUBIC ? 2 : 1;
  }
}
