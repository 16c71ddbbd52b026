package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
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
 * LayerNormalization (17; ONNX Runtime takes it in any opset): (X - mean) / sqrt(variance +
 * epsilon) * Scale + B over the dimensions from axis on, also mean and 1 / sqrt as outputs.
 * RMSNormalization (23): X / sqrt(mean(X^2) + epsilon) * scale. com.microsoft
 * SkipLayerNormalization: layer normalization of input + skip + bias over the last dimension.
 * Computed in float32 (or wider).
 */
final class LayerNormalization extends OpBase implements Differentiable {
  enum Kind {
    LAYER,
    RMS,
    SKIP
  }

  private final Kind kind;

  LayerNormalization(Kind kind) {
    super(schema(kind));
    this.kind = kind;
  }

  private static OpSchema.Builder schema(Kind kind) {
    OpSchema.Builder schema =
        switch (kind) {
          case LAYER ->
              OpSchema.of("", "LayerNormalization", 1, 17)
                  .sample(
                      "X[a* n b*]; axis!=len(a); Scale[n b*]; B[n b*]; stash_type=-; epsilon=0.001..0.1")
                  .input("X", "T")
                  .input("Scale", "T")
                  .optional("B", "T")
                  .output("Y", "T")
                  .optionalOutput("Mean", "U")
                  .optionalOutput("InvStdDev", "U");
          case RMS ->
              OpSchema.of("", "RMSNormalization", 23)
                  .sample("X[a* n b*]; axis!=len(a); scale[n b*]; stash_type=-; epsilon=0.001..0.1")
                  .input("X", "T")
                  .input("scale", "V")
                  .output("Y", "V")
                  .types("V", Types.FLOATS);
          case SKIP ->
              OpSchema.of("com.microsoft", "SkipLayerNormalization", 1)
                  .sample(
                      "input[b s h]; skip[b s h]; gamma[h]; beta[h]; bias[h]; epsilon=0.001..0.1; axis=-; stash_type=-; outputs=1")
                  .input("input", "T")
                  .input("skip", "T")
                  .input("gamma", "T")
                  .optional("beta", "T")
                  .optional("bias", "T")
                  .output("output", "T")
                  .optionalOutput("mean", "U")
                  .optionalOutput("inv_std_var", "U")
                  .optionalOutput("input_skip_bias_sum", "T");
        };
    return schema
        .attribute("axis", AttributeKind.INT)
        .attribute("epsilon", AttributeKind.FLOAT)
        .attribute("stash_type", AttributeKind.INT)
        .types("T", Types.FLOATS)
        .types("U", Types.set(DType.F32, DType.F64, DType.BF16, DType.F16))
        .tolerance(OpSchema.Tolerance.ACCUMULATION);
  }

  private int scale() {
    return kind == Kind.SKIP ? 2 : 1;
  }

  private int bias() {
    return kind == Kind.SKIP ? 3 : 2;
  }

  private int axis(OpContext c, int rank) {
    return c.axis(kind == Kind.SKIP ? -1 : c.intAttr("axis", -1), rank);
  }

  /** The type of sums: at least the one that stash_type asks for. */
  private static DType sums(OpContext c) {
    return c.dtype(0) == DType.F64 ? DType.F64 : DType.F32;
  }

  /** The type of Mean and InvStdDev, whatever that of X is. */
  private static DType stash(OpContext c) {
    long number = c.intAttr("stash_type", 1);
    return TypeNumbers.type(number)
        .filter(DType::isFloat)
        .orElseThrow(() -> c.error("TSR-0304", "stash_type " + number + " is no float type"));
  }

  private static double epsilon(OpContext c) {
    return c.floatAttr("epsilon", c.node().op().type().startsWith("Skip") ? 1e-12f : 1e-5f);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    List<TensorType> types = new ArrayList<>();
    types.add(kind == Kind.RMS ? c.in(0).withDtype(c.dtype(1)) : c.in(0));
    for (int i = 1; i < Math.min(c.outputCount(), 3); i++) {
      types.add(type(stash(c), c.in(0).shape().map(dims -> statistics(c, dims))));
    }
    if (c.outputCount() > 3) {
      types.add(c.in(0));
    }
    return types;
  }

