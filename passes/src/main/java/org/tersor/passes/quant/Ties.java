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

/**
 * Layers that take one number format together: those that read the same value (query, key and
 * value; gate and up), and those whose results meet in an Add or a Concat, where their grids must
 * agree for integers to go on. What is decoded before it is used is tied by a shared weight alone.
 */
final class Ties {
  /**
   * Tied layers.
   *
   * @param why what ties them; empty for a layer alone
   */
  record Group(List<Operand> layers, String why) {}

  private final Map<Operand, Operand> parents = new HashMap<>();
  private final Map<Operand, String> reasons = new HashMap<>();

  private Ties() {}

  /** Groups in the order of their first layers. */
  static List<Group> of(Graph graph, List<Operand> weights) {
    Ties ties = new Ties();
    Map<Value, Operand> readers = new HashMap<>();
    Map<Value, Operand> results = new HashMap<>();
    Map<Value, Operand> constants = new HashMap<>();
    weights.forEach(layer -> ties.parents.put(layer, layer));
    for (Operand layer : weights) {
      Operand same = constants.putIfAbsent(layer.value(), layer);
      if (same != null) {
        ties.join(same, layer, "they share a weight");
      }
      if (!layer.stored()) {
        results.put(Selection.tail(graph, layer.node()), layer);
        Operand other = readers.putIfAbsent(layer.node().input(0), layer);
        if (other != null) {
          ties.join(other, layer, "they read one value");
        }
      }
    }
    for (Node node : graph.nodes()) {
      if (node.op().is("Add") || node.op().is("Concat")) {
        Optional<Operand> first = Optional.empty();
        for (Value input : node.inputs()) {
          Optional<Operand> layer = Optional.ofNullable(results.get(input));
          if (first.isPresent() && layer.isPresent()) {
            ties.join(first.get(), layer.get(), "their results meet in " + node.op().type());
          }
          first = first.or(() -> layer);
        }
      }
    }
    Map<Operand, List<Operand>> groups = new LinkedHashMap<>();
    for (Operand layer : weights) {
      groups.computeIfAbsent(ties.root(layer), r -> new ArrayList<>()).add(layer);
    }
    return groups.entrySet().stream()
        .map(e -> new Group(e.getValue(), ties.reasons.getOrDefault(e.getKey(), "")))
        .toList();
  }

  private Operand root(Operand layer) {
    Operand at = layer;
    while (true) {
      Operand parent = parents.getOrDefault(at, at);
      if (parent.equals(at)) {
        return at;
      }
      at = parent;
    }
  }

  private void join(Operand a, Operand b, String why) {
    Operand to = root(a);
    Operand from = root(b);
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
