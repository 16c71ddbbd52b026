package org.tersor.ir.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Copies nodes into a builder under new ids, with some values replaced: bodies inlined where they
 * are used, parts of a graph computed again on other values. Values that nothing replaces stay the
 * ones of the surrounding graph. Types of copies are left to inference.
 */
public final class GraphCopy {
  private final GraphBuilder builder;
  private final Map<Value, Value> replaced = new HashMap<>();

  public GraphCopy(GraphBuilder builder) {
    this.builder = builder;
  }

  /** Copies a whole body; its inputs are {@code arguments}. Returns its outputs. */
  public static List<Value> inline(GraphBuilder builder, Graph body, List<Value> arguments) {
    if (arguments.size() != body.inputs().size()) {
      throw new IllegalArgumentException(
          arguments.size() + " arguments for " + body.inputs().size() + " inputs");
    }
    GraphCopy copy = new GraphCopy(builder);
    for (int i = 0; i < arguments.size(); i++) {
      copy.replace(body.inputs().get(i), arguments.get(i));
    }
    body.constants()
        .forEach(
            (value, constant) -> copy.replace(value, builder.constant(value.name(), constant)));
    body.nodes().forEach(copy::node);
    return body.outputs().stream().map(copy::of).toList();
  }

  /** From now on copies use {@code by} in place of {@code value}. */
  public void replace(Value value, Value by) {
    replaced.put(value, by);
  }

  /** What copies use in place of a value: itself unless it is replaced. */
  public Value of(Value value) {
    return replaced.getOrDefault(value, value);
  }

  /** Adds a copy of a node; its outputs are replaced by new values. */
  public Node node(Node node) {
    List<Value> inputs = node.inputs().stream().map(this::of).toList();
    return builder.addNode(node.name(), node.op(), attributes(node), inputs, outputs(node));
  }

  private List<Value> outputs(Node node) {
    List<Value> outputs = new ArrayList<>();
    for (Value output : node.outputs()) {
      if (output.isPresent()) {
        replace(output, builder.value(output.name(), ValueType.UNKNOWN));
      }
      outputs.add(of(output));
    }
    return outputs;
  }

  private Map<String, Attribute> attributes(Node node) {
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    node.attributes().forEach((name, attribute) -> attributes.put(name, copy(attribute)));
    return attributes;
  }

  private Attribute copy(Attribute attribute) {
    return switch (attribute) {
      case Attribute.GraphAttr a -> new Attribute.GraphAttr(body(a.value()));
      case Attribute.GraphsAttr a ->
          new Attribute.GraphsAttr(a.values().stream().map(this::body).toList());
      case Attribute.IntAttr a -> a;
      case Attribute.FloatAttr a -> a;
      case Attribute.StringAttr a -> a;
      case Attribute.TensorAttr a -> a;
      case Attribute.TypeAttr a -> a;
      case Attribute.IntsAttr a -> a;
      case Attribute.FloatsAttr a -> a;
      case Attribute.StringsAttr a -> a;
      case Attribute.TensorsAttr a -> a;
      case Attribute.TypesAttr a -> a;
    };
  }

  /** A body of a copied node: all its values and nodes are new, too. */
  private Graph body(Graph body) {
    Map<Value, ValueType> types = new LinkedHashMap<>();
    Map<Value, Constant> constants = new LinkedHashMap<>();
    List<Value> inputs = new ArrayList<>();
    for (Value input : body.inputs()) {
      inputs.add(fresh(input, body, types));
    }
    body.constants()
        .forEach((value, constant) -> constants.put(fresh(value, body, types), constant));
    List<Node> nodes = new ArrayList<>();
    for (Node node : body.nodes()) {
      List<Value> used = node.inputs().stream().map(this::of).toList();
      Map<String, Attribute> attributes = attributes(node);
      List<Value> outputs = new ArrayList<>();
      for (Value output : node.outputs()) {
        outputs.add(output.isPresent() ? fresh(output, body, types) : output);
      }
      nodes.add(new Node(builder.freshId(), node.name(), node.op(), used, outputs, attributes));
    }
    return new Graph(
        body.name(),
        inputs,
        body.outputs().stream().map(this::of).toList(),
        nodes,
        constants,
        types,
        body.opsets(),
        body.metadata());
  }

  private Value fresh(Value value, Graph body, Map<Value, ValueType> types) {
    Value copy = new Value(builder.freshId(), value.name());
    types.put(copy, body.type(value));
    replace(value, copy);
    return copy;
  }
}
