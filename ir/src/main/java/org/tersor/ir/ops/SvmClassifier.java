package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * SVMClassifier (ai.onnx.ml 1). With support vectors: a score for each pair of classes, a vote for
 * the first of them where it is positive, else for the second, and the label of most votes; scores
 * are those of the pairs (of two classes: -s and s, or 1 - s and s where there is a transformation,
 * of which only LOGISTIC has an effect then), or probabilities by {@link PairwiseCoupling}.
 * Without: one score a class, the label of the largest.
 */
final class SvmClassifier extends OpBase {
  private static final long MOST_WEIGHTS = 1L << 26;

  SvmClassifier() {
    super(
        SvmModel.attributes(
                OpSchema.of(TabledOperator.ML, "SVMClassifier", 1)
                    .sample(
                        "X[n f]; k=times(3, f); vectors_per_class!=dims(1 2); support_vectors!=copies(k, -2.0..2.0); coefficients!=copies(3, -1.0..1.0); rho!=copies(1, -1.0..1.0); kernel_type=LINEAR|POLY|RBF|SIGMOID; kernel_params!=list(0.5, 0.25..1.0, 2.0); classlabels_ints=dims(0 1)|dims(3 7); classlabels_strings=-; post_transform=NONE|SOFTMAX|LOGISTIC|SOFTMAX_ZERO; prob_a=-; prob_b=- || X[n f]; k=times(4, f); vectors_per_class!=dims(1 2 1); support_vectors!=copies(k, -2.0..2.0); coefficients!=copies(8, -1.0..1.0); rho!=copies(3, -1.0..1.0); kernel_type=LINEAR|RBF; kernel_params!=list(0.5, 0.25..1.0, 2.0); classlabels_strings=words(a, b, c); classlabels_ints=-; post_transform=NONE|SOFTMAX|LOGISTIC; prob_a=-; prob_b=-"))
            .output("Y", "*")
            .output("Z", "F")
            .types("F", Types.set(DType.F32))
            .attribute("classlabels_ints", AttributeKind.INTS)
            .attribute("classlabels_strings", AttributeKind.STRINGS)
            .attribute("prob_a", AttributeKind.FLOATS)
            .attribute("prob_b", AttributeKind.FLOATS)
            .attribute("vectors_per_class", AttributeKind.INTS));
  }

  /**
   * The node's numbers.
   *
   * @param owner class of each support vector; none: one score a class
   */
  private record Form(
      SvmModel model,
      Scores.Labels labels,
      PostTransform transform,
      int[] owner,
      float[] coefficients,
      float[] rho,
      float[] a,
      float[] b) {

    static Form of(OpContext c) {
      Scores.Labels labels = Scores.Labels.of(c, "classlabels_ints", "classlabels_strings", 1);
      long[] perClass = c.intsAttr("vectors_per_class").orElse(new long[0]);
      long vectors = 0;
      for (long count : perClass) {
        if (count < 0 || count > Integer.MAX_VALUE - vectors) {
          throw c.error("TSR-0304", "a class has " + count + " support vectors");
        }
        vectors += count;
      }
      // Before anything is allocated by a number that the model only claims.
      SvmModel model = SvmModel.of(c, vectors, labels.size());
      int[] owner = new int[(int) vectors];
      int at = 0;
      for (int k = 0; k < perClass.length; k++) {
        for (long i = 0; i < perClass[k]; i++) {
          owner[at++] = k;
        }
      }
      Form form =
          new Form(
              model,
              labels,
              PostTransform.of(c),
              owner,
              SvmModel.floats(c, "coefficients"),
              SvmModel.floats(c, "rho"),
              SvmModel.floats(c, "prob_a"),
              SvmModel.floats(c, "prob_b"));
      form.check(c, perClass.length);
      return form;
    }

    private void check(OpContext c, int groups) {
      int k = labels.size();
      if (owner.length == 0 ? rho.length < 1 : rho.length < pairs()) {
        throw c.error("TSR-0304", "rho has only " + rho.length + " numbers");
      }
      if (owner.length == 0) {
        return;
      }
      if (k < 2 || groups != k) {
        throw c.error("TSR-0304", k + " labels for " + groups + " groups of support vectors");
      }
      if (coefficients.length < (k - 1L) * owner.length) {
        throw c.error(
            "TSR-0304", coefficients.length + " coefficients for " + owner.length + " vectors");
      }
      if (a.length != b.length || (a.length > 0 && a.length < pairs())) {
        throw c.error("TSR-0304", "prob_a and prob_b need a number for each pair of classes");
      }
      if (isBinary() && transform == PostTransform.PROBIT) {
        throw c.error("TSR-0304", "PROBIT is not defined for the score of two classes");
      }
    }

    int pairs() {
      return Math.toIntExact(labels.size() * (labels.size() - 1L) / 2);
    }

    boolean hasPairs() {
      return owner.length > 0;
    }

    boolean hasProbabilities() {
      return hasPairs() && a.length > 0;
    }

    /** Whether one score becomes two. */
    boolean isBinary() {
      return hasPairs() && !hasProbabilities() && labels.size() == 2;
    }

    int columns() {
      return !hasPairs() || hasProbabilities() || isBinary() ? labels.size() : pairs();
    }

    /** What vector {@code v} counts in the score of classes i < j. */
    float weight(int i, int j, int v) {
      return owner[v] == i
          ? coefficients[(j - 1) * owner.length + v]
          : owner[v] == j ? coefficients[i * owner.length + v] : 0;
    }

    /** Score from which on the second of two classes is chosen, where there are no pairs. */
    Optional<Double> threshold() {
      boolean positive = true;
      for (float coefficient : coefficients) {
        positive &= coefficient >= 0;
      }
      return hasPairs() || labels.size() != 2 || a.length > 0
          ? Optional.empty()
          : Optional.of(positive ? Math.nextDown(0.5f) : 0.0);
    }
  }

