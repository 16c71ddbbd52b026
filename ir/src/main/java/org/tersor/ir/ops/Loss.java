package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
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
 * NegativeLogLikelihoodLoss (12, 13, 22) and SoftmaxCrossEntropyLoss (12, 13) over X [N, C, D...]
 * and class numbers [N, D...]: loss = -weight[class] * logp[n, class, d...], where logp is X or the
 * log-softmax of X along C (then also output 1). Elements whose class is ignore_index count
 * nothing. "mean" divides the sum by the sum of the weights that were applied.
 */
final class Loss extends OpBase {
  private static final int WEIGHT = 2;

  /** What X holds. */
  enum Kind {
    LOG_PROBABILITIES,
    SCORES
  }

  private enum Combine {
    NONE,
    SUM,
    MEAN
  }

  private final Kind kind;

  private Loss(Kind kind, OpSchema.Builder schema) {
    super(
        schema
            .types("T", Types.FLOATS)
            .types("Tind", Types.INDICES)
            .attribute("ignore_index", AttributeKind.INT)
            .attribute("reduction", AttributeKind.STRING)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
    this.kind = kind;
  }

  static Loss negativeLogLikelihood() {
    return new Loss(
        Kind.LOG_PROBABILITIES,
        OpSchema.of("", "NegativeLogLikelihoodLoss", 12, 13, 22)
            .sample(
                "input[n c d*0-2]; target[n d*]=below(c); weight[c]=positive; reduction=none|sum|mean; ignore_index=0..2")
            .input("input", "T")
            .input("target", "Tind")
            .optional("weight", "T")
            .output("loss", "T"));
  }

  static Loss softmaxCrossEntropy() {
    return new Loss(
        Kind.SCORES,
        OpSchema.of("", "SoftmaxCrossEntropyLoss", 12, 13)
            .sample(
                "scores[n c d*0-2]; labels[n d*]=below(c); weights[c]=positive; reduction=none|sum|mean; ignore_index=0..2")
            .input("scores", "T")
            .input("labels", "Tind")
            .optional("weights", "T")
            .output("output", "T")
            .optionalOutput("log_prob", "T"));
  }

  private static Combine reduction(OpContext c) {
    String name = c.stringAttr("reduction", "mean");
    return switch (name) {
      case "none" -> Combine.NONE;
      case "sum" -> Combine.SUM;
      case "mean" -> Combine.MEAN;
      default -> throw c.error("TSR-0304", "reduction '" + name + "' is not none, sum or mean");
    };
  }

  private static Optional<Long> ignored(OpContext c) {
    return c.has("ignore_index") ? Optional.of(c.intAttr("ignore_index", 0)) : Optional.empty();
  }

  private static void checkShapes(OpContext c) {
    List<DimExpr> x = c.dims(0);
    List<DimExpr> target = c.dims(1);
    if (x.size() < 2 || target.size() != x.size() - 1) {
      throw c.error(
          "TSR-0303", "the classes must have the shape of the scores without dimension 1");
    }
    List<DimExpr> wanted = new ArrayList<>(x);
    wanted.remove(1);
    for (int d = 0; d < wanted.size(); d++) {
      Shapes.agree(c, "dimension " + d + " of the classes", target.get(d), wanted.get(d));
    }
    if (c.hasInput(WEIGHT) && c.in(WEIGHT).isRanked()) {
      if (c.rank(WEIGHT) != 1) {
        throw c.error("TSR-0303", "the weights must have rank 1");
      }
      Shapes.agree(c, "number of weights", c.dims(WEIGHT).getFirst(), x.get(1));
    }
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    Combine reduction = reduction(c);
    boolean ranked = c.in(0).isRanked() && c.in(1).isRanked();
    if (ranked) {
      checkShapes(c);
    }
    TensorType loss =
        reduction == Combine.NONE
            ? c.in(1).withDtype(c.dtype(0))
            : TensorType.of(c.dtype(0), List.of());
    return kind == Kind.SCORES && c.outputCount() > 1 ? List.of(loss, c.in(0)) : List.of(loss);
  }

  @Override
  List<Tensor> values(EvalContext c) {
    checkShapes(c);
    Tensor x = c.input(0);
    Tensor target = c.input(1);
    int classes = (int) x.shape()[1];
    int inner = 1;
    for (int d = 2; d < x.rank(); d++) {
      inner *= (int) x.shape()[d];
    }
    double[] logs = Reals.of(x);
    if (kind == Kind.SCORES) {
      logSoftmax(logs, classes, inner);
    }
    Optional<Long> ignored = ignored(c);
    double[] losses = new double[target.size()];
    double sum = 0;
    double weights = 0;
    for (int i = 0; i < losses.length; i++) {
      long label = target.getLong(i);
      if (ignored.isPresent() && ignored.get() == label) {
        continue;
      }
      if (label < 0 || label >= classes) {
        throw c.error("TSR-0705", "class " + label + " is outside 0.." + (classes - 1));
      }
      double weight = c.hasInput(WEIGHT) ? c.input(WEIGHT).getDouble((int) label) : 1;
      losses[i] = -weight * logs[(i / inner * classes + (int) label) * inner + i % inner];
      sum += losses[i];
      weights += weight;
    }
    Combine reduction = reduction(c);
    Tensor loss = Tensor.zeros(x.dtype(), reduction == Combine.NONE ? target.shape() : new long[0]);
    if (reduction == Combine.NONE) {
      Reals.store(loss, losses);
    } else {
      loss.setDouble(0, reduction == Combine.SUM ? sum : sum / weights);
    }
    if (kind != Kind.SCORES || c.outputCount() < 2) {
      return List.of(loss);
    }
    Tensor logarithms = Tensor.zeros(x.dtype(), x.shape());
    Reals.store(logarithms, logs);
    return List.of(loss, logarithms);
  }

  private static void logSoftmax(double[] x, int classes, int inner) {
    for (int i = 0; classes > 0 && i < x.length / classes; i++) {
      int first = i / inner * classes * inner + i % inner;
      double largest = Double.NEGATIVE_INFINITY;
      for (int k = 0; k < classes; k++) {
        largest = Math.max(largest, x[first + k * inner]);
      }
      double sum = 0;
      for (int k = 0; k < classes; k++) {
        sum += Math.exp(x[first + k * inner] - largest);
      }
      for (int k = 0; k < classes; k++) {
        x[first + k * inner] -= largest + Math.log(sum);
      }
    }
  }

  @Override
  Lowering code(OpContext c) {
    checkShapes(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> all = Shapes.axes(c.dims(0));
    List<Axis> points = new ArrayList<>(all);
    Axis channel = points.remove(1);
    Scalar type = kernel.computeType(0);
    KExpr zero = K.literal(type, 0.0);
    KExpr label = K.at(kernel.in(1), Shapes.refs(points));
    List<KExpr> picked = Shapes.refs(all);
    Optional<KExpr> counts =
        ignored(c).map(label0 -> K.ne(K.cast(Scalar.I64, label), K.literal(Scalar.I64, label0)));
    KExpr place = Moves.position(label, channel.extent());
    picked.set(1, counts.map(is -> K.select(is, place, K.index(0))).orElse(place));
    KExpr log =
        kind == Kind.SCORES
            ? logProbability(kernel, c, all, points, channel, picked)
            : kernel.value(0, picked);
    KExpr weight = c.hasInput(WEIGHT) ? kernel.value(WEIGHT, picked.get(1)) : K.literal(type, 1.0);
    KExpr loss = K.neg(c.hasInput(WEIGHT) ? K.mul(weight, log) : log);
    if (counts.isPresent()) {
      loss = K.select(counts.get(), loss, zero);
      weight = K.select(counts.get(), weight, zero);
    }
    Combine reduction = reduction(c);
    if (reduction == Combine.NONE) {
      kernel.stage(kernel.out(0), points, loss);
      return kernel.build();
    }
    KExpr sum = K.sum(points, loss);
    if (reduction == Combine.MEAN) {
      Reduction total = new Reduction(kernel, List.of(), points);
      KExpr weights = total.sum("weights", weight);
      sum = K.div(total.sum("losses", loss), weights);
    }
    kernel.stage(kernel.out(0), List.of(), sum);
    return kernel.build();
  }

  /** The element {@code picked} of the log-softmax, which is stored as output 1 or a temporary. */
  private static KExpr logProbability(
      KernelBuilder kernel,
      OpContext c,
      List<Axis> all,
      List<Axis> points,
      Axis channel,
      List<KExpr> picked) {
    KExpr x = kernel.value(0, Shapes.refs(all));
    Reduction overClasses = new Reduction(kernel, points, List.of(channel));
    KExpr largest = overClasses.reduce("largest", ReduceOp.MAX, x);
    KExpr sum = overClasses.sum("sum", K.unary(UnaryOp.EXP, K.sub(x, largest)));
    KExpr shift = overClasses.store("shift", K.add(largest, K.unary(UnaryOp.LOG, sum)));
    if (c.hasOutput(1)) {
      kernel.stage(kernel.out(1), all, K.sub(x, shift));
    }
    return K.sub(kernel.value(0, picked), shift);
  }
}
