package org.tersor.conformance.diff;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import org.tersor.conformance.SeededRandom;
import org.tersor.conformance.diff.Finding.Kind;
import org.tersor.conformance.diff.KnownDifferences.Known;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Known differences of the learned models of ai.onnx.ml. */
final class KnownLearned {
  /** How TreeEnsemble-5 numbers what the others name. */
  private static final List<String> TRANSFORMS =
      List.of("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT");

  /** Number of the comparison BRANCH_NEQ there. */
  private static final long UNEQUAL = 5;

  /** Number of the comparison BRANCH_MEMBER there. */
  private static final long MEMBER = 6;

  private static final double NEAR = 1e-5;

  private KnownLearned() {}

  private static boolean hasTiny(Evidence e) {
    return e.result(1).stream()
        .anyMatch(scores ->
            IntStream.range(0, scores.size())
                .anyMatch(i -> scores.getDouble(i) > 0 && scores.getDouble(i) < 0x1p-24));
  }

  static List<Known> table() {
    return List.of(
        new Known(
            "approximated-quantile",
            Kind.VALUES,
            List.of(
                "LinearRegressor",
                "LinearClassifier",
                "SVMClassifier",
                "TreeEnsembleRegressor",
                "TreeEnsemble"),
            "post_transform=PROBIT: results below 1 differ by at most 2^-15.",
            "Operators-ml.md, post_transform: PROBIT, with no formula. Both take one approximation of the"
                + " inverse error function, which subtracts numbers near 10: in float32 in ONNX Runtime.",
            e -> transform(e).equals("PROBIT") && areClose(e, 1, 0x1p-15)),
        new Known(
            "logistic-from-one",
            Kind.VALUES,
            List.of(
                "LinearRegressor",
                "LinearClassifier",
                "SVMClassifier",
                "TreeEnsembleRegressor",
                "TreeEnsembleClassifier",
                "TreeEnsemble"),
            "post_transform=LOGISTIC: results below one half differ by at most 2^-23.",
            "Operators-ml.md, post_transform: LOGISTIC, with no formula. ONNX Runtime subtracts the function"
                + " of the magnitude from 1 in float32.",
            e -> transform(e).equals("LOGISTIC") && areClose(e, .5, 0x1p-23)),
        new Known(
            "logistic-to-nothing",
            Set.of(Kind.SHAPE),
            List.of("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier"),
            "post_transform=LOGISTIC: results below 2^-24 are 0 in ONNX Runtime, and other operators count them.",
            "Operators-ml.md, post_transform: LOGISTIC, with no formula. ONNX Runtime subtracts the function"
                + " of the magnitude from 1 in float32.",
            e -> !e.isAlone() && transform(e).equals("LOGISTIC") && hasTiny(e),
            true),
        new Known(
            "transforms-in-float",
            Kind.VALUES,
            List.of("TreeEnsemble"),
            "float64: transformed scores differ by at most 2^-20 of the larger of 1 and the score.",
            "Operators-ml.md, TreeEnsemble, T: float16, float and double, of X and of Y; no precision is named."
                + " Tersor transforms scores of float64 in float64, ONNX Runtime in float32.",
            e ->
                e.type() == DType.F64
                    && !transform(e).equals("NONE")
                    && e.each(i ->
                        Math.abs(e.ours().getDouble(i) - e.theirs().getDouble(i))
                            <= 0x1p-20 * Math.max(1, Math.abs(e.ours().getDouble(i))))),
        new Known(
            "machines-in-float",
            Kind.VALUES,
            List.of("SVMClassifier"),
            "float64 and integers: ONNX Runtime's scores are those of X rounded to float32, in sums of float32.",
            "Operators-ml.md, SVMClassifier, T1: float, double, int64 and int32, of X; Z is float, and no"
                + " precision is named. ONNX Runtime casts X to float32 first, and its products sum so;"
                + " Tersor's interpreter computes in float64 from X as it is.",
            e -> e.type() != DType.F32 && e.output() == 1 && areOfFloats(e)),
        new Known(
            "score-of-one-target",
            Kind.VALUES,
            List.of("LinearRegressor", "TreeEnsembleRegressor", "TreeEnsemble"),
            "post_transform SOFTMAX, SOFTMAX_ZERO or LOGISTIC with one target: ONNX Runtime gives the"
                + " plain score.",
            "Operators-ml.md, LinearRegressor, post_transform: the transform to apply to"
                + " the regression output vector; TreeEnsembleRegressor, TreeEnsemble: to the score. No number"
                + " of targets is excepted. The softmax of one number is 1.",
            e ->
                e.number("targets", 1) == 1
                    && e.number("n_targets", 1) == 1
                    && e.each(i -> isPlain(transform(e), e, i))),
        new Known(
            "transforms-exchanged",
            Kind.VALUES,
            List.of("TreeEnsemble"),
            "post_transform=1 with several targets is SOFTMAX in Tersor, LOGISTIC in ONNX Runtime; 2 the"
                + " other way round.",
            "Operators-ml.md, TreeEnsemble, post_transform: one of NONE (0), SOFTMAX (1), LOGISTIC (2),"
                + " SOFTMAX_ZERO (3) or PROBIT (4).",
            e ->
                e.number("n_targets", 1) > 1
                    && switch (transform(e)) {
                      case "SOFTMAX" -> isSoftmax(e, e.theirs(), e.ours());
                      case "LOGISTIC" -> isSoftmax(e, e.ours(), e.theirs());
                      default -> false;
                    }),
        new Known(
            "base-without-votes",
            Kind.VALUES,
            List.of("TreeEnsembleRegressor"),
            "base_values of several targets: ONNX Runtime gives 0 for a target for which no leaf of a row"
                + " votes.",
            "Operators-ml.md, TreeEnsembleRegressor, base_values: base values for regression, added to final"
                + " prediction.",
            e ->
                e.number("n_targets", 1) > 1
                    && e.node().attributes().get("base_values")
                        instanceof Attribute.FloatsAttr(List<Float> base)
                    && e.each(i ->
                        e.theirs().getDouble(i) == 0
                            && e.ours().getDouble(i) == base.get(i % base.size()))),
        new Known(
            "votes-for-two-classes",
            Kind.VALUES,
            List.of("TreeEnsembleClassifier"),
            "Two classes: ONNX Runtime takes the second where the score of the last with votes is positive (above"
                + " 0.5 if all votes are for one class and none is negative); without votes for the second it"
                + " gives one score and its opposite, or 1 less it; with base values the second class gets"
                + " the votes of the first, and a class without votes 0.",
            "Operators-ml.md, TreeEnsembleClassifier, Y: top class for each point; Z: the class score for each"
                + " class; base_values: added to final class score. Tersor does for two classes what both do for"
                + " three.",
            TwoClasses::explains),
        new Known(
            "class-without-votes",
            Kind.VALUES,
            List.of("TreeEnsembleClassifier"),
            "The largest score is that of a class without votes (0): Tersor takes it, ONNX Runtime the largest"
                + " with votes.",
            "Operators-ml.md, TreeEnsembleClassifier, Y: top class for each point; Z: the class score for each"
                + " class. The specification's reference code takes the first of the largest scores.",
            e ->
                e.output() == 0
                    && !e.has("base_values")
                    && !e.has("base_values_as_tensor")
                    && areLargestWithVotes(e)),
        new Known(
            "integer-members",
            Kind.VALUES,
            List.of("TreeEnsemble"),
            "BRANCH_MEMBER and a number that is no integer: ONNX Runtime looks for its integer part (and"
                + " refuses members that are no integers).",
            "Operators-ml.md, TreeEnsemble, membership_values: members to test membership of; T: float16, float"
                + " and double.",
            e -> e.each(i -> isBesideMember(e, i / (int) e.ours().shape()[1]))),
        new Known(
            "missing-is-unequal",
            Kind.VALUES,
            List.of("TreeEnsemble", "TreeEnsembleRegressor", "TreeEnsembleClassifier"),
            "BRANCH_NEQ and a NaN that does not track true: ONNX Runtime takes the true branch.",
            "Operators-ml.md, nodes_missing_value_tracks_true: for each node, define whether to follow the"
                + " true branch (if attribute value is 1) or false branch (if attribute value is 0) in the"
                + " presence of a NaN input feature. The specification's reference code tests x != value or"
                + " (tracks true and NaN), which is true of NaN whatever the attribute says.",
            e ->
                e.each(i ->
                    isUnequalToMissing(
                        e, i / (e.ours().size() / Math.max(1, (int) e.ours().shape()[0]))))));
  }

