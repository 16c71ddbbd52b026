package org.tersor.conformance;

import static org.tersor.conformance.NodeModel.reals;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.conformance.ort.OrtWorker;

/** Support vector machines of ai.onnx.ml, by evaluation and compiled, against ONNX Runtime. */
class SvmTest {
  private static Optional<Reference> ort = Optional.empty();

  @BeforeAll
  static void start() {
    ort = Optional.of(new OrtWorker());
  }

  @AfterAll
  static void stop() {
    ort.ifPresent(Reference::close);
  }

  private static NodeModel node(String name, String type, String kind) {
    NodeModel node =
        new NodeModel(name + " " + kind, type)
            .in(reals(1, 7, 4))
            .attr("kernel_type", kind)
            .attr("kernel_params", new float[] {.3f, .7f, kind.equals("POLY") ? 2 : 0});
    node.domain = "ai.onnx.ml";
    return node.tolerance(1e-3);
  }

  private static float[] some(long seed, int count) {
    return reals(seed, count).floats();
  }

  private static List<NodeModel> nodes() {
    List<NodeModel> nodes = new ArrayList<>();
    for (String kind : new String[] {"LINEAR", "POLY", "RBF", "SIGMOID"}) {
      for (int oneClass = 0; oneClass < 2; oneClass++) {
        nodes.add(
            node("class" + oneClass, "SVMRegressor", kind)
                .attr("n_supports", 3)
                .attr("one_class", oneClass)
                .attr("coefficients", some(2, 3))
                .attr("rho", new float[] {.25f})
                .attr("support_vectors", some(3, 12)));
      }
      for (int classes = 2; classes < 5; classes++) {
        nodes.add(classifier("scores", kind, classes));
        int pairs = classes * (classes - 1) / 2;
        nodes.add(
            classifier("probabilities", kind, classes)
                .attr("prob_a", some(6, pairs))
                .attr("prob_b", some(7, pairs)));
      }
    }
    for (String transform : new String[] {"SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"}) {
      nodes.add(classifier(transform, "RBF", 2).attr("post_transform", transform));
      nodes.add(classifier(transform, "RBF", 3).attr("post_transform", transform));
    }
    nodes.add(
        node("none", "SVMRegressor", "LINEAR")
            .attr("coefficients", some(2, 4))
            .attr("rho", new float[] {.25f}));
    for (int classes = 2; classes < 4; classes++) {
      nodes.add(
          node("rows" + classes, "SVMClassifier", "LINEAR")
              .out(true)
              .attr("coefficients", some(2, 4 * classes))
              .attr("classlabels_ints", new long[] {5, 3, 9}, classes)
              .attr("rho", new float[] {.25f}));
    }
    return nodes;
  }

  private static NodeModel classifier(String name, String kind, int classes) {
    long[] groups = {2, 1, 3, 2};
    int vectors = 0;
    for (int k = 0; k < classes; k++) {
      vectors += (int) groups[k];
    }
    NodeModel node =
        node(name + classes, "SVMClassifier", kind)
            .out(true)
            .attr("vectors_per_class", groups, classes)
            .attr("coefficients", some(2, (classes - 1) * vectors))
            .attr("support_vectors", some(3, 4 * vectors))
            .attr("rho", some(4, classes * (classes - 1) / 2));
    return classes == 3
        ? node.attr("classlabels_strings", List.of("a", "b", "c"))
        : node.attr("classlabels_ints", new long[] {5, 3, 9, 7}, classes);
  }

  static Stream<Arguments> cases() {
    return Stream.of("interpreter", "jvm")
        .flatMap(backend ->
            nodes().stream().map(node -> Arguments.of(backend, node.type, node.name, node)));
  }

  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("cases")
  void agrees(String backend, String type, String name, Object given, @TempDir Path folder) {
    ((NodeModel) given).agrees(ort.orElseThrow(), backend, folder);
  }
}
