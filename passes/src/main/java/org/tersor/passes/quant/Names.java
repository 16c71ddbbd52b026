package org.tersor.passes.quant;

import java.util.HashMap;
import java.util.Map;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;

/**
 * Names that plans use: the file's where it is given once, else with the id, which is the same for
 * the same file.
 */
final class Names {
  private final Map<String, Integer> values = new HashMap<>();
  private final Map<String, Integer> nodes = new HashMap<>();

  Names(Graph graph) {
    graph.inputs().forEach(input -> values.merge(input.name(), 1, Integer::sum));
    for (Node node : graph.nodes()) {
      nodes.merge(node.name(), 1, Integer::sum);
      node.outputs().forEach(output -> values.merge(output.name(), 1, Integer::sum));
    }
  }

  String of(Value value) {
    return value.name().isEmpty() || values.getOrDefault(value.name(), 0) != 1
        ? value.name() + "%" + value.id()
        : value.name();
  }

  String of(Node node) {
    return node.name().isEmpty() || nodes.getOrDefault(node.name(), 0) != 1
        ? node.op().type() + "%" + node.id()
        : node.name();
  }
}