  /**
   * Whether their results are as near as float32 allows to those of the first operand in float32.
   */
  private static boolean areOfFloats(Evidence e) {
    Tensor rounded = Tensor.zeros(DType.F32, e.in(0).shape());
    for (int i = 0; i < rounded.size(); i++) {
      rounded.setDouble(i, e.in(0).getDouble(i));
    }
    OpKey op = e.node().op();
    GraphBuilder b = new GraphBuilder(Map.of(op.domain(), op.version()), 0);
    Value x = b.input("X", TensorType.of(DType.F32, rounded.shape()));
    List<Value> results =
        e.node().outputs().stream().map(each -> b.value("", ValueType.UNKNOWN)).toList();
    b.addNode(op.domain(), op.type(), e.node().attributes(), List.of(x), results);
    results.forEach(b::output);
    Conditioning floats =
        new Conditioning(b.build("floats", Map.of()), Compiler.standard().registry().operators());
    Value result = results.get(e.output());
    return floats
        .verdict(Map.of(x, rounded), new SeededRandom(1))
        .allowed()
        .map(allowed -> {
          Tensor exact = Objects.requireNonNull(allowed.exact().get(result));
          double[] most = Objects.requireNonNull(allowed.tolerance().get(result));
          return e.each(i -> Math.abs(e.theirs().getDouble(i) - exact.getDouble(i)) <= most[i]);
        })
        .orElse(false);
  }

