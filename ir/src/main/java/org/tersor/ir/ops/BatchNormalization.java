package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
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
 * BatchNormalization (1, 6, 7, 9, 14, 15): Y = scale * (X - mean) / sqrt(var + epsilon) + B per
 * channel (dimension 1; with spatial = 0, until opset 8, per element of a sample). With
 * training_mode = 1 (from 14) mean and variance are those of the batch and outputs 1 and 2 the
 * running statistics: running = input * momentum + batch * (1 - momentum). Before 14 further
 * outputs are for training only: a model that uses them is refused.
 */
final class BatchNormalization extends OpBase implements Differentiable {
  BatchNormalization() {
    super(
        OpSchema.of("", "BatchNormalization", 1, 6, 7, 9, 14, 15)
            .sample(
                "-6: -; X[n c d*0-2]; scale[c]; B[c]; input_mean[c]; input_var[c]=positive; epsilon=0.001..0.1; momentum=0.5..0.9; spatial=-; is_test=-; training_mode=-; running_mean=-; saved_mean=-")
            .input("X", "T")
            .input("scale", "T1")
            .input("B", "T1")
            .input("input_mean", "T2")
            .input("input_var", "T2")
            .output("Y", "T")
            .optionalOutput("running_mean", "T2")
            .optionalOutput("running_var", "T2")
            .optionalOutput("saved_mean", "T2")
            .optionalOutput("saved_var", "T2")
            .attribute("consumed_inputs", AttributeKind.INTS)
            .attribute("epsilon", AttributeKind.FLOAT)
            .attribute("is_test", AttributeKind.INT)
            .attribute("momentum", AttributeKind.FLOAT)
            .attribute("spatial", AttributeKind.INT)
            .attribute("training_mode", AttributeKind.INT)
            .types("T", Types.FLOATS)
            .types("T1", Types.FLOATS)
            .types("T2", Types.FLOATS)
            .tolerance(OpSchema.Tolerance.ROUNDING));
  }

  private static boolean training(OpContext c) {
    return c.version() >= 14 && c.intAttr("training_mode", 0) != 0;
  }

