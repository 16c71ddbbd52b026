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
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * GridSample (16, 20, 22): X [N, C, D1..Dk] read at the locations of grid [N, o1..ok, k], whose
 * numbers are -1 to 1 across a dimension, the last dimension's first. Result [N, C, o1..ok]. Taps
 * outside of X are zero, the nearest border element, or mirrored at the border: each tap by itself,
 * which for linear interpolation is the same as moving the location. align_corners tells whether -1
 * and 1 are the centres of the border elements or their outer edges.
 */
final class GridSample extends OpBase {
  private static final double CUBIC = -0.75;

  /** Locations beyond are so far outside that only their being there matters. */
  private static final double FAR = 1 << 29;

  private enum Mode {
    NEAREST(1, 0),
    LINEAR(2, 0),
    CUBIC(4, -1);

    private final int taps;
    private final int first;

    Mode(int taps, int first) {
      this.taps = taps;
      this.first = first;
    }
  }

  private enum Padding {
    ZEROS,
    BORDER,
    REFLECTION
  }

  GridSample() {
    super(
        OpSchema.of("", "GridSample", 16, 20, 22)
            .sample(
                "X[n c h w]; grid[n y x 2]=unit; -19: mode=bilinear|nearest|bicubic; 20-: mode=linear|nearest|cubic; padding_mode=zeros|border|reflection; align_corners=0|1")
            .input("X", "T1")
            .input("grid", "T2")
            .output("Y", "T1")
            .types("T1", Types.NUMERIC_OR_BOOL)
            .types("T2", Types.FLOATS)
            .attribute("align_corners", AttributeKind.INT)
            .attribute("mode", AttributeKind.STRING)
            .attribute("padding_mode", AttributeKind.STRING)
            .tolerance(OpSchema.Tolerance.ROUNDING));
  }

  private static Mode mode(OpContext c) {
    String name = c.stringAttr("mode", c.version() >= 20 ? "linear" : "bilinear");
    return switch (name) {
      case "nearest" -> Mode.NEAREST;
      case "linear", "bilinear" -> Mode.LINEAR;
      case "cubic", "bicubic" -> Mode.CUBIC;
      default -> throw c.error("TSR-0304", "mode '" + name + "' is not nearest, linear or cubic");
    };
  }

  private static Padding padding(OpContext c) {
    String name = c.stringAttr("padding_mode", "zeros");
    return switch (name) {
      case "zeros" -> Padding.ZEROS;
      case "border" -> Padding.BORDER;
      case "reflection" -> Padding.REFLECTION;
      default ->
          throw c.error(
              "TSR-0304", "padding_mode '" + name + "' is not zeros, border or reflection");
    };
  }

  private static boolean corners(OpContext c) {
    return c.intAttr("align_corners", 0) != 0;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(type(c.dtype(0), shapes(c, 0, 2).map(s -> shape(c))));
  }

  private static List<DimExpr> shape(OpContext c) {
    List<DimExpr> x = c.dims(0);
    List<DimExpr> grid = c.dims(1);
    int k = x.size() - 2;
    if (k < 1 || grid.size() != x.size()) {
      throw c.error(
          "TSR-0303", "X [N, C, D1..Dk] needs a grid of shape [N, o1..ok, k] with the same k");
    }
    Shapes.agree(c, "last dimension of grid", grid.getLast(), DimExpr.of(k));
    Shapes.agree(c, "samples of grid", grid.getFirst(), x.getFirst());
    List<DimExpr> out = new ArrayList<>(x.subList(0, 2));
    out.addAll(grid.subList(1, k + 1));
    return out;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor grid = c.input(1);
    long[] shape = shape(c).stream().mapToLong(DimExpr::constValue).toArray();
    Tensor y = Shapes.allocate(c, x.dtype(), shape);
    Mode mode = mode(c);
    int k = x.rank() - 2;
    int channels = (int) x.shape()[1];
    int plane = 1;
    int points = 1;
    for (int d = 0; d < k; d++) {
      plane *= (int) x.shape()[d + 2];
      points *= (int) shape[d + 2];
    }
    int taps = (int) Math.pow(mode.taps, k);
    for (int p = 0; p < (plane == 0 ? 0 : shape[0] * points); p++) {
      int[] at = new int[taps];
      double[] weight = new double[taps];
      for (int t = 0; t < taps; t++) {
        weight[t] = 1;
        int rest = t;
        for (int d = 0; d < k; d++) {
          long extent = x.shape()[d + 2];
          double where = location(c, grid.getDouble(p * k + k - 1 - d), extent, grid.dtype());
          double base = mode == Mode.NEAREST ? Math.rint(where) : Math.floor(where);
          int tap = rest % mode.taps;
          rest /= mode.taps;
          long position = padded(c, (long) base + mode.first + tap, extent);
          weight[t] *= weight(mode, tap, where - base);
          at[t] = position < 0 || at[t] < 0 ? -1 : (int) (at[t] * extent + position);
        }
      }
      for (int ch = 0; ch < channels; ch++) {
        int from = (p / points * channels + ch) * plane;
        int to = (p / points * channels + ch) * points + p % points;
        if (mode == Mode.NEAREST) {
          if (at[0] >= 0) {
            Shapes.copy(x, from + at[0], y, to);
          }
          continue;
        }
        double sum = 0;
        for (int t = 0; t < taps; t++) {
          sum += at[t] < 0 ? 0 : weight[t] * x.getDouble(from + at[t]);
        }
        if (y.dtype().isFloat()) {
          y.setDouble(to, sum);
        } else {
          y.setLong(to, ElementReader.toInteger(sum, y.dtype()));
        }
      }
    }
    return List.of(y);
  }

