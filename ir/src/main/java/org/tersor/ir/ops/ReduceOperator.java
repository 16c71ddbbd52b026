package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.ElementSymbols;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * The reductions. Axes are an attribute before version 18 (13 for ReduceSum) and an input from it
 * on; none given means all axes, or with {@code noop_with_empty_axes} none: then only the part per
 * element is applied.
 */
final class ReduceOperator extends OpBase implements Differentiable {

  /** What is reduced and how. */
  enum Kind {
    SUM(13),
    MEAN(18),
    MAX(18),
    MIN(18),
    PROD(18),
    L1(18),
    L2(18),
    LOG_SUM(18),
    LOG_SUM_EXP(18),
    SUM_SQUARE(18);

    private final int inputSince;

    Kind(int inputSince) {
      this.inputSince = inputSince;
    }
  }

  private final Kind kind;

  private ReduceOperator(String name, Kind kind, int... versions) {
    super(
        OpSchema.of("", name, versions)
            .sample(sample(kind == Kind.SUM ? 13 : 18))
            .input("data", "T")
            .optional("axes", "I")
            .output("reduced", "T")
            .types(
                "T", kind == Kind.MAX || kind == Kind.MIN ? Types.NUMERIC_OR_BOOL : Types.NUMERIC)
            .types("I", Types.I64)
            .attribute("axes", OpSchema.AttributeKind.INTS)
            .attribute("keepdims", OpSchema.AttributeKind.INT)
            .attribute("noop_with_empty_axes", OpSchema.AttributeKind.INT)
            .tolerance(
                kind == Kind.MAX || kind == Kind.MIN
                    ? OpSchema.Tolerance.EXACT
                    : OpSchema.Tolerance.ACCUMULATION));
    this.kind = kind;
  }

  private static String sample(int axesAreInputsFrom) {
    return "data[d*]; -"
        + (axesAreInputsFrom - 1)
        + ": axes=axes(data); "
        + axesAreInputsFrom
        + "-: axes[*]=axes(data); keepdims=0|1; "
        + axesAreInputsFrom
        + "-: noop_with_empty_axes=0|1";
  }

  static List<ReduceOperator> all() {
    return List.of(
        new ReduceOperator("ReduceSum", Kind.SUM, 1, 11, 13),
        new ReduceOperator("ReduceMean", Kind.MEAN, 1, 11, 13, 18),
        new ReduceOperator("ReduceMax", Kind.MAX, 1, 11, 12, 13, 18, 20),
        new ReduceOperator("ReduceMin", Kind.MIN, 1, 11, 12, 13, 18, 20),
        new ReduceOperator("ReduceProd", Kind.PROD, 1, 11, 13, 18),
        new ReduceOperator("ReduceL1", Kind.L1, 1, 11, 13, 18),
        new ReduceOperator("ReduceL2", Kind.L2, 1, 11, 13, 18),
        new ReduceOperator("ReduceLogSum", Kind.LOG_SUM, 1, 11, 13, 18),
        new ReduceOperator("ReduceLogSumExp", Kind.LOG_SUM_EXP, 1, 11, 13, 18),
        new ReduceOperator("ReduceSumSquare", Kind.SUM_SQUARE, 1, 11, 13, 18));
  }

  private static boolean keep(OpContext c) {
    return c.intAttr("keepdims", 1) != 0;
  }

  /** Per axis whether it is reduced; empty if the axes are not known. */
  private Optional<boolean[]> reduced(OpContext c) {
    boolean[] reduced = new boolean[c.rank(0)];
    Optional<long[]> axes;
    if (c.version() >= kind.inputSince) {
      boolean none = !c.hasInput(1) || (c.in(1).isStatic() && c.in(1).elements().isConst(0));
      axes = none ? Optional.of(new long[0]) : Shapes.constantLongs(c, 1);
      if (axes.isEmpty()) {
        return Optional.empty();
      }
    } else {
      axes = Optional.of(c.intsAttr("axes").orElse(new long[0]));
    }
    for (long axis : axes.get()) {
      reduced[c.axis(axis, reduced.length)] = true;
    }
    if (axes.get().length == 0 && c.intAttr("noop_with_empty_axes", 0) == 0) {
      Arrays.fill(reduced, true);
    }
    return Optional.of(reduced);
  }