  private static boolean spatial(OpContext c) {
    return c.version() >= 9 || c.intAttr("spatial", 1) != 0;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    // Before version 9 there is a form with numbers for every element.
    for (int i = 1; i < 5 && c.version() >= 9; i++) {
      Shapes.rank(c, i, 1);
    }
    List<TensorType> types = new ArrayList<>(List.of(c.in(0)));
    for (int i = 1; i < c.outputCount(); i++) {
      if (c.hasOutput(i) && !(training(c) && i < 3)) {
        throw c.error("TSR-0202", "output " + i + " is for training only");
      }
      types.add(c.in(i == 1 ? 3 : 4));
    }
    return types;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), x.shape());
    int parameters = c.input(1).size();
    int channels = x.rank() > 1 ? (int) x.shape()[1] : 1;
    int inner = 1;
    for (int d = 2; d < x.rank(); d++) {
      inner *= (int) x.shape()[d];
    }
    double epsilon = c.floatAttr("epsilon", 1e-5f);
    double momentum = c.floatAttr("momentum", 0.9f);
    double[] mean = Reals.of(c.input(3));
    double[] variance = Reals.of(c.input(4));
    boolean spatial = spatial(c);
    List<Tensor> results = new ArrayList<>(List.of(y));
    if (training(c)) {
      double[] batchMean = new double[channels];
      double[] batchVariance = new double[channels];
      double count = x.size() / (double) channels;
      for (int i = 0; i < x.size(); i++) {
        batchMean[i / inner % channels] += x.getDouble(i) / count;
      }
      for (int i = 0; i < x.size(); i++) {
        int ch = i / inner % channels;
        double d = x.getDouble(i) - batchMean[ch];
        batchVariance[ch] += d * d / count;
      }
      Tensor runningMean = Tensor.zeros(c.dtype(3), channels);
      Tensor runningVariance = Tensor.zeros(c.dtype(4), channels);
      for (int ch = 0; ch < channels; ch++) {
        runningMean.setDouble(ch, mean[ch] * momentum + batchMean[ch] * (1 - momentum));
        runningVariance.setDouble(ch, variance[ch] * momentum + batchVariance[ch] * (1 - momentum));
      }
      mean = batchMean;
      variance = batchVariance;
      results.add(runningMean);
      results.add(runningVariance);
    }
    for (int i = 0; i < x.size(); i++) {
      int at = spatial ? i / inner % channels : i % parameters;
      double normal = (x.getDouble(i) - mean[at]) / Math.sqrt(variance[at] + epsilon);
      y.setDouble(i, c.input(1).getDouble(at) * normal + c.input(2).getDouble(at));
    }
    return results.subList(0, Math.min(results.size(), Math.max(1, c.outputCount())));
  }

  /**
   * In training by the batch's statistics, which are the input's; else the given ones vary, too.
   */
  @Override
  public List<Value> gradients(OpContext c, Pullback p) {
    if (!spatial(c) || c.rank(0) < 2) {
      throw c.error("TSR-0203", "its derivative is not known");
    }
    double epsilon = c.floatAttr("epsilon", 1e-5f);
    Value scale = p.channels(c, p.inputs().get(1));
    Value byBias = p.perChannel(c, p.gradient());
    if (training(c)) {
      List<Long> axes = new ArrayList<>(List.of(0L));
      LongStream.range(2, c.rank(0)).forEach(axes::add);
      NormalizationGradient.Parts parts =
          new NormalizationGradient(axes, true, epsilon, scale).of(c, p);
      return List.of(parts.x(), p.perChannel(c, parts.scaled()), byBias, Value.NONE, Value.NONE);
    }
    Value variance = p.add("Add", p.channels(c, p.inputs().get(4)), p.number(c.dtype(4), epsilon));
    Value sigma = p.add("Sqrt", variance);
    Value centred = p.add("Sub", p.inputs().get(0), p.channels(c, p.inputs().get(3)));
    Value byX = p.add("Div", p.add("Mul", p.gradient(), scale), sigma);
    Value byVariance = p.add("Div", p.add("Mul", byX, centred), variance);
    return List.of(
        byX,
        p.perChannel(c, p.add("Div", p.add("Mul", p.gradient(), centred), sigma)),
        byBias,
        p.perChannel(c, p.add("Neg", byX)),
        p.perChannel(c, p.add("Mul", byVariance, p.number(c.dtype(0), -.5))));
  }

  @Override
  Lowering code(OpContext c) {
    List<DimExpr> dims = c.dims(0);
    List<Axis> axes = Shapes.axes(dims);
    KernelBuilder kernel = new KernelBuilder(this, c);
    var type =
        Elementwise.compute(c.dtype(0)) == Elementwise.compute(DType.F64)
            ? Elementwise.compute(DType.F64)
            : Elementwise.compute(DType.F32);
    List<KExpr> channel =
        dims.size() < 2
            ? List.of(K.index(0))
            : spatial(c) ? List.of(K.axis(axes.get(1))) : Shapes.refs(axes.subList(1, axes.size()));
    KExpr x = K.cast(type, kernel.value(0, Shapes.refs(axes)));
    KExpr scale = K.cast(type, kernel.value(1, channel));
    KExpr bias = K.cast(type, kernel.value(2, channel));
    KExpr mean = K.cast(type, kernel.value(3, channel));
    KExpr variance = K.cast(type, kernel.value(4, channel));
    if (training(c)) {
      List<Axis> kept = dims.size() < 2 ? List.of() : axes.subList(1, 2);
      List<Axis> folded = new ArrayList<>(axes);
      folded.removeAll(kept);
      Reduction r = new Reduction(kernel, kept, folded);
      KExpr batchMean = r.mean("mean", x);
      KExpr d = K.sub(x, batchMean);
      KExpr batchVariance = r.mean("variance", K.mul(d, d));
      KExpr momentum = K.literal(type, (double) c.floatAttr("momentum", 0.9f));
      KExpr rest = K.literal(type, 1.0 - c.floatAttr("momentum", 0.9f));
      List<KExpr> at = dims.size() < 2 ? List.of(K.index(0)) : Shapes.refs(kept);
      if (c.hasOutput(1)) {
        kernel.stage(
            kernel.out(1),
            kept,
            at,
            K.cast(kernel.out(1).element(), K.add(K.mul(mean, momentum), K.mul(batchMean, rest))));
      }
      if (c.hasOutput(2)) {
        kernel.stage(
            kernel.out(2),
            kept,
            at,
            K.cast(
                kernel.out(2).element(),
                K.add(K.mul(variance, momentum), K.mul(batchVariance, rest))));
      }
      mean = batchMean;
      variance = batchVariance;
    }
    KExpr gain =
        K.div(
            scale,
            K.unary(
                UnaryOp.SQRT,
                K.add(variance, K.literal(type, (double) c.floatAttr("epsilon", 1e-5f)))));
    kernel.stage(kernel.out(0), axes, K.add(K.mul(K.sub(x, mean), gain), bias));
    return kernel.build();
  }
}