  /** Where a grid number lies, in elements; in float32 for such grids, so that ties fall alike. */
  private static double location(OpContext c, double number, long extent, DType dtype) {
    double where;
    if (dtype == DType.F64) {
      where = corners(c) ? (number + 1) / 2 * (extent - 1) : ((number + 1) * extent - 1) / 2;
    } else {
      float n = (float) number;
      where = corners(c) ? (n + 1) / 2 * (extent - 1) : ((n + 1) * extent - 1) / 2;
    }
    return Math.max(-FAR, Math.min(FAR, where));
  }

  /** The element for a position that may be outside; -1: none. */
  private static long padded(OpContext c, long position, long extent) {
    if (position >= 0 && position < extent) {
      return position;
    }
    return switch (padding(c)) {
      case ZEROS -> -1;
      case BORDER -> position < 0 ? 0 : extent - 1;
      case REFLECTION -> {
        // Mirrored at the border elements' centres or at their outer edges.
        long period = corners(c) ? 2 * (extent - 1) : 2 * extent;
        long phase = period == 0 ? 0 : Math.floorMod(position, period);
        yield phase < extent ? phase : period - phase - (corners(c) ? 0 : 1);
      }
    };
  }

  private static double weight(Mode mode, int tap, double fraction) {
    return switch (mode) {
      case NEAREST -> 1;
      case LINEAR -> tap == 0 ? 1 - fraction : fraction;
      case CUBIC -> {
        double s = Math.abs(fraction - (tap - 1));
        yield s <= 1
            ? ((CUBIC + 2) * s - (CUBIC + 3)) * s * s + 1
            : ((CUBIC * s - 5 * CUBIC) * s + 8 * CUBIC) * s - 4 * CUBIC;
      }
    };
  }

  @Override
  Lowering code(OpContext c) {
    return new Code(this, c).build();
  }

  /**
   * The kernel: per dimension tables of the taps' positions (-1: outside) and weights for each
   * point of the grid, then one gather or one sum of products over channels and points.
   */
  private static final class Code {
    private final OpContext c;
    private final KernelBuilder kernel;
    private final Mode mode;
    private final Scalar real;
    private final List<Axis> points = new ArrayList<>();

    Code(GridSample operator, OpContext c) {
      this.c = c;
      kernel = new KernelBuilder(operator, c);
      mode = mode(c);
      real = kernel.computeType(1);
    }

    private KExpr number(double value) {
      return K.literal(real, value);
    }

