package org.tersor.ir.graph;

import java.util.List;
import java.util.Map;

/**
 * An operation. Trailing absent inputs and outputs are trimmed; absent ones in between are {@link
 * Value#NONE}.
 *
 * @param id unique within a model; kept through rewrites that keep the node
 * @param name the file's name of the node, may be empty or any text
 */
public record Node(
    int id,
    String name,
    OpKey op,
    List<Value> inputs,
    List<Value> outputs,
    Map<String, Attribute> attributes) {
  public Node {
    inputs = List.copyOf(inputs);
    outputs = List.copyOf(outputs);
    attributes = java.util.Collections.unmodifiableMap(new java.util.TreeMap<>(attributes));
  }

  /** Input {@code index}, or {@link Value#NONE}. */
  public Value input(int index) {
    return index < inputs.size() ? inputs.get(index) : Value.NONE;
  }

  /** Output {@code index}, or {@link Value#NONE}. */
  public Value output(int index) {
    return index < outputs.size() ? outputs.get(index) : Value.NONE;
  }

  public Node withInputs(List<Value> newInputs) {
    return new Node(id, name, op, newInputs, outputs, attributes);
  }

  public Node withAttributes(Map<String, Attribute> newAttributes) {
    return new Node(id, name, op, inputs, outputs, newAttributes);
  }

  /** For messages: operator and name. */
  public String label() {
    return op.type() + (name.isEmpty() ? " (node " + id + ")" : " '" + name + "'");
  }
}
