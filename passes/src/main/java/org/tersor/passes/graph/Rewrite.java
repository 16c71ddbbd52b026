package org.tersor.passes.graph;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.runtime.Tensor;

/**
 * An edit with the questions that passes ask, and without ways to lose the name of a graph output.
 */
final class Rewrite {
  private final Graph graph;
  private final GraphEdit edit;
  private final Set<Value> claimed = new HashSet<>();
  private final Map<Value, Value> targets = new HashMap<>();
  private boolean changed;

  Rewrite(Graph graph) {
    this.graph = graph;
    this.edit = new GraphEdit(graph);
  }

  Graph graph() {
    return graph;
  }

  GraphEdit edit() {
    changed = true;
    return edit;
  }

  boolean isTouched(Node node) {
    return edit.isTouched(node);
  }

  /** The graph after the edit, or the same object if nothing was edited. */
  Graph apply() {
    return changed ? edit.apply() : graph;
  }

  /**
   * Redirects uses of {@code from}; false, and nothing done, if a graph output would lose its name
   * by it.
   */
  boolean redirect(Value from, Value to) {
    // What a value is redirected to may have been redirected itself.
    Value target = to;
    while (targets.containsKey(target)) {
      target = targets.getOrDefault(target, target);
    }
    if (graph.isOutput(from) || claimed.contains(from)) {
      if (graph.isOutput(target)
          || graph.inputs().contains(target)
          || graph.constant(target).isPresent()
          || !claimed.add(target)) {
        return false;
      }
    }
    targets.put(from, target);
    edit().redirect(from, to);
    return true;
  }

  /** Removes a one-output node whose output is another value; false if that is not possible. */
  boolean bypass(Node node, Value replacement) {
    if (isTouched(node) || !redirect(node.output(0), replacement)) {
      return false;
    }
    edit().remove(node);
    return true;
  }

  /** The elements of a constant. */
  Optional<Tensor> constant(Value value) {
    return graph.constant(value).map(Constant::load);
  }

  /**
   * The only node that uses a value, if there is one, it uses it once, and it is no graph output.
   */
  Optional<Node> onlyUser(Value value) {
    if (graph.isOutput(value)) {
      return Optional.empty();
    }
    List<Node> users = graph.consumers(value);
    boolean once =
        users.size() == 1
            && Graph.usedValues(users.getFirst()).stream().filter(value::equals).count() == 1;
    return once ? Optional.of(users.getFirst()) : Optional.empty();
  }

  Optional<ValueType.TensorType> tensorType(Value value) {
    return graph.type(value) instanceof ValueType.TensorType type
        ? Optional.of(type)
        : Optional.empty();
  }
}
