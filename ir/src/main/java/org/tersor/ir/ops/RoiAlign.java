package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
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
 * RoiAlign (10, 16, 22): regions rois [R, 4] (x1, y1, x2, y2, scaled) of images batch_indices [R]
 * of X [N, C, H, W], each cut into output_height by output_width cells. A cell is the mean (or the
 * largest part) of bilinear samples at the centres of a grid of sampling_ratio, or of as many as
 * keep them at most one element apart. Samples more than one element outside are zero. Until 16 (or
 * with output_half_pixel) regions are not moved by half an element and are at least 1 wide.
 */
final class RoiAlign extends OpBase {
  private static final long MAX_RATIO = 1 << 12;

  RoiAlign() {
    super(
        OpSchema.of("", "RoiAlign", 10, 16, 22)
            .sample(
                "X[n c h w]; rois[k 4]=boxes; batch_indices[k]=below(n); mode=avg|max; output_height=1..3; output_width=1..3; sampling_ratio=0..2; spatial_scale=0.5..1.0; 16-: coordinate_transformation_mode=half_pixel|output_half_pixel")
            .input("X", "T1")
            .input("rois", "T1")
            .input("batch_indices", "T2")
            .output("Y", "T1")
            .types("T1", Types.FLOATS)
            .types("T2", Types.I64)
            .attribute("coordinate_transformation_mode", AttributeKind.STRING)
            .attribute("mode", AttributeKind.STRING)
            .attribute("output_height", AttributeKind.INT)
            .attribute("output_width", AttributeKind.INT)
            .attribute("sampling_ratio", AttributeKind.INT)
            .attribute("spatial_scale", AttributeKind.FLOAT)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  /**
   * @param ratio samples per cell and direction; 0: as the region needs
   */
  private record Plan(
      boolean mean, boolean halfPixel, long height, long width, long ratio, double scale) {}

  private static Plan plan(OpContext c) {
    String mode = c.stringAttr("mode", "avg");
    if (!mode.equals("avg") && !mode.equals("max")) {
      throw c.error("TSR-0304", "mode '" + mode + "' is not avg or max");
    }
    String coordinates =
        c.version() < 16
            ? "output_half_pixel"
            : c.stringAttr("coordinate_transformation_mode", "half_pixel");
    if (!coordinates.equals("half_pixel") && !coordinates.equals("output_half_pixel")) {
      throw c.error(
          "TSR-0304", "coordinate_transformation_mode '" + coordinates + "' is not known");
    }
    long height = c.intAttr("output_height", 1);
    long width = c.intAttr("output_width", 1);
    if (Math.min(height, width) < 1 || Math.max(height, width) > Integer.MAX_VALUE) {
      throw c.error("TSR-0304", "a region cannot become " + height + " by " + width + " cells");
    }
    long ratio = c.intAttr("sampling_ratio", 0);
    if (ratio < 0 || ratio > MAX_RATIO) {
      throw c.error("TSR-0304", "sampling_ratio " + ratio + " is outside 0.." + MAX_RATIO);
    }
    return new Plan(
        mode.equals("avg"),
        coordinates.equals("half_pixel"),
        height,
        width,
        ratio,
        c.floatAttr("spatial_scale", 1));
  }

  private static List<DimExpr> shape(OpContext c, Plan plan) {
    if (c.rank(0) != 4 || c.rank(1) != 2) {
      throw c.error("TSR-0303", "X must be [N, C, H, W] and rois [R, 4]");
    }
    Shapes.agree(c, "numbers of a region", c.dims(1).get(1), DimExpr.of(4));
    if (c.rank(2) != 1) {
      throw c.error("TSR-0303", "batch_indices must be [R]");
    }
    Shapes.agree(c, "number of batch_indices", c.dims(2).getFirst(), c.dims(1).getFirst());
    return List.of(
        c.dims(1).getFirst(), c.dims(0).get(1), DimExpr.of(plan.height), DimExpr.of(plan.width));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    Plan plan = plan(c);
    return List.of(
        shapes(c, 0, 3).isPresent()
            ? TensorType.of(c.dtype(0), shape(c, plan))
            : TensorType.unranked(c.dtype(0)));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Plan plan = plan(c);
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), Window.numbers(shape(c, plan)));
    int channels = (int) x.shape()[1];
    int h = (int) x.shape()[2];
    int w = (int) x.shape()[3];
    int at = 0;
    for (int r = 0; r < y.shape()[0]; r++) {
      long image = GatherOperators.checked(c, c.input(2).getLong(r), x.shape()[0]);
      for (int ch = 0; ch < channels; ch++) {
        int plane = (int) (image * channels + ch) * h * w;
        for (int ph = 0; ph < plan.height; ph++) {
          for (int pw = 0; pw < plan.width; pw++) {
            Samples rows = samples(plan, c.input(1), r, 1, ph, plan.height);
            Samples columns = samples(plan, c.input(1), r, 0, pw, plan.width);
            double sum = 0;
            double largest = Double.NEGATIVE_INFINITY;
            // Samples outside are zero and need no visit: a hostile region may have any number.
            for (double iy = rows.first(); iy < rows.end(h); iy++) {
              for (double ix = columns.first(); ix < columns.end(w); ix++) {
                double[] parts = parts(x, plane, h, w, rows.at(iy), columns.at(ix));
                sum += parts[0] + parts[1] + parts[2] + parts[3];
                for (double part : parts) {
                  largest = Math.max(largest, part);
                }
              }
            }
            boolean some =
                rows.first() > 0
                    || rows.end(h) < rows.count
                    || columns.first() > 0
                    || columns.end(w) < columns.count;
            largest = some || largest == Double.NEGATIVE_INFINITY ? Math.max(0, largest) : largest;
            y.setDouble(at++, plan.mean ? sum / Math.max(1, rows.count * columns.count) : largest);
          }
        }
      }
    }
    return List.of(y);
  }

