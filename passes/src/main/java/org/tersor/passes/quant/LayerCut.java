package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;

/** One layer as a model of its own. */
final class LayerCut {
  private LayerCut() {}

  /**
   * What computes a value from others and constants.
   *
   * @param from where the new model begins; each is an input, in this order
   * @param to its output
   */
  static Graph of(Graph graph, String name, List<Value> from, Value to) {
    Set<Value> wanted = new LinkedHashSet<>(List.of(to));
    List<Node> nodes = new ArrayList<>();
    Map<Value, Constant> constants = new LinkedHashMap<>();
    Map<Value, ValueType> types = new LinkedHashMap<>();
    for (Node node : graph.nodes().reversed()) {
      if (node.outputs().stream().anyMatch(v -> wanted.contains(v) && !from.contains(v))) {
        nodes.addFirst(node);
        wanted.addAll(Graph.usedValues(node));
        node.outputs().forEach(v -> types.put(v, graph.type(v)));
      }
    }
    List<Value> inputs = new ArrayList<>(from);
    for (Value value : wanted) {
      Optional<Constant> constant = graph.constant(value);
      types.put(value, graph.type(value));
      if (constant.isPresent()) {
        constants.put(value, constant.get());
      } else if (graph.inputs().contains(value) && !inputs.contains(value)) {
        inputs.add(value);
      }
    }
    inputs.removeIf(v -> !wanted.contains(v));
    List<Value> named = inputs.stream().map(v -> named(v, "x")).toList();
    Value output = named(to, "y");
    return new Graph(
        name, named, List.of(output), nodes, constants, types, graph.opsets(), Map.of());
  }

  /** Ports need names; values are told apart by their ids. */
  private static Value named(Value value, String name) {
    return value.name().isEmpty() ? new Value(value.id(), name) : value;
  }
}