  private boolean[] known(OpContext c) {
    return reduced(c).orElseThrow(() -> notLowered(c, "the axes are only known when it runs"));
  }

  @Override
  List<ValueType> types(OpContext c) {
    if (!c.in(0).isRanked()) {
      return List.of(c.in(0));
    }
    Optional<boolean[]> reduced = reduced(c);
    List<DimExpr> dims = new ArrayList<>();
    if (reduced.isEmpty()) {
      Optional<RuntimeAxes> axes = RuntimeAxes.of(c, 1, c.rank(0));
      if (axes.isEmpty() || axes.get().count() > c.rank(0)) {
        return List.of(TensorType.unranked(c.dtype(0)));
      }
      if (!keep(c)) {
        return List.of(TensorType.of(c.dtype(0), axes.get().removed(c.dims(0))));
      }
      for (int d = 0; d < c.rank(0); d++) {
        dims.add(ElementSymbols.select(axes.get().isOther(d), c.dims(0).get(d), DimExpr.ONE));
      }
      return List.of(TensorType.of(c.dtype(0), dims));
    }
    for (int d = 0; d < c.rank(0); d++) {
      if (!reduced.get()[d]) {
        dims.add(c.dims(0).get(d));
      } else if (keep(c)) {
        dims.add(DimExpr.ONE);
      }
    }
    return List.of(TensorType.of(c.dtype(0), dims));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    boolean[] reduced = known(c);
    Tensor out = Shapes.allocate(c, x.dtype(), outType(c, 0).staticShape());
    // Elements of each result, in order.
    long[] kept = new long[x.rank()];
    for (int d = 0; d < kept.length; d++) {
      kept[d] = reduced[d] ? 1 : x.shape()[d];
    }
    boolean real = x.dtype().isFloat();
    double[] sums = new double[out.size()];
    double[] largest = new double[out.size()];
    long[] whole = new long[out.size()];
    Arrays.fill(sums, start());
    Arrays.fill(largest, Double.NEGATIVE_INFINITY);
    Arrays.fill(whole, wholeStart(x.dtype()));
    long[] at = new long[x.size()];
    long[] index = new long[x.rank()];
    for (int i = 0; i < x.size(); i++) {
      long[] to = index.clone();
      for (int d = 0; d < to.length; d++) {
        to[d] = reduced[d] ? 0 : to[d];
      }
      at[i] = Shapes.ravel(to, kept);
      largest[(int) at[i]] = Math.max(largest[(int) at[i]], x.getDouble(i));
      Shapes.next(index, x.shape());
    }
    for (int i = 0; i < x.size(); i++) {
      int o = (int) at[i];
      if (real || computesReal()) {
        double shift = Double.isInfinite(largest[o]) ? 0 : largest[o];
        sums[o] = add(sums[o], x.getDouble(i), shift);
      } else {
        whole[o] = add(whole[o], x.getLong(i), x.dtype() == DType.U64);
      }
    }
    long count = out.size() == 0 ? 0 : x.size() / out.size();
    for (int o = 0; o < out.size(); o++) {
      double shift = Double.isInfinite(largest[o]) ? 0 : largest[o];
      if (real) {
        out.setDouble(o, finish(sums[o], count, shift));
      } else if (kind == Kind.MEAN) {
        out.setLong(
            o,
            count == 0
                ? 0
                : x.dtype() == DType.U64 ? Long.divideUnsigned(whole[o], count) : whole[o] / count);
      } else if (computesReal()) {
        out.setLong(o, ElementReader.toInteger(finish(sums[o], count, shift), x.dtype()));
      } else {
        out.setLong(o, whole[o]);
      }
    }
    return List.of(out);
  }

  /** Whether integers are summed up as real numbers, without overflow. */
  private boolean computesReal() {
    return kind == Kind.LOG_SUM_EXP || kind == Kind.LOG_SUM || kind == Kind.L2;
  }

  private double start() {
    return switch (kind) {
      case MAX -> Double.NEGATIVE_INFINITY;
      case MIN -> Double.POSITIVE_INFINITY;
      case PROD -> 1;
      case SUM, MEAN, L1, L2, LOG_SUM, LOG_SUM_EXP, SUM_SQUARE -> 0;
    };
  }