  /** Where samples of a cell lie in one direction: at start + (i + 0.5) * step. */
  private record Samples(double start, double step, double count) {
    double at(double i) {
      return start + (i + 0.5) * step;
    }

    double first() {
      return step > 0 ? Math.min(count, Math.max(0, Math.ceil((-1 - start) / step - 0.5))) : 0;
    }

    double end(int extent) {
      return step > 0
          ? Math.min(count, Math.floor((extent - start) / step - 0.5) + 1)
          : Math.min(count, 1);
    }
  }

  private static Samples samples(Plan plan, Tensor rois, int r, int axis, int cell, long cells) {
    double offset = plan.halfPixel ? 0.5 : 0;
    double begin = rois.getDouble(r * 4 + axis) * plan.scale - offset;
    double size = rois.getDouble(r * 4 + 2 + axis) * plan.scale - offset - begin;
    size = plan.halfPixel ? size : Math.max(size, 1);
    double bin = size / cells;
    double count = plan.ratio > 0 ? plan.ratio : Math.max(0, Math.ceil(bin));
    return new Samples(begin + cell * bin, bin / count, count);
  }

  private static double[] parts(Tensor x, int plane, int h, int w, double y, double xx) {
    if (!(y >= -1 && y <= h && xx >= -1 && xx <= w)) {
      return new double[4];
    }
    double row = Math.min(Math.max(y, 0), h - 1.0);
    double column = Math.min(Math.max(xx, 0), w - 1.0);
    int top = (int) row;
    int left = (int) column;
    int bottom = Math.min(top + 1, h - 1);
    int right = Math.min(left + 1, w - 1);
    double fy = row - top;
    double fx = column - left;
    return new double[] {
      (1 - fy) * (1 - fx) * x.getDouble(plane + top * w + left),
      (1 - fy) * fx * x.getDouble(plane + top * w + right),
      fy * (1 - fx) * x.getDouble(plane + bottom * w + left),
      fy * fx * x.getDouble(plane + bottom * w + right)
    };
  }

  @Override
  Lowering code(OpContext c) {
    return new Code(this, c).build();
  }

  /**
   * The kernel: tables of begin, step and count per region and direction, then a fold over the
   * samples of a cell. Where their number depends on the region, the fold runs over as many as can
   * lie inside the image, from the first that does.
   */
  private static final class Code {
    private final OpContext c;
    private final Plan plan;
    private final KernelBuilder kernel;
    private final Scalar type;
    private final Axis r;

    Code(RoiAlign operator, OpContext c) {
      this.c = c;
      plan = plan(c);
      kernel = new KernelBuilder(operator, c);
      type = kernel.computeType(0);
      r = new Axis("r", c.dims(1).getFirst());
    }

    private KExpr number(double value) {
      return K.literal(type, value);
    }

    /** A sample in one direction. */
    private record Sample(Axis axis, KExpr counts, KExpr at, KExpr total) {}

    Lowering build() {
      Axis ch = new Axis("c", c.dims(0).get(1));
      Axis ph = new Axis("ph", DimExpr.of(plan.height));
      Axis pw = new Axis("pw", DimExpr.of(plan.width));
      Sample row = sample("y", 1, ph, c.dims(0).get(2));
      Sample column = sample("x", 0, pw, c.dims(0).get(3));
      KExpr parts = parts(row, column, K.axis(ch));
      KExpr none = number(plan.mean ? 0 : Double.NEGATIVE_INFINITY);
      ReduceOp op = plan.mean ? ReduceOp.SUM : ReduceOp.MAX;
      KExpr inner = K.fold(op, List.of(column.axis), K.select(column.counts, parts, none));
      KExpr value = K.fold(op, List.of(row.axis), K.select(row.counts, inner, none));
      if (plan.mean) {
        value = K.div(value, K.max(K.mul(row.total, column.total), number(1)));
      } else {
        Buf largest = kernel.temp("largest", type, kernel.out(0).shape());
        kernel.stage(largest, List.of(r, ch, ph, pw), value);
        KExpr found = K.at(largest, K.axis(r), K.axis(ch), K.axis(ph), K.axis(pw));
        // No sample inside the image: all are zero.
        value = K.select(K.eq(found, none), number(0), found);
      }
      kernel.stage(kernel.out(0), List.of(r, ch, ph, pw), value);
      return kernel.build();
    }