    Lowering build() {
      List<DimExpr> out = shape(c);
      List<Axis> axes = Shapes.axes("o", out);
      points.add(axes.getFirst());
      points.addAll(axes.subList(2, axes.size()));
      List<KExpr> index = new ArrayList<>(List.of(K.axis(axes.get(0)), K.axis(axes.get(1))));
      List<Axis> taps = new ArrayList<>();
      KExpr inside = K.bool(true);
      KExpr weight = number(1);
      for (int d = 0; d < out.size() - 2; d++) {
        Axis tap = new Axis("t" + d, DimExpr.of(mode.taps));
        List<Axis> tapAxes = new ArrayList<>(points);
        tapAxes.add(tap);
        DimExpr extent = c.dims(0).get(d + 2);
        KExpr where = table("where" + d, real, points, location(d, extent));
        KExpr base = K.unary(mode == Mode.NEAREST ? UnaryOp.RINT : UnaryOp.FLOOR, where);
        KExpr at = K.add(K.cast(Scalar.INDEX, base), K.add(K.index(mode.first), K.axis(tap)));
        KExpr position =
            K.cast(
                Scalar.INDEX,
                table("position" + d, Scalar.I32, tapAxes, K.cast(Scalar.I32, padded(at, extent))));
        if (padding(c) == Padding.ZEROS) {
          inside = K.and(inside, K.ge(position, K.index(0)));
        }
        index.add(position);
        if (mode != Mode.NEAREST) {
          KExpr factor =
              table("weight" + d, real, tapAxes, weight(K.axis(tap), K.sub(where, base)));
          weight = d == 0 ? factor : K.mul(weight, factor);
          taps.add(tap);
        }
      }
      Buf y = kernel.out(0);
      KExpr element = K.at(kernel.in(0), index);
      if (mode == Mode.NEAREST) {
        kernel.stage(y, axes, Moves.select(inside, element, Moves.literal(y.element(), 0)));
        return kernel.build();
      }
      Scalar type = c.dtype(0) == DType.F64 ? Scalar.F64 : Scalar.F32;
      KExpr product =
          K.mul(K.cast(type, weight), K.cast(type, K.cast(kernel.computeType(0), element)));
      KExpr sum = K.sum(taps, K.select(inside, product, K.literal(type, 0.0)));
      kernel.stage(y, axes, y.element() == Scalar.BOOL ? K.ne(sum, K.literal(type, 0.0)) : sum);
      return kernel.build();
    }

    private KExpr table(String name, Scalar type, List<Axis> axes, KExpr value) {
      Buf table = kernel.temp(name, type, axes.stream().map(Axis::extent).toList());
      kernel.stage(table, axes, value);
      return K.at(table, Shapes.refs(axes));
    }

    private KExpr location(int d, DimExpr extent) {
      List<KExpr> at = Shapes.refs(points);
      at.add(K.index(c.rank(0) - 3 - d));
      KExpr moved = K.add(kernel.value(1, at), number(1));
      KExpr size = K.cast(real, K.dim(extent));
      KExpr where =
          corners(c)
              ? K.mul(K.div(moved, number(2)), K.sub(size, number(1)))
              : K.div(K.sub(K.mul(moved, size), number(1)), number(2));
      return K.max(number(-FAR), K.min(number(FAR), where));
    }

    private KExpr padded(KExpr at, DimExpr extent) {
      KExpr size = K.dim(extent);
      KExpr last = K.sub(size, K.index(1));
      return switch (padding(c)) {
        case ZEROS -> K.select(K.and(K.ge(at, K.index(0)), K.lt(at, size)), at, K.index(-1));
        case BORDER -> K.max(K.min(at, last), K.index(0));
        case REFLECTION -> {
          KExpr period = corners(c) ? K.mul(last, K.index(2)) : K.mul(size, K.index(2));
          KExpr phase = K.floorMod(at, K.max(period, K.index(1)));
          KExpr back = K.sub(corners(c) ? period : K.sub(period, K.index(1)), phase);
          yield K.min(phase, back);
        }
      };
    }

    private KExpr weight(KExpr tap, KExpr fraction) {
      if (mode == Mode.LINEAR) {
        return K.select(K.eq(tap, K.index(0)), K.sub(number(1), fraction), fraction);
      }
      KExpr s = K.unary(UnaryOp.ABS, K.sub(K.add(fraction, number(1)), K.cast(real, tap)));
      KExpr near =
          K.add(
              K.mul(K.mul(K.sub(K.mul(number(CUBIC + 2), s), number(CUBIC + 3)), s), s), number(1));
      KExpr far =
          K.sub(
              K.mul(
                  K.add(
                      K.mul(K.sub(K.mul(number(CUBIC), s), number(5 * CUBIC)), s),
                      number(8 * CUBIC)),
                  s),
              number(4 * CUBIC));
      return K.select(K.le(s, number(1)), near, far);
    }
  }
}
