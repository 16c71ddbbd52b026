package org.tersor.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.cli.data.Samples;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** How alike two models answer: the cosine between their first outputs, sample by sample. */
record Similarity(List<Double> cosines) {

  static Similarity measure(
      Executable model, Executable reference, Samples.Data samples, int n, Runnable step) {
    List<Double> cosines = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      Map<String, Tensor> inputs = samples.read(i, 1);
      cosines.add(cosine(first(model, inputs), first(reference, inputs)));
      step.run();
    }
    return new Similarity(List.copyOf(cosines));
  }

  double least() {
    return cosines.stream().min(Comparator.naturalOrder()).orElse(1.0);
  }

  double mean() {
    return cosines.stream().mapToDouble(c -> c).average().orElse(1);
  }

  Map<String, Object> json(String backend) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("metric", "cosine");
    json.put("value", least());
    json.put("mean", mean());
    json.put("n", cosines.size());
    json.put("perSample", cosines);
    json.put("backend", backend);
    return json;
  }

  /** A model that ends before the Softmax at its end: with what classes scored. */
  static Graph beforeSoftmax(Graph graph) {
    Value output = graph.outputs().getFirst();
    Optional<Node> last = graph.producer(output);
    while (last.isPresent() && keepsScores(last.get())) {
      last = graph.producer(last.get().input(0));
    }
    Node softmax =
        last.filter(n -> n.op().is("Softmax") || n.op().is("LogSoftmax"))
            .orElseThrow(() ->
                new TersorException(
                    "TSR-0906", "output '" + output.name() + "' does not come from a Softmax"));
    List<Value> outputs = new ArrayList<>(graph.outputs());
    outputs.set(0, new Value(softmax.input(0).id(), output.name()));
    return new Graph(
        graph.name(),
        graph.inputs(),
        outputs,
        graph.nodes(),
        graph.constants(),
        graph.types(),
        graph.opsets(),
        graph.metadata());
  }

  private static boolean keepsScores(Node node) {
    return switch (node.op().type()) {
      case "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast" -> true;
      default -> false;
    };
  }

  private static Tensor first(Executable executable, Map<String, Tensor> inputs) {
    return executable.run(inputs).values().iterator().next();
  }

  static double cosine(Tensor a, Tensor b) {
    if (a.size() != b.size()) {
      throw new TersorException("TSR-0906", "the models' first outputs differ: " + a + ", " + b);
    }
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (int i = 0; i < a.size(); i++) {
      ab += a.getDouble(i) * b.getDouble(i);
      aa += a.getDouble(i) * a.getDouble(i);
      bb += b.getDouble(i) * b.getDouble(i);
    }
    return aa == 0 && bb == 0 ? 1 : ab / Math.sqrt(aa * bb);
  }
}