  private List<DimExpr> statistics(OpContext c, List<DimExpr> dims) {
    List<DimExpr> out = new ArrayList<>(dims);
    for (int d = axis(c, dims.size()); d < dims.size(); d++) {
      out.set(d, DimExpr.ONE);
    }
    return List.copyOf(out);
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, outType(c, 0).dtype(), x.shape());
    int axis = axis(c, x.rank());
    long[] kept = Window.numbers(statistics(c, c.dims(0)));
    Tensor means = Shapes.allocate(c, stash(c), kept);
    Tensor inverses = Shapes.allocate(c, stash(c), kept);
    Tensor sums = Shapes.allocate(c, x.dtype(), x.shape());
    double[] values = Reals.of(x);
    if (kind == Kind.SKIP) {
      for (int i = 0; i < values.length; i++) {
        values[i] +=
            c.input(1).getDouble(i % c.input(1).size())
                + (c.hasInput(4) ? c.input(4).getDouble(i % c.input(4).size()) : 0);
      }
      Reals.store(sums, values);
    }
    int n = 1;
    for (int d = axis; d < x.rank(); d++) {
      n *= (int) x.shape()[d];
    }
    long[] scaleStep = Shapes.broadcastStrides(c.input(scale()).shape(), x.rank());
    boolean biased = kind != Kind.RMS && c.hasInput(bias());
    long[] biasStep =
        biased ? Shapes.broadcastStrides(c.input(bias()).shape(), x.rank()) : new long[x.rank()];
    for (int g = 0; g < means.size(); g++) {
      double mean = 0;
      for (int i = 0; i < n && kind != Kind.RMS; i++) {
        mean += values[g * n + i] / n;
      }
      double variance = 0;
      for (int i = 0; i < n; i++) {
        double d = values[g * n + i] - mean;
        variance += d * d / n;
      }
      double inverse = 1 / Math.sqrt(variance + epsilon(c));
      means.setDouble(g, mean);
      inverses.setDouble(g, inverse);
      for (int i = g * n; i < g * n + n; i++) {
        long[] index = Shapes.unravel(i, x.shape());
        int atScale = 0;
        int atBias = 0;
        for (int d = 0; d < index.length; d++) {
          atScale += (int) (index[d] * scaleStep[d]);
          atBias += (int) (index[d] * biasStep[d]);
        }
        double normal = (values[i] - mean) * inverse * c.input(scale()).getDouble(atScale);
        y.setDouble(i, normal + (biased ? c.input(bias()).getDouble(atBias) : 0));
      }
    }
    return List.of(y, means, inverses, sums).subList(0, Math.clamp(c.outputCount(), 1, 4));
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<DimExpr> dims = c.dims(0);
    List<Axis> axes = Shapes.axes(dims);
    Scalar type = Elementwise.compute(sums(c));
    Reduction r = Reduction.over(kernel, axes, axis(c, dims.size()), dims.size());
    KExpr x = K.cast(type, kernel.value(0, Shapes.refs(axes)));
    if (kind == Kind.SKIP) {
      x = K.add(x, K.cast(type, operand(kernel, c, 1, axes)));
      x = c.hasInput(4) ? K.add(x, K.cast(type, operand(kernel, c, 4, axes))) : x;
      if (c.hasOutput(3)) {
        kernel.stage(kernel.out(3), axes, x);
      }
    }
    KExpr centered = x;
    if (kind != Kind.RMS) {
      KExpr mean = r.mean("mean", x);
      centered = K.sub(x, mean);
      statistic(kernel, c, 1, r, mean);
    }
    KExpr variance = r.mean("variance", K.mul(centered, centered));
    KExpr root = K.unary(UnaryOp.SQRT, K.add(variance, K.literal(type, epsilon(c))));
    KExpr inverse = r.store("inverse", K.div(K.literal(type, 1.0), root));
    if (kind != Kind.RMS) {
      statistic(kernel, c, 2, r, inverse);
    }
    KExpr value = K.mul(K.mul(centered, inverse), K.cast(type, operand(kernel, c, scale(), axes)));
    if (kind != Kind.RMS && c.hasInput(bias())) {
      value = K.add(value, K.cast(type, operand(kernel, c, bias(), axes)));
    }
    kernel.stage(kernel.out(0), axes, value);
    return kernel.build();
  }

  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    if (kind == Kind.SKIP) {
      throw c.error("TSR-0203", "its derivative is not known");
    }
    List<DimExpr> dims = c.dims(0);
    List<Long> axes = LongStream.range(axis(c, dims.size()), dims.size()).boxed().toList();
    NormalizationGradient.Parts parts =
        new NormalizationGradient(axes, kind != Kind.RMS, epsilon(c), p.inputs().get(1)).of(c, p);
    List<Value> all = new ArrayList<>();
    all.add(parts.x());
    all.add(p.unbroadcast(c, parts.scaled(), dims, c.dims(1)));
    if (kind != Kind.RMS && c.hasInput(bias())) {
      all.add(p.unbroadcast(c, p.gradient(), dims, c.dims(bias())));
    }
    return all;
  }

  private static void statistic(
      KernelBuilder kernel, OpContext c, int output, Reduction r, KExpr value) {
    if (c.hasOutput(output)) {
      List<KExpr> index = new ArrayList<>(Shapes.refs(r.kept()));
      r.folded().forEach(axis -> index.add(K.index(0)));
      kernel.stage(kernel.out(output), r.kept(), index, value);
    }
  }

  /** An operand that broadcasts to X. */
  private static KExpr operand(KernelBuilder kernel, OpContext c, int index, List<Axis> axes) {
    return kernel.value(index, Shapes.index(c.dims(index), c.dims(0), axes));
  }
}
