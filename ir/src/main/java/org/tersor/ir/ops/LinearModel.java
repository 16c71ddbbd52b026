package org.tersor.ir.ops;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * LinearRegressor and LinearClassifier (ai.onnx.ml 1): scores = X [N, C] times coefficients [E, C]
 * plus intercepts [E]; the classifier gives the label of the largest and all scores.
 */
final class LinearModel extends TabledOperator {
  private final boolean classifier;

  private LinearModel(boolean classifier, boolean own) {
    super(schema(classifier, own));
    this.classifier = classifier;
  }

  static List<OpBase> all() {
    return List.of(
        new LinearModel(false, false),
        new LinearModel(false, true),
        new LinearModel(true, false),
        new LinearModel(true, true));
  }

  private static OpSchema.Builder schema(boolean classifier, boolean own) {
    OpSchema.Builder schema =
        schema(own, classifier ? "LinearClassifier" : "LinearRegressor", 1)
            .input("X", "T")
            .types("T", Types.union(Types.FLOATS, Types.INDICES))
            .required("coefficients", AttributeKind.FLOATS)
            .attribute("intercepts", AttributeKind.FLOATS)
            .attribute("post_transform", AttributeKind.STRING)
            .tolerance(OpSchema.Tolerance.ACCUMULATION);
    return classifier
        ? schema
            .output("Y", "*")
            .output("Z", "F")
            .types("F", Types.set(DType.F32))
            .sample(
                "X[n f]; m=2..3; k=times(m, f); coefficients!=copies(k, -2.0..2.0); intercepts!=copies(m, -1.0..1.0); classlabels_ints!=count(m); classlabels_strings=-; post_transform=NONE|SOFTMAX|LOGISTIC|SOFTMAX_ZERO; multi_class=0|1")
            .attribute("classlabels_ints", AttributeKind.INTS)
            .attribute("classlabels_strings", AttributeKind.STRINGS)
            .attribute("multi_class", AttributeKind.INT)
        : schema
            .sample(
                "X[n f]; targets=1..3; k=times(targets, f); coefficients!=copies(k, -2.0..2.0); intercepts=copies(targets, -1.0..1.0); post_transform=NONE|SOFTMAX|LOGISTIC|SOFTMAX_ZERO|PROBIT")
            .output("Y", "F")
            .types("F", Types.set(DType.F32))
            .attribute("targets", AttributeKind.INT);
  }

  /** Number of scores a row. */
  private int count(OpContext c) {
    int coefficients = c.floatsAttr("coefficients").orElseThrow().size();
    List<Float> intercepts = c.floatsAttr("intercepts").orElse(List.of());
    long count = classifier ? Math.max(1, intercepts.size()) : c.intAttr("targets", 1);
    if (classifier && intercepts.isEmpty()) {
      count = Math.max(1, labels(c, 1).size());
    }
    if (count < 1 || coefficients % count != 0) {
      throw c.error("TSR-0304", coefficients + " coefficients do not make " + count + " rows");
    }
    if (!intercepts.isEmpty() && intercepts.size() != count) {
      throw c.error("TSR-0304", intercepts.size() + " intercepts for " + count + " scores");
    }
    if (c.in(0).isRanked()) {
      List<DimExpr> x = c.dims(0);
      if (x.isEmpty() || x.size() > 2) {
        throw c.error("TSR-0303", "X must be [N, C] or [C]");
      }
      Shapes.agree(c, "features of X", x.getLast(), DimExpr.of(coefficients / count));
    }
    return (int) count;
  }

  private static Scores.Labels labels(OpContext c, int count) {
    return Scores.Labels.of(c, "classlabels_ints", "classlabels_strings", count);
  }

