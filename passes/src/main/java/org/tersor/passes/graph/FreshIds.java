package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;

/**
 * Copies a body so that what it defines has ids that nothing else in the model has. Types of inputs
 * are kept; others may have symbols named after old ids, and are left to inference.
 */
public final class FreshIds {
  private final Map<Value, Value> renamed = new HashMap<>();
  private final IntPredicate kept;
  private int nextId;

  /**
   * @param nextId ids from here on are free
   * @param kept ids that stay
   */
  public FreshIds(int nextId, IntPredicate kept) {
    this.nextId = nextId;
    this.kept = kept;
  }

  /** The first id that is still free. */
  public int nextId() {
    return nextId;
  }

  /** The copy. */
  public Graph of(Graph body) {
    Map<Value, ValueType> types = new LinkedHashMap<>();
    body.inputs().forEach(input -> types.put(define(input), body.type(input)));
    Map<Value, Constant> constants = new LinkedHashMap<>();
    body.constants().forEach((value, constant) -> constants.put(define(value), constant));
    List<Node> nodes = new ArrayList<>();
    for (Node node : body.nodes()) {
      List<Value> inputs = node.inputs().stream().map(this::use).toList();
      Map<String, Attribute> attributes = new LinkedHashMap<>();
      node.attributes().forEach((name, attribute) -> attributes.put(name, of(attribute)));
      List<Value> outputs =
          node.outputs().stream().map(v -> v.isPresent() ? define(v) : v).toList();
      int id = kept.test(node.id()) ? node.id() : nextId++;
      nodes.add(new Node(id, node.name(), node.op(), inputs, outputs, attributes));
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

  private Attribute of(Attribute attribute) {
    return switch (attribute) {
      case Attribute.GraphAttr g -> new Attribute.GraphAttr(of(g.value()));
      case Attribute.GraphsAttr g ->
          new Attribute.GraphsAttr(g.values().stream().map(this::of).toList());
      default -> attribute;
    };
  }

  private Value define(Value value) {
    Value own = kept.test(value.id()) ? value : new Value(nextId++, value.name());
    renamed.put(value, own);
    return own;
  }

  private Value use(Value value) {
    return renamed.getOrDefault(value, value);
  }
}
