package org.tersor.ir.graph;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A dataflow graph in SSA form, immutable. Nodes are topologically sorted. Bodies of If, Loop and
 * Scan are graphs in attributes and refer to values of the enclosing graph directly.
 */
public final class Graph {
  private final String name;
  private final List<Value> inputs;
  private final List<Value> outputs;
  private final List<Node> nodes;
  private final Map<Value, Constant> constants;
  private final Map<Value, ValueType> types;
  private final Map<String, Integer> opsets;
  private final Map<String, String> metadata;
  private final Map<Value, Node> producers = new LinkedHashMap<>();
  private final Map<Value, List<Node>> consumers = new LinkedHashMap<>();

  /**
   * @param types type of every value of this graph, {@link ValueType#UNKNOWN} where not inferred
   * @param opsets imported opset version by domain
   * @param metadata what the file says about itself (producer, doc strings, metadata_props); kept
   *     for export
   */
  public Graph(
      String name,
      List<Value> inputs,
      List<Value> outputs,
      List<Node> nodes,
      Map<Value, Constant> constants,
      Map<Value, ValueType> types,
      Map<String, Integer> opsets,
      Map<String, String> metadata) {
    this.name = name;
    this.inputs = List.copyOf(inputs);
    this.outputs = List.copyOf(outputs);
    this.nodes = List.copyOf(nodes);
    this.constants = Collections.unmodifiableMap(new LinkedHashMap<>(constants));
    this.types = Collections.unmodifiableMap(new LinkedHashMap<>(types));
    this.opsets = Collections.unmodifiableMap(new LinkedHashMap<>(opsets));
    this.metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
    for (Node node : nodes) {
      for (Value output : node.outputs()) {
        producers.put(output, node);
      }
      for (Value input : usedValues(node)) {
        List<Node> users = consumers.computeIfAbsent(input, v -> new ArrayList<>());
        if (users.isEmpty() || !users.getLast().equals(node)) {
          users.add(node);
        }
      }
    }
  }

  /** Inputs of a node and whatever its bodies capture from outside. */
  public static List<Value> usedValues(Node node) {
    List<Value> used = new ArrayList<>();
    for (Value input : node.inputs()) {
      if (input.isPresent()) {
        used.add(input);
      }
    }
    for (Graph body : bodies(node)) {
      used.addAll(body.captured());
    }
    return used;
  }

  /** Graphs in the attributes of a node. */
  public static List<Graph> bodies(Node node) {
    List<Graph> bodies = new ArrayList<>();
    for (Attribute attribute : node.attributes().values()) {
      if (attribute instanceof Attribute.GraphAttr graph) {
        bodies.add(graph.value());
      } else if (attribute instanceof Attribute.GraphsAttr graphs) {
        bodies.addAll(graphs.values());
      }
    }
    return bodies;
  }

  /** Values used here (or in bodies here) but defined outside. */
  public List<Value> captured() {
    java.util.LinkedHashSet<Value> outside = new java.util.LinkedHashSet<>();
    for (Node node : nodes) {
      outside.addAll(usedValues(node));
    }
    outside.addAll(outputs);
    outside.removeAll(inputs);
    outside.removeAll(constants.keySet());
    outside.removeAll(producers.keySet());
    return List.copyOf(outside);
  }

  public String name() {
    return name;
  }

  public List<Value> inputs() {
    return inputs;
  }

  public List<Value> outputs() {
    return outputs;
  }

  public List<Node> nodes() {
    return nodes;
  }

  public Map<Value, Constant> constants() {
    return constants;
  }

  public Optional<Constant> constant(Value value) {
    return Optional.ofNullable(constants.get(value));
  }

  public Map<Value, ValueType> types() {
    return types;
  }

  /** Type of a value of this graph; UNKNOWN if it is not known. */
  public ValueType type(Value value) {
    ValueType type = types.get(value);
    if (type != null) {
      return type;
    }
    Constant constant = constants.get(value);
    return constant != null ? constant.type() : ValueType.UNKNOWN;
  }

  public Map<String, Integer> opsets() {
    return opsets;
  }

  /** Opset version of a domain; 1 if it is not imported. */
  public int opset(String domain) {
    return opsets.getOrDefault(domain, 1);
  }

  public Map<String, String> metadata() {
    return metadata;
  }

  /** The node that makes a value, if it is not an input, a constant or captured. */
  public Optional<Node> producer(Value value) {
    return Optional.ofNullable(producers.get(value));
  }

  /** Nodes that use a value (directly or inside a body), in order, each once. */
  public List<Node> consumers(Value value) {
    return Collections.unmodifiableList(consumers.getOrDefault(value, List.of()));
  }

  public boolean isOutput(Value value) {
    return outputs.contains(value);
  }

  /** The largest id of any value or node, bodies included; -1 if there is none. */
  public int maxId() {
    int max = -1;
    for (Value value : inputs) {
      max = Math.max(max, value.id());
    }
    for (Value value : constants.keySet()) {
      max = Math.max(max, value.id());
    }
    for (Value value : types.keySet()) {
      max = Math.max(max, value.id());
    }
    for (Node node : nodes) {
      max = Math.max(max, node.id());
      for (Value output : node.outputs()) {
        max = Math.max(max, output.id());
      }
      for (Graph body : bodies(node)) {
        max = Math.max(max, body.maxId());
      }
    }
    return max;
  }

  /** The same graph where values, inputs too, are ones of the graph around it instead. */
  public Graph withCaptured(Map<Value, Value> instead) {
    if (instead.isEmpty()) {
      return this;
    }
    return new Graph(
        name,
        inputs.stream().filter(input -> !instead.containsKey(input)).toList(),
        outputs.stream().map(output -> instead.getOrDefault(output, output)).toList(),
        nodes.stream().map(node -> captured(node, instead)).toList(),
        constants,
        types,
        opsets,
        metadata);
  }

  private static Node captured(Node node, Map<Value, Value> instead) {
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    node.attributes()
        .forEach((key, attribute) ->
            attributes.put(
                key,
                switch (attribute) {
                  case Attribute.GraphAttr g ->
                      new Attribute.GraphAttr(g.value().withCaptured(instead));
                  case Attribute.GraphsAttr g ->
                      new Attribute.GraphsAttr(
                          g.values().stream().map(b -> b.withCaptured(instead)).toList());
                  default -> attribute;
                }));
    return node.withAttributes(attributes)
        .withInputs(
            node.inputs().stream().map(input -> instead.getOrDefault(input, input)).toList());
  }

  /** The same graph with other types. */
  public Graph withTypes(Map<Value, ValueType> newTypes) {
    return new Graph(name, inputs, outputs, nodes, constants, newTypes, opsets, metadata);
  }

  /** The same graph with other metadata. */
  public Graph withMetadata(Map<String, String> newMetadata) {
    return new Graph(name, inputs, outputs, nodes, constants, types, opsets, newMetadata);
  }
}