  private Scores scores(OpContext c) {
    int count = count(c);
    Scores scores = new Scores(labels(c, count), PostTransform.of(c), count, 0, false);
    if (scores.labels().size() < count) {
      throw c.error("TSR-0304", count + " scores for " + scores.labels().size() + " labels");
    }
    return scores;
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    int count = count(c);
    PostTransform.of(c);
    DimExpr rows = rows(c);
    if (!classifier) {
      return List.of(TensorType.of(DType.F32, List.of(rows, DimExpr.of(count))));
    }
    Scores scores = scores(c);
    return List.of(
        TensorType.of(scores.labels().dtype(), List.of(rows)),
        TensorType.of(DType.F32, List.of(rows, DimExpr.of(scores.columns()))));
  }

  private static DimExpr rows(OpContext c) {
    return !c.in(0).isRanked()
        ? unknown(c, 0)
        : c.rank(0) == 1 ? DimExpr.ONE : c.dims(0).getFirst();
  }

  @Override
  List<Tensor> values(EvalContext c) {
    int count = count(c);
    Tensor x = c.input(0);
    List<Float> w = c.floatsAttr("coefficients").orElseThrow();
    List<Float> bias = c.floatsAttr("intercepts").orElse(List.of());
    int features = w.size() / count;
    int rows = features == 0 ? 0 : x.size() / features;
    Optional<Scores> scores = classifier ? Optional.of(scores(c)) : Optional.empty();
    int columns = scores.map(Scores::columns).orElse(count);
    Tensor z = Shapes.allocate(c, DType.F32, rows, columns);
    Tensor y = Shapes.allocate(c, scores.map(s -> s.labels().dtype()).orElse(DType.I64), rows);
    for (int n = 0; n < rows; n++) {
      double[] row = new double[count];
      for (int e = 0; e < count; e++) {
        row[e] = bias.isEmpty() ? 0 : bias.get(e);
        for (int i = 0; i < features; i++) {
          row[e] += x.getDouble(n * features + i) * w.get(e * features + i);
        }
      }
      double[] result = row;
      if (scores.isPresent()) {
        result = new double[columns];
        scores.get().labels().store(y, n, scores.get().evaluate(row, result));
      } else {
        PostTransform.of(c).apply(row);
      }
      for (int e = 0; e < columns; e++) {
        z.setDouble(n * columns + e, result[e]);
      }
    }
    return classifier ? List.of(y, z) : List.of(z);
  }

  @Override
  List<Tensor> tables(OpContext c) {
    int count = count(c);
    float[] bias = new float[count];
    List<Float> given = c.floatsAttr("intercepts").orElse(List.of());
    for (int e = 0; e < given.size(); e++) {
      bias[e] = given.get(e);
    }
    List<Float> w = c.floatsAttr("coefficients").orElseThrow();
    float[] weights = new float[w.size()];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = w.get(i);
    }
    return List.of(
        Tensor.of(weights, count, w.size() / count),
        Tensor.of(bias, count),
        labels(c, count).table());
  }

  @Override
  Lowering kernel(OpContext c) {
    int count = count(c);
    KernelBuilder kernel = new KernelBuilder(this, c);
    Axis n = new Axis("n", rows(c));
    Axis e = new Axis("e", DimExpr.of(count));
    Axis k = new Axis("k", c.dims(0).getLast());
    List<KExpr> at = c.rank(0) == 1 ? List.of(K.axis(k)) : List.of(K.axis(n), K.axis(k));
    KExpr x = K.cast(Scalar.F32, kernel.value(0, at));
    KExpr product = K.mul(x, K.at(kernel.in(table(0)), K.axis(e), K.axis(k)));
    KExpr sum = K.add(K.sum(List.of(k), product), K.at(kernel.in(table(1)), K.axis(e)));
    Buf scores = kernel.temp("scores", Scalar.F32, List.of(n.extent(), e.extent()));
    kernel.stage(scores, List.of(n, e), sum);
    if (classifier) {
      scores(c).stages(kernel, table(2), scores);
    } else {
      KExpr score = K.at(scores, K.axis(n), K.axis(e));
      kernel.stage(
          kernel.out(0), List.of(n, e), PostTransform.of(c).apply(kernel, List.of(n), e, score));
    }
    return kernel.build();
  }
}
