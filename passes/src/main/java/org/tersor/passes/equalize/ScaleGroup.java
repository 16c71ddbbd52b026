package org.tersor.passes.equalize;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;

/**
 * A value whose channels may be divided by any positive numbers: what makes it takes the divisors,
 * and all that reads it are layers, whose rows take the numbers.
 *
 * @param value what the layers read
 * @param maker an RMS norm whose gains are divided, or a layer whose result is one factor of the
 *     value
 * @param readers all readers of the value
 */
public record ScaleGroup(Value value, Node maker, List<Node> readers) {

  /** Whether the maker is a norm; else it is a layer before a product. */
  public boolean ofNorm() {
    return !maker.op().is("MatMul") && !maker.op().is("Gemm");
  }

  /** All groups, in the order of the graph; why layers are in none goes to the report. */
  public static List<ScaleGroup> find(Graph graph, Consumer<String> report) {
    List<ScaleGroup> groups = new ArrayList<>();
    List<Value> seen = new ArrayList<>();
    for (Node node : graph.nodes()) {
      if (!WeightEdits.isLinear(graph, node) || seen.contains(node.input(0))) {
        continue;
      }
      Value value = node.input(0);
      seen.add(value);
      List<Node> readers = graph.consumers(value);
      boolean layersOnly =
          !graph.isOutput(value)
              && readers.stream()
                  .allMatch(r -> WeightEdits.isLinear(graph, r) && r.input(0).equals(value));
      Optional<Node> maker = layersOnly ? maker(graph, value) : Optional.empty();
      if (maker.isPresent()) {
        groups.add(new ScaleGroup(value, maker.get(), readers));
      } else {
        report.accept(
            "what "
                + node.label()
                + " reads cannot be scaled: "
                + (layersOnly
                    ? "neither a norm nor a product with a layer's result makes it"
                    : "others read it too"));
      }
    }
    return groups;
  }

  private static Optional<Node> maker(Graph graph, Value value) {
    Optional<Node> producer = graph.producer(value);
    if (producer.isEmpty()) {
      return Optional.empty();
    }
    if (ResidualStream.isNorm(graph, producer.get())) {
      return producer;
    }
    if (!producer.get().op().is("Mul")) {
      return Optional.empty();
    }
    for (Value factor : producer.get().inputs()) {
      Optional<Node> layer =
          graph
              .producer(factor)
              .filter(n -> WeightEdits.isLinear(graph, n) && !n.input(2).isPresent())
              .filter(n -> graph.consumers(factor).size() == 1 && !graph.isOutput(factor));
      if (layer.isPresent()) {
        return layer;
      }
    }
    return Optional.empty();
  }

  /** Channels of the value. */
  int width(WeightEdits edits) {
    return edits.matrix(readers.getFirst()).in();
  }

  /** Divides channel j of the value by {@code scales[j]}; the graph's function stays. */
  void scale(WeightEdits edits, double[] scales) {
    for (int j = 0; j < scales.length; j++) {
      if (ofNorm()) {
        edits.vector(maker, 1).scaleOut(j, 1 / scales[j]);
      } else {
        edits.matrix(maker).scaleOut(j, 1 / scales[j]);
      }
      for (Node reader : readers) {
        edits.matrix(reader).scaleIn(j, scales[j]);
      }
    }
  }
}
