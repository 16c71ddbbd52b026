package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
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
 * InstanceNormalization (1, 6, 22): each channel of each sample of X [N, C, spatial...] to mean 0
 * and variance 1, times scale plus B. GroupNormalization (18, 21): the same over groups of
 * channels; scale and bias are per group in version 18, per channel from 21, where stash_type, by
 * default float32, is the type that X and the normalized X are rounded to.
 */
final class ChannelNormalization extends OpBase implements Differentiable {
  private final boolean grouped;

  ChannelNormalization(boolean grouped) {
    super(
        (grouped
                ? OpSchema.of("", "GroupNormalization", 18, 21)
                    .sample(
                        "num_groups=1|2; X[n num_groups.c s*1-2]; -20: scale[num_groups]; -20: B[num_groups]; 21-: scale[num_groups.c]; 21-: B[num_groups.c]; stash_type=-; epsilon=0.001..0.1")
                    .required("num_groups", AttributeKind.INT)
                    .attribute("stash_type", AttributeKind.INT)
                : OpSchema.of("", "InstanceNormalization", 1, 6, 22)
                    .sample("X[n c s*1-2]; scale[c]; B[c]; epsilon=0.001..0.1")
                    .attribute("consumed_inputs", AttributeKind.INTS))
            .input("X", "T")
            .input("scale", "T")
            .input("B", "T")
            .output("Y", "T")
            .attribute("epsilon", AttributeKind.FLOAT)
            .types("T", Types.FLOATS)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
    this.grouped = grouped;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    Shapes.rank(c, 1, 1);
    Shapes.rank(c, 2, 1);
    if (c.in(0).isRanked()) {
      groups(c);
    }
    return List.of(c.in(0));
  }

  /** Number of groups of channels. */
  private DimExpr groups(OpContext c) {
    if (c.rank(0) < 2) {
      throw c.error("TSR-0303", "X [N, C, D...] must have rank 2 or more");
    }
    DimExpr channels = c.dims(0).get(1);
    if (!grouped) {
      return channels;
    }
    long groups = c.intAttr("num_groups", 1);
    if (groups < 1
        || groups > Integer.MAX_VALUE
        || (channels.isConst() && channels.constValue() % groups != 0)) {
      throw c.error("TSR-0303", channels + " channels do not make " + groups + " groups");
    }
    return DimExpr.of(groups);
  }

  private boolean perGroup(OpContext c) {
    return grouped && c.version() < 21;
  }

  /** Whether float64 passes through the narrower type of the first stage. */
  private boolean narrows(OpContext c) {
    return grouped
        && c.version() >= 21
        && c.dtype(0) == DType.F64
        && c.intAttr("stash_type", TypeNumbers.number(DType.F32)) != TypeNumbers.number(DType.F64);
  }

  private KExpr staged(OpContext c, KExpr value) {
    return narrows(c) ? K.cast(value.scalar(), K.cast(Scalar.F32, value)) : value;
  }

  private double staged(OpContext c, double value) {
    return narrows(c) ? (float) value : value;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), x.shape());
    int channels = (int) x.shape()[1];
    int groups = (int) groups(c).constValue();
    int n = x.size() / Math.max(1, (int) x.shape()[0] * groups);
    int plane = n / Math.max(1, channels / Math.max(1, groups));
    double epsilon = c.floatAttr("epsilon", 1e-5f);
    for (int first = 0; first < x.size(); first += n) {
      double mean = 0;
      for (int i = 0; i < n; i++) {
        mean += staged(c, x.getDouble(first + i)) / n;
      }
      double variance = 0;
      for (int i = 0; i < n; i++) {
        double d = staged(c, x.getDouble(first + i)) - mean;
        variance += d * d / n;
      }
      for (int i = first; i < first + n; i++) {
        int at = perGroup(c) ? i / n % groups : i / plane % channels;
        double normal =
            staged(c, (staged(c, x.getDouble(i)) - mean) / Math.sqrt(variance + epsilon));
        y.setDouble(i, normal * c.input(1).getDouble(at) + c.input(2).getDouble(at));
      }
    }
    return List.of(y);
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    if (grouped) {
      return groupGradients(c, p);
    }
    NormalizationGradient.Parts parts =
        new NormalizationGradient(
                LongStream.range(2, c.rank(0)).boxed().toList(),
                true,
                c.floatAttr("epsilon", 1e-5f),
                p.channels(c, p.inputs().get(1)))
            .of(c, p);
    return List.of(parts.x(), p.perChannel(c, parts.scaled()), p.perChannel(c, p.gradient()));
  }

  /** Channels of a group and their positions become one axis, over which the statistics go. */
  private List<Value> groupGradients(OpContext c, Pullback p) {
    List<DimExpr> dims = c.dims(0);
    DimExpr groups = groups(c);
    DimExpr size = dims.get(1).floorDiv(groups);
    List<DimExpr> joined =
        List.of(dims.getFirst(), groups, size.times(DimExpr.product(dims.subList(2, dims.size()))));
    boolean perGroup = c.version() < 21;
    Value scale = p.inputs().get(1);
    if (perGroup) {
      Value column = p.reshape(c, scale, List.of(groups, DimExpr.ONE));
      Value repeated = p.modern("Expand", Map.of(), column, p.builder().longs(1, known(c, size)));
      scale = p.reshape(c, repeated, List.of(dims.get(1)));
    }
    Value inner = p.add("Mul", p.gradient(), p.channels(c, scale));
    NormalizationGradient.Parts parts =
        new NormalizationGradient(List.of(2L), true, c.floatAttr("epsilon", 1e-5f), scale)
            .of(
                c,
                p,
                p.reshape(c, p.inputs().getFirst(), joined),
                joined,
                p.reshape(c, p.gradient(), joined),
                p.reshape(c, inner, joined));
    Value byScale = p.perChannel(c, p.reshape(c, parts.scaled(), dims));
    Value byBias = p.perChannel(c, p.gradient());
    return List.of(
        p.reshape(c, parts.x(), dims),
        perGroup ? summed(c, p, byScale, groups, size) : byScale,
        perGroup ? summed(c, p, byBias, groups, size) : byBias);
  }

  private static Value summed(
      OpContext c, Pullback p, Value perChannel, DimExpr groups, DimExpr size) {
    Value rows = p.reshape(c, perChannel, List.of(groups, size));
    return p.reshape(c, p.sum(rows, List.of(1L)), List.of(groups));
  }

  private static long known(OpContext c, DimExpr dim) {
    if (!dim.isConst()) {
      throw c.error("TSR-0203", "the extent " + dim + " must be known for its gradient");
    }
    return dim.constValue();
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<DimExpr> dims = c.dims(0);
    DimExpr groups = groups(c);
    Axis n = new Axis("n", dims.getFirst());
    Axis g = new Axis("g", groups);
    DimExpr size = grouped ? dims.get(1).floorDiv(groups) : DimExpr.ONE;
    Axis m = new Axis("m", size);
    List<Axis> inner = new ArrayList<>(List.of(m));
    inner.addAll(Shapes.axes("i", dims.subList(2, dims.size())));
    KExpr channel = K.add(K.mul(K.axis(g), K.dim(size)), K.axis(m));
    List<KExpr> index = new ArrayList<>(List.of(K.axis(n), channel));
    index.addAll(Shapes.refs(inner.subList(1, inner.size())));
    KExpr x = staged(c, kernel.value(0, index));
    Reduction r = new Reduction(kernel, List.of(n, g), inner);
    KExpr centered = K.sub(x, r.mean("mean", x));
    KExpr variance = r.mean("variance", K.mul(centered, centered));
    KExpr root =
        K.unary(
            UnaryOp.SQRT,
            K.add(variance, K.literal(x.scalar(), (double) c.floatAttr("epsilon", 1e-5f))));
    KExpr inverse = r.store("inverse", K.div(K.literal(x.scalar(), 1.0), root));
    KExpr parameter = perGroup(c) ? K.axis(g) : channel;
    KExpr value =
        K.add(
            K.mul(staged(c, K.mul(centered, inverse)), kernel.value(1, parameter)),
            kernel.value(2, parameter));
    List<Axis> axes = new ArrayList<>(List.of(n, g));
    axes.addAll(inner);
    axes.removeIf(a -> a.extent().isConst(1));
    kernel.stage(kernel.out(0), axes, index, value);
    return kernel.build();
  }
}
