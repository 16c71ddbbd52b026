package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.WeightLayout;

/**
 * Layers that take one number format together: those that read the same value (query, key and
 * value; gate and up), and those whose results meet in an Add or a Concat, where their grids must
 * agree for integers to go on.
 */
final class Ties {
  /**
   * Tied layers.
   *
   * @param why what ties them; empty for a layer alone
   */
  record Group(List<Node> layers, String why) {}

  private final Map<Node, Node> parents = new HashMap<>();
  private final Map<Node, String> reasons = new HashMap<>();

  private Ties() {}

  /** Groups in the order of their first layers. */
  static List<Group> of(Graph graph, Map<Node, WeightLayout> weights) {
    Ties ties = new Ties();
    Map<Value, Node> readers = new HashMap<>();
    Map<Value, Node> results = new HashMap<>();
    Map<Value, Node> constants = new HashMap<>();
    weights.keySet().forEach(layer -> ties.parents.put(layer, layer));
    for (Map.Entry<Node, WeightLayout> weight : weights.entrySet()) {
      Node layer = weight.getKey();
      results.put(Selection.tail(graph, layer), layer);
      Node same = constants.putIfAbsent(layer.input(weight.getValue().input()), layer);
      if (same != null) {
        ties.join(same, layer, "they share a weight");
      }
      Node other = readers.putIfAbsent(layer.input(0), layer);
      if (other != null) {
        ties.join(other, layer, "they read one value");
      }
    }
    for (Node node : graph.nodes()) {
      if (node.op().is("Add") || node.op().is("Concat")) {
        Optional<Node> first = Optional.empty();
        for (Value input : node.inputs()) {
          Optional<Node> layer = Optional.ofNullable(results.get(input));
          if (first.isPresent() && layer.isPresent()) {
            ties.join(first.get(), layer.get(), "their results meet in " + node.op().type());
          }
          first = first.or(() -> layer);
        }
      }
    }
    Map<Node, List<Node>> groups = new LinkedHashMap<>();
    for (Node layer : weights.keySet()) {
      groups.computeIfAbsent(ties.root(layer), r -> new ArrayList<>()).add(layer);
    }
    return groups.entrySet().stream()
        .map(e -> new Group(e.getValue(), ties.reasons.getOrDefault(e.getKey(), "")))
        .toList();
  }

  private Node root(Node node) {
    Node at = node;
    while (true) {
      Node parent = parents.getOrDefault(at, at);
      if (parent.equals(at)) {
        return at;
      }
      at = parent;
    }
  }

  private void join(Node a, Node b, String why) {
    Node to = root(a);
    Node from = root(b);
    if (to.equals(from)) {
      return;
    }
    parents.put(from, to);
    String said = reasons.getOrDefault(to, "");
    String more = reasons.getOrDefault(from, "");
    String all = said.isEmpty() ? why : said.contains(why) ? said : said + "; " + why;
    reasons.put(to, more.isEmpty() || all.contains(more) ? all : all + "; " + more);
  }
}
