package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;

/**
 * Makes a body a graph of its own: what it captures becomes inputs after its own, and all that it
 * defines gets ids that nothing else in the model has, since symbols are named after ids.
 */
final class CloseBody {
  private final Map<Value, Value> renamed = new HashMap<>();
  private final Graph graph;
  private int nextId;

  /**
   * @param captured types of captured values, in order
   * @param constants captured values that are constants
   * @param nextId ids from here on are free
   */
  CloseBody(
      Graph body, Map<Value, ValueType> captured, Map<Value, Constant> constants, int nextId) {
    this.nextId = nextId;
    Graph fresh = fresh(body);
    List<Value> inputs = new ArrayList<>(fresh.inputs());
    inputs.addAll(captured.keySet());
    Map<Value, ValueType> types = new LinkedHashMap<>(fresh.types());
    types.putAll(captured);
    Map<Value, Constant> all = new LinkedHashMap<>(fresh.constants());
    all.putAll(constants);
    this.graph =
        new Graph(
            fresh.name(),
            inputs,
            fresh.outputs(),
            fresh.nodes(),
            all,
            types,
            fresh.opsets(),
            fresh.metadata());
  }

  Graph graph() {
    return graph;
  }

  int nextId() {
    return nextId;
  }

  /** Types of inputs are kept; others have symbols named after old ids and are inferred again. */
  private Graph fresh(Graph body) {
    Map<Value, ValueType> types = new LinkedHashMap<>();
    body.inputs().forEach(input -> types.put(define(input), body.type(input)));
    Map<Value, Constant> constants = new LinkedHashMap<>();
    body.constants().forEach((value, constant) -> constants.put(define(value), constant));
    List<Node> nodes = new ArrayList<>();
    for (Node node : body.nodes()) {
      List<Value> inputs = node.inputs().stream().map(this::use).toList();
      Map<String, Attribute> attributes = new LinkedHashMap<>();
      node.attributes().forEach((name, attribute) -> attributes.put(name, fresh(attribute)));
      List<Value> outputs =
          node.outputs().stream().map(v -> v.isPresent() ? define(v) : v).toList();
      nodes.add(new Node(nextId++, node.name(), node.op(), inputs, outputs, attributes));
    }
    return new Graph(
        body.name(),
        body.inputs().stream().map(this::use).toList(),
        body.outputs().stream().map(this::use).toList(),
        nodes,
        constants,
        types,
        body.opsets(),
        body.metadata());
  }

  private Attribute fresh(Attribute attribute) {
    return switch (attribute) {
      case Attribute.GraphAttr g -> new Attribute.GraphAttr(fresh(g.value()));
      case Attribute.GraphsAttr g ->
          new Attribute.GraphsAttr(g.values().stream().map(this::fresh).toList());
      default -> attribute;
    };
  }

  private Value define(Value value) {
    Value own = new Value(nextId++, value.name());
    renamed.put(value, own);
    return own;
  }

  private Value use(Value value) {
    return renamed.getOrDefault(value, value);
  }
}