  private long wholeStart(DType dtype) {
    return switch (kind) {
      case MAX -> dtype == DType.BOOL ? 0 : dtype.minValue();
      case MIN -> dtype == DType.BOOL ? 1 : dtype.maxValue();
      case PROD -> 1;
      case SUM, MEAN, L1, L2, LOG_SUM, LOG_SUM_EXP, SUM_SQUARE -> 0;
    };
  }

  private double add(double sum, double x, double shift) {
    return switch (kind) {
      case SUM, MEAN, LOG_SUM -> sum + x;
      case MAX -> Math.max(sum, x);
      case MIN -> Math.min(sum, x);
      case PROD -> sum * x;
      case L1 -> sum + Math.abs(x);
      case L2, SUM_SQUARE -> sum + x * x;
      case LOG_SUM_EXP -> sum + Math.exp(x - shift);
    };
  }

  private long add(long sum, long x, boolean unsigned) {
    long bias = unsigned ? Long.MIN_VALUE : 0;
    return switch (kind) {
      case SUM, MEAN -> sum + x;
      case MAX -> Math.max(sum + bias, x + bias) - bias;
      case MIN -> Math.min(sum + bias, x + bias) - bias;
      case PROD -> sum * x;
      case L1 -> sum + (unsigned ? x : Math.abs(x));
      case SUM_SQUARE -> sum + x * x;
      case LOG_SUM, LOG_SUM_EXP, L2 -> throw new IllegalStateException("computed in reals");
    };
  }

  private double finish(double sum, long count, double shift) {
    return switch (kind) {
      case SUM, MAX, MIN, PROD, L1, SUM_SQUARE -> sum;
      case MEAN -> sum / count;
      case L2 -> Math.sqrt(sum);
      case LOG_SUM -> Math.log(sum);
      case LOG_SUM_EXP -> Math.log(sum) + shift;
    };
  }

  /** The type that sums are kept in; logarithms of integers in F64. */
  private Scalar accumulator(DType dtype) {
    if (dtype == DType.BOOL) {
      return Scalar.I32;
    }
    return computesReal() && !dtype.isFloat() ? Scalar.F64 : Elementwise.compute(dtype);
  }

  @Override
  Lowering code(OpContext c) {
    Optional<boolean[]> known = reduced(c);
    if (known.isEmpty()) {
      return runtimeAxes(c);
    }
    boolean[] reduced = known.get();
    Buf x = in(c, 0);
    Buf out = out(c, 0, outType(c, 0));
    List<Axis> folded = new ArrayList<>();
    List<Axis> outer = new ArrayList<>();
    List<KExpr> from = new ArrayList<>();
    DimExpr count = DimExpr.ONE;
    for (int d = 0; d < reduced.length; d++) {
      Axis axis = new Axis((reduced[d] ? "r" : "i") + d, x.shape().get(d));
      from.add(K.axis(axis));
      if (reduced[d]) {
        folded.add(axis);
        count = count.times(axis.extent());
      }
      if (!reduced[d]) {
        outer.add(axis);
      } else if (keep(c)) {
        outer.add(new Axis("k" + d, DimExpr.ONE));
      }
    }
    return kernel(x, out, outer, folded, from, count);
  }

  /** Every axis is there twice, as one that is kept and one that is reduced; one of them is 1. */
  private Lowering runtimeAxes(OpContext c) {
    int rank = c.rank(0);
    RuntimeAxes axes =
        RuntimeAxes.of(c, 1, rank)
            .filter(a -> a.count() <= rank)
            .orElseThrow(() -> notLowered(c, "the number of axes is only known when it runs"));
    if (!keep(c)) {
      return new Lowering.Decompose(b -> {
        Map<String, Attribute> attributes = new HashMap<>(c.node().attributes());
        attributes.put("keepdims", new Attribute.IntAttr(1));
        Value kept =
            b.add(c.node().op().type(), attributes, c.node().inputs().toArray(Value[]::new));
        return List.of(b.add("Squeeze", kept, c.node().input(1)));
      });
    }
    Buf x = in(c, 0);
    Buf out = out(c, 0, outType(c, 0));
    List<Axis> outer = new ArrayList<>();
    List<Axis> folded = new ArrayList<>();
    List<KExpr> from = new ArrayList<>();
    DimExpr count = DimExpr.ONE;
    for (int d = 0; d < rank; d++) {
      Axis kept = new Axis("i" + d, out.shape().get(d));
      Axis reduced =
          new Axis("r" + d, ElementSymbols.select(axes.isOther(d), DimExpr.ONE, x.shape().get(d)));
      outer.add(kept);
      folded.add(reduced);
      from.add(K.add(K.axis(kept), K.axis(reduced)));
      count = count.times(reduced.extent());
    }
    return kernel(x, out, outer, folded, from, count);
  }

