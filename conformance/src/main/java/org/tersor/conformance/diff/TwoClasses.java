package org.tersor.conformance.diff;

import java.util.HashSet;
import java.util.List;
import org.tersor.ir.graph.Attribute;

/**
 * What ONNX Runtime makes of the votes of a TreeEnsembleClassifier with two classes: a rule that
 * took any difference there would hide faults of ours.
 */
final class TwoClasses {
  private static final double NEAR = 1e-5;

  private final Evidence e;
  private final LeafVotes votes;

  /** Whether all votes are for one class. */
  private final boolean isBinary;

  private final boolean isPositive;
  private final List<Float> base;

  private TwoClasses(Evidence e) {
    this.e = e;
    this.votes = LeafVotes.of(e);
    this.isBinary = new HashSet<>(e.numbers("class_ids")).size() == 1;
    this.isPositive = floats(e, "class_weights").stream().allMatch(weight -> weight >= 0);
    this.base = floats(e, "base_values");
  }

  /** Whether a node has two classes, and each result that differs is what ONNX Runtime makes. */
  static boolean explains(Evidence e) {
    if (LeafVotes.labels(e) != 2
        || e.has("class_weights_as_tensor")
        || e.has("base_values_as_tensor")) {
      return false;
    }
    TwoClasses two = new TwoClasses(e);
    return e.each(i -> e.output() == 0 ? two.isTheirLabel(i) : two.isTheirScore(i / 2, i % 2));
  }

  private static List<Float> floats(Evidence e, String attribute) {
    return e.node().attributes().get(attribute) instanceof Attribute.FloatsAttr(List<Float> values)
        ? values
        : List.of();
  }

  /** The pair of scores; the first is that of both if none votes for the second. */
  private double[] scores(int row) {
    double first = votes.sum(row, 0);
    double second = votes.sum(row, 1);
    if (base.isEmpty()) {
      return new double[] {first, second};
    }
    return votes.hasVoters(row, 1)
        ? new double[] {-(base.get(1) + first), base.get(1) + first}
        : new double[] {first + base.get(0), second + base.get(1)};
  }

  private boolean isSecond(int row) {
    double score = votes.hasVoters(row, 1) ? scores(row)[1] : scores(row)[0];
    return score > (isBinary && isPositive ? 0.5 : 0);
  }

  private boolean isTheirLabel(int row) {
    int index = isSecond(row) ? 1 : 0;
    return e.node().attributes().get("classlabels_strings")
            instanceof Attribute.StringsAttr(List<String> labels)
        ? labels.get(index).equals(e.theirs().strings()[row])
        : e.numbers("classlabels_int64s").get(index) == e.theirs().getLong(row);
  }

  private boolean isTheirScore(int row, int column) {
    double expected = transformed(row)[column];
    double theirs = e.theirs().getDouble(2 * row + column);
    return (Double.isNaN(expected) && Double.isNaN(theirs))
        || Math.abs(expected - theirs) <= NEAR * Math.max(1, Math.abs(expected));
  }

  private double[] transformed(int row) {
    double[] pair = scores(row);
    boolean isOne = base.isEmpty() && !votes.hasVoters(row, 1);
    String transform = e.word("post_transform", "NONE");
    if (isOne) {
      double only = pair[0];
      if (isBinary && isPositive) {
        return new double[] {1 - only, only};
      }
      return transform.equals("LOGISTIC")
          ? new double[] {logistic(-only), logistic(only)}
          : new double[] {-only, only};
    }
    return switch (transform) {
      case "LOGISTIC" -> new double[] {logistic(pair[0]), logistic(pair[1])};
      case "SOFTMAX" -> softmax(pair);
      case "SOFTMAX_ZERO" ->
          pair[0] != 0 && pair[1] != 0
              ? softmax(pair)
              : new double[] {alone(pair[0], pair), alone(pair[1], pair)};
      default ->
          // What no leaf votes for is written as 0, whatever its base value made of it.
          new double[] {
            votes.hasVoters(row, 0) ? pair[0] : 0, votes.hasVoters(row, 1) ? pair[1] : 0
          };
    };
  }

  /** Softmax of one score; of none 0 / 0. */
  private static double alone(double score, double[] pair) {
    return pair[0] == 0 && pair[1] == 0 ? Double.NaN : score == 0 ? 0 : 1;
  }

  private static double logistic(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  private static double[] softmax(double[] pair) {
    double second = logistic(pair[1] - pair[0]);
    return new double[] {1 - second, second};
  }
}
