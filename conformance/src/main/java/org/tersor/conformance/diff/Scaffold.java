package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** A graph with nodes {@code from} to {@code to} replaced, under construction. */
final class Scaffold {
  /** Ids of a body's values begin so much further on. */
  private static final int BODY_IDS = 100_000;

  private final Graph plain;
  private final int from;
  private final int to;
  private final GraphBuilder builder;
  private final Map<Value, Value> map = new HashMap<>();
  private final Map<String, Tensor> extra = new LinkedHashMap<>();
  private final Map<String, Value> more = new LinkedHashMap<>();
  private int bodies;

  /** The nodes before the part are there already. */
  Scaffold(Graph plain, int from, int to) {
    this.plain = plain;
    this.from = from;
    this.to = to;
    this.builder = new GraphBuilder(plain.opsets(), plain.maxId() + 1);
    for (Value input : plain.inputs()) {
      map.put(input, builder.input(input.name(), plain.type(input)));
    }
    plain
        .constants()
        .forEach((value, constant) -> map.put(value, builder.constant(value.name(), constant)));
    copy(builder, plain.nodes().subList(0, from), map);
  }

  int opset() {
    return plain.opset("");
  }

  GraphBuilder builder() {
    return builder;
  }

  /** What stands for a value of the plain graph here. */
  Value at(Value value) {
    return map.getOrDefault(value, value);
  }

  void replace(Value value, Value by) {
    map.put(value, by);
  }

  Map<Value, Value> map() {
    return map;
  }

  /** Values that the part reads but does not make. */
  static List<Value> reads(Graph graph, int from, int to) {
    Set<Value> reads = new LinkedHashSet<>();
    Set<Value> made = new LinkedHashSet<>();
    for (Node node : graph.nodes().subList(from, to)) {
      node.inputs().stream().filter(v -> v.isPresent() && !made.contains(v)).forEach(reads::add);
      made.addAll(node.outputs());
    }
    return List.copyOf(reads);
  }

  /** Values that the part makes and others need. */
  static List<Value> makes(Graph graph, int from, int to) {
    List<Node> part = graph.nodes().subList(from, to);
    return part.stream()
        .flatMap(n -> n.outputs().stream())
        .filter(
            v -> graph.isOutput(v) || graph.consumers(v).stream().anyMatch(n -> !part.contains(n)))
        .toList();
  }

  /** Adds the part to a graph; {@code into} maps what it reads, and afterwards what it makes. */
  void part(GraphBuilder target, Map<Value, Value> into) {
    copy(target, plain.nodes().subList(from, to), into);
  }

  private static void copy(GraphBuilder target, List<Node> nodes, Map<Value, Value> into) {
    for (Node node : nodes) {
      List<Value> operands =
          node.inputs().stream().map(v -> v.isPresent() ? into.getOrDefault(v, v) : v).toList();
      List<Value> results = new ArrayList<>();
      for (Value output : node.outputs()) {
        Value own = target.value("x" + target.nextId(), ValueType.UNKNOWN);
        results.add(own);
        into.put(output, own);
      }
      target.addNode(node.name(), node.op(), node.attributes(), operands, results);
    }
  }

  GraphBuilder body() {
    bodies++;
    return new GraphBuilder(plain.opsets(), bodies * BODY_IDS);
  }

  /** A new input of the whole. */
  Value input(String name, Tensor tensor) {
    extra.put(name, tensor);
    return builder.input(name, TensorType.of(tensor.dtype(), tensor.shape()));
  }

  Value constant(GraphBuilder target, Tensor tensor) {
    return target.constant("k" + target.nextId(), Constant.of(tensor));
  }

  /** A node with one result. */
  Value node(GraphBuilder target, String type, Map<String, Attribute> attributes, Value... in) {
    Value result = target.value("y" + target.nextId(), ValueType.UNKNOWN);
    target.addNode("s" + target.nextId(), "", type, attributes, List.of(in), List.of(result));
    return result;
  }

  /** With a new dimension of size 1. */
  Value unsqueeze(GraphBuilder target, Value value, int axis) {
    return opset() < 13
        ? node(
            target,
            "Unsqueeze",
            Map.of("axes", new Attribute.IntsAttr(List.of((long) axis))),
            value)
        : node(
            target,
            "Unsqueeze",
            Map.of(),
            value,
            constant(target, Tensor.of(new long[] {axis}, 1)));
  }

  /** One position of an axis, which goes away. */
  Value pick(GraphBuilder target, Value value, int axis, long position) {
    return node(
        target,
        "Gather",
        Map.of("axis", new Attribute.IntAttr(axis)),
        value,
        constant(target, Tensor.of(new long[] {position})));
  }

  /** Values along a new axis. */
  Value stack(GraphBuilder target, List<Value> values, int axis) {
    Value[] wide = values.stream().map(v -> unsqueeze(target, v, axis)).toArray(Value[]::new);
    return node(target, "Concat", Map.of("axis", new Attribute.IntAttr(axis)), wide);
  }

  /** One more output. */
  void output(String name, Value value) {
    more.put(name, value);
  }

  /**
   * The whole, with the nodes after the part and outputs of the plain graph's names.
   *
   * @param declared what the outputs are, for their declaration; may be empty
   */
  Graph build(List<Tensor> declared) {
    copy(builder, plain.nodes().subList(to, plain.nodes().size()), map);
    Map<String, Value> ends = new LinkedHashMap<>();
    plain.outputs().forEach(output -> ends.put(output.name(), at(output)));
    ends.putAll(more);
    int index = 0;
    for (Map.Entry<String, Value> end : ends.entrySet()) {
      ValueType type =
          index < declared.size()
              ? TensorType.of(declared.get(index).dtype(), declared.get(index).shape())
              : ValueType.UNKNOWN;
      index++;
      Value named = builder.value(end.getKey(), type);
      builder.addNode(
          "o" + builder.nextId(),
          "",
          "Identity",
          Map.of(),
          List.of(end.getValue()),
          List.of(named));
      builder.output(named);
    }
    return builder.build("difftest", Map.of());
  }

  /** Inputs of the plain graph and the new ones. */
  Map<String, Tensor> inputs(Map<String, Tensor> of) {
    Map<String, Tensor> all = new LinkedHashMap<>(of);
    all.putAll(extra);
    return all;
  }

  static Tensor flag(boolean value) {
    Tensor tensor = Tensor.zeros(DType.BOOL);
    tensor.setLong(0, value ? 1 : 0);
    return tensor;
  }
}