  /** Whether results that differ are small, and differ by at most so much. */
  private static boolean areClose(Evidence e, double below, double most) {
    return e.each(i ->
        Math.abs(e.ours().getDouble(i)) < below
            && Math.abs(e.ours().getDouble(i) - e.theirs().getDouble(i)) <= most);
  }

  private static double near(Evidence e) {
    return e.resultType() == DType.F16 ? 0x1p-9 : NEAR;
  }

  private static String transform(Evidence e) {
    return e.node().op().type().equals("TreeEnsemble")
        ? TRANSFORMS.get((int) e.number("post_transform", 0))
        : e.word("post_transform", "NONE");
  }

  /** Whether no leaf of a row votes for our label, and theirs is the largest of the others. */
  private static boolean areLargestWithVotes(Evidence e) {
    LeafVotes votes = LeafVotes.of(e);
    return e.each(row -> {
      int theirs = label(e, e.theirs(), row);
      return (!votes.hasVoters(row, label(e, e.ours(), row)) || isUnequalToMissing(e, row))
          && votes.hasVoters(row, theirs)
          && IntStream.range(0, votes.classes())
              .filter(k -> votes.hasVoters(row, k))
              .allMatch(k -> votes.sum(row, k) <= votes.sum(row, theirs));
    });
  }

  private static int label(Evidence e, Tensor labels, int row) {
    return e.node().attributes().get("classlabels_strings")
            instanceof Attribute.StringsAttr(List<String> names)
        ? names.indexOf(labels.strings()[row])
        : e.numbers("classlabels_int64s").indexOf(labels.getLong(row));
  }

  /** Whether a row has a number that is no integer where a node asks for members. */
  private static boolean isBesideMember(Evidence e, int row) {
    List<Long> features = e.numbers("nodes_featureids");
    int columns = (int) e.in(0).shape()[1];
    return IntStream.range(0, features.size())
        .filter(node -> mode(e, node) == MEMBER)
        .mapToDouble(node -> e.in(0).getDouble(row * columns + features.get(node).intValue()))
        .anyMatch(x -> x != Math.rint(x));
  }

  /** Whether our result is the transform of their score alone. */
  private static boolean isPlain(String transform, Evidence e, int i) {
    double ours = e.ours().getDouble(i);
    return switch (transform) {
      case "SOFTMAX", "SOFTMAX_ZERO" -> ours == 1;
      case "LOGISTIC" -> Math.abs(ours - 1 / (1 + Math.exp(-e.theirs().getDouble(i)))) < near(e);
      default -> false;
    };
  }

  /** Whether each row is the softmax of the scores of which the other is the logistic function. */
  private static boolean isSoftmax(Evidence e, Tensor logistic, Tensor softmax) {
    int columns = (int) softmax.shape()[1];
    return IntStream.range(0, softmax.size())
        .allMatch(i -> {
          double sum = 0;
          for (int k = i - i % columns; k < i - i % columns + columns; k++) {
            sum += odds(logistic.getDouble(k));
          }
          return Math.abs(softmax.getDouble(i) - odds(logistic.getDouble(i)) / sum) < near(e);
        });
  }

  /** The exponential of the score of which this is the logistic function. */
  private static double odds(double logistic) {
    return logistic / (1 - logistic);
  }

  /** Whether a row has NaN where a node asks whether it is unequal to something. */
  private static boolean isUnequalToMissing(Evidence e, int row) {
    List<Long> features = e.numbers("nodes_featureids");
    List<Long> tracks = e.numbers("nodes_missing_value_tracks_true");
    int columns = (int) e.in(0).shape()[1];
    return IntStream.range(0, features.size())
        .filter(node -> isUnequal(e, node) && (tracks.isEmpty() || tracks.get(node) == 0))
        .anyMatch(
            node -> Double.isNaN(e.in(0).getDouble(row * columns + features.get(node).intValue())));
  }

  private static boolean isUnequal(Evidence e, int node) {
    return switch (e.node().attributes().get("nodes_modes")) {
      case Attribute.StringsAttr(List<String> modes) -> modes.get(node).equals("BRANCH_NEQ");
      case null, default -> mode(e, node) == UNEQUAL;
    };
  }

  /** Number of a node's comparison in TreeEnsemble-5; -1 elsewhere. */
  private static long mode(Evidence e, int node) {
    return e.node().attributes().get("nodes_modes") instanceof Attribute.TensorAttr(Constant modes)
        ? modes.load().getLong(node)
        : -1;
  }
}
