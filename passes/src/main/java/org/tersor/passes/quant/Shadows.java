package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.passes.graph.DecodeOperator;
import org.tersor.passes.graph.FakeQuant;

/**
 * A float graph in which every quantized layer stands a second time, quantized, on the exact input:
 * what a layer adds to the error is seen apart from what came before it.
 *
 * @param graph both, in one graph
 * @param shadows by the float layer's result (behind what it absorbs, if it is quantized there)
 *     what the quantized layer and its quantizer make of the same input
 * @param layers the quantized layers, by the same key
 */
record Shadows(Graph graph, Map<Value, Value> shadows, Map<Value, Layer> layers) {

  /** A layer's node in the float graph and in the quantized one. */
  record Layer(Node exact, Node coded) {}

  /**
   * @param base the float graph
   * @param quantized what {@link Materialize} made of it: nodes keep their ids, values too
   */
  static Shadows of(Graph base, Graph quantized, OpRegistry operators) {
    Set<Integer> multiplied =
        Operand.of(base, operators).stream()
            .filter(operand -> !operand.stored())
            .map(operand -> operand.node().id())
            .collect(Collectors.toSet());
    Map<Integer, Node> exact =
        base.nodes().stream().collect(Collectors.toMap(Node::id, node -> node));
    Map<Integer, Node> coded =
        quantized.nodes().stream().collect(Collectors.toMap(Node::id, node -> node));
    List<Node> nodes = new ArrayList<>();
    Map<Value, ValueType> types = new LinkedHashMap<>(quantized.types());
    types.putAll(base.types());
    Map<Value, Constant> constants = new LinkedHashMap<>(quantized.constants());
    constants.putAll(base.constants());
    Map<Value, Value> shadows = new LinkedHashMap<>();
    Map<Value, Layer> layers = new LinkedHashMap<>();
    int[] id = {Math.max(base.maxId(), quantized.maxId())};
    for (Node node : quantized.nodes()) {
      Node original = exact.get(node.id());
      if (original == null) {
        nodes.add(node);
        continue;
      }
      nodes.add(original);
      if (!multiplied.contains(node.id())
          || weight(quantized, node).isEmpty()
          || original.outputs().size() != 1) {
        continue;
      }
      Value result = original.output(0);
      Optional<Node> quantizer = quantizer(quantized, Selection.tail(base, original));
      Value end = quantizer.isPresent() ? Selection.tail(base, original) : result;
      Value shadow = new Value(++id[0], "");
      types.put(shadow, base.type(result));
      nodes.add(
          new Node(++id[0], "", node.op(), node.inputs(), List.of(shadow), node.attributes()));
      // What is absorbed behind the layer, then its quantizer.
      for (Value at = result; !at.equals(end); ) {
        Node absorbed = base.consumers(at).getFirst();
        Node told = coded.getOrDefault(absorbed.id(), absorbed); // its bias may have codes
        shadow = copy(nodes, types, told, at, shadow, id);
        at = absorbed.output(0);
      }
      if (quantizer.isPresent()) {
        shadow = copy(nodes, types, quantizer.get(), end, shadow, id);
      }
      shadows.put(end, shadow);
      layers.put(end, new Layer(original, node));
    }
    Graph both =
        new Graph(
            base.name(),
            base.inputs(),
            base.outputs(),
            nodes,
            constants,
            types,
            quantized.opsets(),
            base.metadata());
    return new Shadows(both, shadows, layers);
  }

  /** A copy of a node that reads {@code instead}; its result has the type of the original's. */
  private static Value copy(
      List<Node> nodes,
      Map<Value, ValueType> types,
      Node node,
      Value read,
      Value instead,
      int[] id) {
    Value output = new Value(++id[0], "");
    types.put(output, types.getOrDefault(node.output(0), ValueType.UNKNOWN));
    nodes.add(
        new Node(
            ++id[0],
            "",
            node.op(),
            node.inputs().stream().map(v -> v.equals(read) ? instead : v).toList(),
            List.of(output),
            node.attributes()));
    return output;
  }

  /** The quantizer of a value. */
  static Optional<Node> quantizer(Graph graph, Value value) {
    return graph.consumers(value).stream()
        .filter(n -> n.op().is(OpKey.TERSOR, FakeQuant.TYPE) && n.input(0).equals(value))
        .findFirst();
  }

  /** The decoded weight of a quantized layer, if it has one. */
  static Optional<Value> weight(Graph graph, Node node) {
    return node.inputs().stream()
        .filter(Value::isPresent)
        .filter(v ->
            graph.producer(v).filter(p -> p.op().is(OpKey.TERSOR, DecodeOperator.TYPE)).isPresent())
        .findFirst();
  }
}
