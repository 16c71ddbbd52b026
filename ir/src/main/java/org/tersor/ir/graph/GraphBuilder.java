package org.tersor.ir.graph;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.runtime.Tensor;

/** Builds a graph, or the replacement of a node, node by node in topological order. */
public final class GraphBuilder {
  private final List<Value> inputs = new ArrayList<>();
  private final List<Value> outputs = new ArrayList<>();
  private final List<Node> nodes = new ArrayList<>();
  private final Map<Value, Constant> constants = new LinkedHashMap<>();
  private final Map<Value, ValueType> types = new LinkedHashMap<>();
  private final Map<String, Integer> opsets;
  private int nextId;

  /**
   * @param firstId ids from here on are free
   */
  public GraphBuilder(Map<String, Integer> opsets, int firstId) {
    this.opsets = new LinkedHashMap<>(opsets);
    this.nextId = firstId;
  }

  public Value input(String name, ValueType type) {
    Value value = value(name, type);
    inputs.add(value);
    return value;
  }

  public void output(Value value) {
    outputs.add(value);
  }

  /** A value that a node added later will produce. */
  public Value value(String name, ValueType type) {
    Value value = new Value(nextId++, name);
    types.put(value, type);
    return value;
  }

  public Value constant(String name, Constant constant) {
    Value value = value(name, constant.type());
    constants.put(value, constant);
    return value;
  }

  public Value constant(Tensor tensor) {
    return constant("", Constant.of(tensor));
  }

  /** Nodes of a domain that are added from now on are of that version, whatever was imported. */
  public void pin(String domain, int version) {
    opsets.put(domain, version);
  }

  /** A scalar or 1-D INT64 constant. */
  public Value longs(long... values) {
    return constant(Tensor.of(values, values.length));
  }

  public Value scalar(float value) {
    return constant(Tensor.of(new float[] {value}));
  }

  /** Adds a one-output node; its type is filled in by inference. */
  public Value add(
      String domain, String type, Map<String, Attribute> attributes, Value... nodeInputs) {
    Value output = value("", ValueType.UNKNOWN);
    addNode(domain, type, attributes, List.of(nodeInputs), List.of(output));
    return output;
  }

  public Value add(String type, Value... nodeInputs) {
    return add("", type, Map.of(), nodeInputs);
  }

  public Value add(String type, Map<String, Attribute> attributes, Value... nodeInputs) {
    return add("", type, attributes, nodeInputs);
  }

  /** Adds a node with given outputs. */
  public Node addNode(
      String domain,
      String type,
      Map<String, Attribute> attributes,
      List<Value> nodeInputs,
      List<Value> nodeOutputs) {
    return addNode("", domain, type, attributes, nodeInputs, nodeOutputs);
  }

  public Node addNode(
      String name,
      String domain,
      String type,
      Map<String, Attribute> attributes,
      List<Value> nodeInputs,
      List<Value> nodeOutputs) {
    return addNode(
        name,
        new OpKey(domain, type, opsets.getOrDefault(domain, 1)),
        attributes,
        nodeInputs,
        nodeOutputs);
  }

  /** Adds a node of a given version of an operator. */
  public Node addNode(
      String name,
      OpKey op,
      Map<String, Attribute> attributes,
      List<Value> nodeInputs,
      List<Value> nodeOutputs) {
    Node node = new Node(nextId++, name, op, nodeInputs, nodeOutputs, attributes);
    nodes.add(node);
    return node;
  }

  /** An id that nothing else has. */
  public int freshId() {
    return nextId++;
  }

  public List<Node> nodes() {
    return List.copyOf(nodes);
  }

  public Map<Value, Constant> constants() {
    return Collections.unmodifiableMap(new LinkedHashMap<>(constants));
  }

  public Map<Value, ValueType> types() {
    return Collections.unmodifiableMap(new LinkedHashMap<>(types));
  }

  /** First id that is still free. */
  public int nextId() {
    return nextId;
  }

  public Graph build(String name, Map<String, String> metadata) {
    return new Graph(name, inputs, outputs, nodes, constants, types, opsets, metadata);
  }
}