    private Sample sample(String name, int first, Axis cell, DimExpr extent) {
      KExpr scale = number(plan.scale);
      KExpr offset = number(plan.halfPixel ? 0.5 : 0);
      KExpr low = K.sub(K.mul(kernel.value(1, K.axis(r), K.index(first)), scale), offset);
      KExpr high = K.sub(K.mul(kernel.value(1, K.axis(r), K.index(first + 2)), scale), offset);
      KExpr begin = table(name + "_begin", List.of(r), low);
      KExpr size = K.sub(high, begin);
      size = plan.halfPixel ? size : K.max(size, number(1));
      KExpr cells = number((double) cell.extent().constValue());
      KExpr bin = table(name + "_bin", List.of(r), K.div(size, cells));
      boolean fixed = plan.ratio > 0;
      KExpr total =
          fixed
              ? number((double) plan.ratio)
              : table(name + "_count", List.of(r), K.max(K.unary(UnaryOp.CEIL, bin), number(0)));
      KExpr step = table(name + "_step", List.of(r), K.div(bin, total));
      KExpr start =
          table(
              name + "_start",
              List.of(r, cell),
              K.add(begin, K.mul(K.cast(type, K.axis(cell)), bin)));
      // Steps are more than half an element: see the count.
      Axis axis =
          new Axis(name + "_sample", fixed ? DimExpr.of(plan.ratio) : extent.plus(3).times(2));
      KExpr number = K.cast(type, K.axis(axis));
      KExpr counts = K.bool(true);
      if (!fixed) {
        KExpr skipped =
            K.unary(UnaryOp.CEIL, K.sub(K.div(K.sub(number(-1), start), step), number(0.5)));
        KExpr firstInside = table(name + "_first", List.of(r, cell), K.max(skipped, number(0)));
        number = K.add(firstInside, number);
        counts = K.lt(number, total);
      }
      KExpr at = K.add(start, K.mul(K.add(number, number(0.5)), step));
      return new Sample(axis, counts, at, total);
    }

    private KExpr table(String name, List<Axis> axes, KExpr value) {
      Buf table = kernel.temp(name, type, axes.stream().map(Axis::extent).toList());
      kernel.stage(table, axes, value);
      return K.at(table, Shapes.refs(axes));
    }

    /** The sum of the four weighted corners of a sample, or the largest of them. */
    private KExpr parts(Sample row, Sample column, KExpr channel) {
      DimExpr h = c.dims(0).get(2);
      DimExpr w = c.dims(0).get(3);
      // A table: the index must be right also where no sample lies inside the image.
      Buf images = kernel.temp("image", Scalar.I32, List.of(r.extent()));
      kernel.stage(
          images,
          List.of(r),
          K.cast(Scalar.I32, Moves.position(K.at(kernel.in(2), K.axis(r)), c.dims(0).getFirst())));
      KExpr image =
          Moves.nearest(K.cast(Scalar.INDEX, K.at(images, K.axis(r))), c.dims(0).getFirst());
      KExpr inside = K.and(inside(row.at, h), inside(column.at, w));
      KExpr y = clipped(row.at, h);
      KExpr x = clipped(column.at, w);
      KExpr[] rows = corners(y, h);
      KExpr[] columns = corners(x, w);
      KExpr fy = K.sub(y, K.cast(type, rows[0]));
      KExpr fx = K.sub(x, K.cast(type, columns[0]));
      KExpr[] wy = {K.sub(number(1), fy), fy};
      KExpr[] wx = {K.sub(number(1), fx), fx};
      KExpr result = number(0);
      for (int i = 0; i < 4; i++) {
        KExpr part =
            K.mul(
                K.mul(wy[i / 2], wx[i % 2]),
                kernel.value(0, image, channel, rows[i / 2], columns[i % 2]));
        result = i == 0 ? part : plan.mean ? K.add(result, part) : K.max(result, part);
      }
      return K.select(inside, result, number(0));
    }

    private KExpr inside(KExpr at, DimExpr extent) {
      return K.and(K.ge(at, number(-1)), K.le(at, K.cast(type, K.dim(extent))));
    }

    private KExpr clipped(KExpr at, DimExpr extent) {
      KExpr last = K.cast(type, K.sub(K.dim(extent), K.index(1)));
      return K.min(K.max(at, number(0)), last);
    }

    private static KExpr[] corners(KExpr at, DimExpr extent) {
      KExpr last = K.sub(K.dim(extent), K.index(1));
      KExpr low = K.max(K.min(K.cast(Scalar.INDEX, at), last), K.index(0));
      return new KExpr[] {low, K.min(K.add(low, K.index(1)), last)};
    }
  }
}