  private Lowering kernel(
      Buf x, Buf out, List<Axis> outer, List<Axis> folded, List<KExpr> from, DimExpr count) {
    Scalar type = accumulator(x.element().dtype());
    KExpr element = K.cast(type, K.at(x, from));
    List<Stage> stages = new ArrayList<>();
    KExpr value =
        switch (kind) {
          case SUM -> K.sum(folded, element);
          case MEAN -> K.div(K.sum(folded, element), K.cast(type, K.dim(count)));
          case MAX -> ofNothing(x, type, K.fold(ReduceOp.MAX, folded, element));
          case MIN -> ofNothing(x, type, K.fold(ReduceOp.MIN, folded, element));
          case PROD -> K.fold(ReduceOp.PROD, folded, element);
          case L1 -> K.sum(folded, K.unary(UnaryOp.ABS, element));
          case L2 -> K.unary(UnaryOp.SQRT, K.sum(folded, K.binary(BinaryOp.MUL, element, element)));
          case SUM_SQUARE -> K.sum(folded, K.binary(BinaryOp.MUL, element, element));
          case LOG_SUM -> K.unary(UnaryOp.LOG, K.sum(folded, element));
          case LOG_SUM_EXP -> {
            // The largest element first, so that nothing overflows.
            Buf largest = new Buf("largest", type, out.shape());
            stages.add(Stage.of(largest, outer, K.fold(ReduceOp.MAX, folded, element)));
            KExpr max = K.at(largest, outer.stream().map(K::axis).toList());
            KExpr infinity = K.literal(type, Double.POSITIVE_INFINITY);
            KExpr shift =
                K.select(K.eq(K.unary(UnaryOp.ABS, max), infinity), K.literal(type, 0.0), max);
            yield K.add(
                K.unary(UnaryOp.LOG, K.sum(folded, K.unary(UnaryOp.EXP, K.sub(element, shift)))),
                shift);
          }
        };
    stages.add(Stage.of(out, outer, K.cast(out.element(), value)));
    return compute(List.of(x), out, stages);
  }

  /** Without elements the result is the end of the type's own range, not of the wider one's. */
  private KExpr ofNothing(Buf x, Scalar type, KExpr value) {
    DType dtype = x.element().dtype();
    if (dtype.isFloat() || dtype.bits() >= 32) {
      return value;
    }
    long end = wholeStart(dtype);
    return kind == Kind.MAX
        ? K.max(value, K.literal(type, end))
        : K.min(value, K.literal(type, end));
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    boolean[] reduced = known(c);
    List<DimExpr> kept = new ArrayList<>(c.dims(0));
    List<Long> axes = new ArrayList<>();
    for (int d = 0; d < reduced.length; d++) {
      if (reduced[d]) {
        kept.set(d, DimExpr.ONE);
        axes.add((long) d);
      }
    }
    Value gradient = keep(c) ? p.gradient() : p.reshape(c, p.gradient(), kept);
    Value result = p.outputs().getFirst();
    FoldGradient fold =
        new FoldGradient(c, p, keep(c) ? result : p.reshape(c, result, kept), gradient);
    return List.of(
        switch (kind) {
          case SUM -> repeated(c, p, gradient);
          case MEAN -> repeated(c, p, p.share(c, gradient, c.dims(0), axes, c.dtype(0)));
          case L1 -> fold.norm(1, share -> share);
          case L2 -> fold.norm(2, share -> share);
          case SUM_SQUARE -> fold.squares();
          case LOG_SUM -> repeated(c, p, fold.logarithm());
          case LOG_SUM_EXP -> fold.exponentials();
          case MAX, MIN -> fold.extreme(axes);
          case PROD -> fold.product(axes);
        });
  }

  /** An infinite or missing element must not spoil the others: no arithmetic with x itself. */
  private static Value repeated(OpContext c, Pullback p, Value gradient) {
    return p.add("Add", gradient, p.zeros(c, c.in(0)));
  }
}