  @Override
  List<ValueType> types(OpContext c) {
    Form form = Form.of(c);
    DimExpr rows = SvmModel.rows(c);
    return List.of(
        TensorType.of(form.labels.dtype(), List.of(rows)),
        TensorType.of(DType.F32, List.of(rows, DimExpr.of(form.columns()))));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Form form = Form.of(c);
    int rows = c.input(0).size() / form.model.features();
    Tensor y = Shapes.allocate(c, form.labels.dtype(), rows);
    Tensor z = Shapes.allocate(c, DType.F32, rows, form.columns());
    for (int n = 0; n < rows; n++) {
      double[] similar = form.model.similarities(c.input(0), n);
      double[] scores = new double[form.labels.size()];
      int label;
      if (form.hasPairs()) {
        double[] pairs = pairs(form, similar);
        label = first(votes(form, pairs));
        scores = form.hasProbabilities() ? probabilities(form, pairs) : pairs;
      } else {
        for (int k = 0; k < scores.length; k++) {
          scores[k] = similar[k] + form.rho[0];
        }
        int best = first(scores);
        boolean above =
            form.threshold().isPresent() && scores[best] > form.threshold().orElseThrow();
        label = above ? 1 : best;
      }
      form.labels.store(y, n, label);
      double[] result = scores;
      if (form.isBinary()) {
        double s =
            form.transform == PostTransform.LOGISTIC ? 1 / (1 + Math.exp(-scores[0])) : scores[0];
        result = new double[] {form.transform == PostTransform.NONE ? -s : 1 - s, s};
      } else {
        form.transform.apply(result);
      }
      for (int e = 0; e < result.length; e++) {
        z.setDouble(n * result.length + e, result[e]);
      }
    }
    return List.of(y, z);
  }

  private static double[] pairs(Form form, double[] similar) {
    double[] scores = new double[form.pairs()];
    int pair = 0;
    for (int i = 0; i < form.labels.size(); i++) {
      for (int j = i + 1; j < form.labels.size(); j++) {
        scores[pair] = form.rho[pair];
        for (int v = 0; v < similar.length; v++) {
          scores[pair] += form.weight(i, j, v) * similar[v];
        }
        pair++;
      }
    }
    return scores;
  }

  private static double[] votes(Form form, double[] scores) {
    double[] votes = new double[form.labels.size()];
    int pair = 0;
    for (int i = 0; i < votes.length; i++) {
      for (int j = i + 1; j < votes.length; j++) {
        votes[scores[pair++] > 0 ? i : j]++;
      }
    }
    return votes;
  }

  private static double[] probabilities(Form form, double[] scores) {
    double[] lines = new double[scores.length];
    for (int i = 0; i < lines.length; i++) {
      lines[i] = scores[i] * form.a[i] + form.b[i];
    }
    return PairwiseCoupling.of(lines, form.labels.size());
  }

  private static int first(double[] values) {
    int best = 0;
    for (int i = 1; i < values.length; i++) {
      best = values[i] > values[best] ? i : best;
    }
    return best;
  }

