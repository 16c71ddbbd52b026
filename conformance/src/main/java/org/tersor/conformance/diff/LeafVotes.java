package org.tersor.conformance.diff;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Tensor;

/**
 * What the leaves of a TreeEnsembleClassifier say for each row and class, before base values,
 * labels and transforms: the results of a TreeEnsembleRegressor with the same trees, through which
 * NaN goes as in ONNX Runtime (rule missing-is-unequal).
 *
 * @param classes number of classes
 * @param sums [rows, classes], sums of weights
 * @param voters [rows, classes], how many leaves
 */
record LeafVotes(int classes, Tensor sums, Tensor voters) {
  static LeafVotes of(Evidence e) {
    int classes = labels(e);
    List<Float> ones = java.util.Collections.nCopies(e.numbers("class_ids").size(), 1f);
    Attribute sum = weights(e);
    return new LeafVotes(
        classes,
        regression(e, classes, sum),
        regression(e, classes, new Attribute.FloatsAttr(ones)));
  }

  static int labels(Evidence e) {
    return e.node().attributes().get("classlabels_strings")
            instanceof Attribute.StringsAttr(List<String> labels)
        ? labels.size()
        : e.numbers("classlabels_int64s").size();
  }

  double sum(int row, int target) {
    return sums.getDouble(classes * row + target);
  }

  boolean hasVoters(int row, int target) {
    return voters.getDouble(classes * row + target) > 0;
  }

  private static Attribute weights(Evidence e) {
    Attribute plain = e.node().attributes().get("class_weights");
    Attribute tensor = e.node().attributes().get("class_weights_as_tensor");
    if (tensor != null) {
      return tensor;
    }
    return plain == null ? new Attribute.FloatsAttr(List.of()) : plain;
  }

  private static List<Long> missing(Evidence e) {
    List<Long> tracks = e.numbers("nodes_missing_value_tracks_true");
    List<String> modes =
        e.node().attributes().get("nodes_modes") instanceof Attribute.StringsAttr(List<String> all)
            ? all
            : List.of();
    return IntStream.range(0, modes.size())
        .mapToObj(
            i -> modes.get(i).equals("BRANCH_NEQ") || (i < tracks.size() && tracks.get(i) == 1))
        .map(isTrue -> isTrue ? 1L : 0L)
        .toList();
  }

  private static Tensor regression(Evidence e, int classes, Attribute weights) {
    Map<String, Attribute> attributes = new TreeMap<>();
    e.node()
        .attributes()
        .forEach((name, value) -> {
          if (name.startsWith("nodes_")) {
            attributes.put(name, value);
          } else if (name.startsWith("class_") && !name.startsWith("class_weights")) {
            attributes.put(name.replace("class_", "target_"), value);
          }
        });
    attributes.put(
        weights instanceof Attribute.TensorAttr ? "target_weights_as_tensor" : "target_weights",
        weights);
    attributes.put("nodes_missing_value_tracks_true", new Attribute.IntsAttr(missing(e)));
    attributes.put("n_targets", new Attribute.IntAttr(classes));
    OpKey op = e.node().op();
    Node node =
        new Node(
            e.node().id(),
            "",
            new OpKey(op.domain(), "TreeEnsembleRegressor", op.version()),
            e.node().inputs(),
            List.of(e.node().output(1)),
            attributes);
    return NodeEval.results(
            Compiler.standard().registry().operators(),
            e.small().graph(),
            node,
            List.of(Optional.of(e.in(0))))
        .getFirst();
  }
}