  @Override
  Lowering code(OpContext c) {
    Form form = Form.of(c);
    long weights = form.hasPairs() ? (long) form.pairs() * form.owner.length : 0;
    if (weights > MOST_WEIGHTS) {
      throw notLowered(c, "the pairs of classes have " + weights + " weights");
    }
    return new Lowering.Decompose(b -> {
      b.pin("", FunctionOperator.OPSET);
      Value similar = form.model.similarities(b, c);
      Value label;
      Value scores;
      if (form.hasPairs()) {
        scores = pairs(b, form, similar);
        label = votes(b, form, scores);
        if (form.hasProbabilities()) {
          scores = probabilities(b, form, scores);
        } else if (form.isBinary()) {
          if (form.transform == PostTransform.LOGISTIC) {
            scores = b.add("Sigmoid", scores);
          }
          Value first =
              form.transform == PostTransform.NONE
                  ? b.add("Neg", scores)
                  : b.add("Sub", b.scalar(1), scores);
          scores = b.add("Concat", Map.of("axis", new Attribute.IntAttr(1)), first, scores);
        }
      } else {
        scores = b.add("Add", similar, b.scalar(form.rho[0]));
        label = chosen(b, form, scores);
      }
      Value z = form.isBinary() ? scores : PostTransformed.add(b, form.transform, scores);
      return List.of(named(b, form.labels, label), z).subList(0, c.outputCount());
    });
  }

  private static Value pairs(GraphBuilder b, Form form, Value similar) {
    int k = form.labels.size();
    float[][] weights = new float[form.pairs()][form.owner.length];
    float[] rho = new float[form.pairs()];
    int pair = 0;
    for (int i = 0; i < k; i++) {
      for (int j = i + 1; j < k; j++) {
        for (int v = 0; v < form.owner.length; v++) {
          weights[pair][v] = form.weight(i, j, v);
        }
        rho[pair] = form.rho[pair++];
      }
    }
    Value sum = b.add("MatMul", similar, b.constant(SvmModel.transposed(weights)));
    return b.add("Add", sum, b.constant(Tensor.of(rho, rho.length)));
  }

  /** The class with most votes: of a pair the second has one, unless the first gets it. */
  private static Value votes(GraphBuilder b, Form form, Value scores) {
    int k = form.labels.size();
    float[] second = new float[k];
    float[][] moved = new float[k][form.pairs()];
    int pair = 0;
    for (int i = 0; i < k; i++) {
      for (int j = i + 1; j < k; j++) {
        second[j]++;
        moved[i][pair] = 1;
        moved[j][pair++] = -1;
      }
    }
    Value positive =
        b.add("Where", b.add("Greater", scores, b.scalar(0)), b.scalar(1), b.scalar(0));
    Value votes = b.add("MatMul", positive, b.constant(SvmModel.transposed(moved)));
    return best(b, b.add("Add", votes, b.constant(Tensor.of(second, k))));
  }

  private static Value best(GraphBuilder b, Value scores) {
    return b.add(
        "ArgMax",
        Map.of("axis", new Attribute.IntAttr(1), "keepdims", new Attribute.IntAttr(0)),
        scores);
  }

  private static Value probabilities(GraphBuilder b, Form form, Value scores) {
    int pairs = form.pairs();
    float[] lines = new float[2 * pairs];
    System.arraycopy(form.a, 0, lines, 0, pairs);
    System.arraycopy(form.b, 0, lines, pairs, pairs);
    return b.add(
        OpKey.TERSOR,
        PairwiseCoupling.NAME,
        Map.of("classes", new Attribute.IntAttr(form.labels.size())),
        scores,
        b.constant(Tensor.of(lines, 2, pairs)));
  }

  private static Value chosen(GraphBuilder b, Form form, Value scores) {
    Value best = best(b, scores);
    if (form.threshold().isEmpty()) {
      return best;
    }
    Value largest =
        b.add("ReduceMax", Map.of("keepdims", new Attribute.IntAttr(0)), scores, b.longs(1));
    Value above = b.add("Greater", largest, b.scalar(form.threshold().get().floatValue()));
    return b.add("Where", above, b.constant(Tensor.of(new long[] {1})), best);
  }

  private static Value named(GraphBuilder b, Scores.Labels labels, Value label) {
    return labels.strings().isPresent()
        ? b.add(
            OpKey.TERSOR,
            StringOperators.PICK,
            Map.of("values", new Attribute.StringsAttr(labels.strings().get())),
            label)
        : b.add("Gather", b.constant(labels.table()), label);
  }
}
