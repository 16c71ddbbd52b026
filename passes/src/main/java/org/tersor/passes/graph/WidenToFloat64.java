package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;

/**
 * The same model with every float16, bfloat16 and float32 value in float64: run by the interpreter
 * it is the witness that float32 implementations are judged by, since its roundings are 2^29 times
 * smaller. Where an operator does not take float64 (the scales of Resize), a Cast gives it the type
 * that it had, and one after it widens the result.
 */
public final class WidenToFloat64 {
  private final OpRegistry operators;
  private int nextId;

  private WidenToFloat64(OpRegistry operators, int nextId) {
    this.operators = operators;
    this.nextId = nextId;
  }

  /**
   * @param typed a model with inferred types
   */
  public static Graph of(Graph typed, OpRegistry operators) {
    return new WidenToFloat64(operators, typed.maxId() + 1).graph(typed, typed.opset(""));
  }

  private Graph graph(Graph graph, int version) {
    Map<Value, Constant> constants = new LinkedHashMap<>();
    graph
        .constants()
        .forEach((value, constant) -> constants.put(value, Retype.TO_DOUBLE.constant(constant)));
    List<Node> nodes = new ArrayList<>();
    for (Node node : graph.nodes()) {
      node(graph, node, version, nodes);
    }
    Map<Value, ValueType> types = new LinkedHashMap<>();
    graph.types().forEach((value, type) -> types.put(value, Retype.TO_DOUBLE.type(type)));
    return new Graph(
        graph.name(),
        graph.inputs(),
        graph.outputs(),
        nodes,
        constants,
        types,
        graph.opsets(),
        graph.metadata());
  }

  private void node(Graph graph, Node node, int version, List<Node> nodes) {
    Optional<OpSchema> schema = operators.find(node.op()).map(Operator::schema);
    List<Value> inputs = new ArrayList<>();
    for (int i = 0; i < node.inputs().size(); i++) {
      Value input = node.inputs().get(i);
      Optional<DType> narrow = narrow(graph, input);
      if (narrow.isPresent() && refuses(schema.map(OpSchema::inputs), schema, i)) {
        Value before = new Value(nextId++, "");
        nodes.add(cast(version, input, before, narrow.get()));
        inputs.add(before);
      } else {
        inputs.add(input);
      }
    }
    List<Value> outputs = new ArrayList<>();
    List<Node> after = new ArrayList<>();
    for (int i = 0; i < node.outputs().size(); i++) {
      Value output = node.output(i);
      if (narrow(graph, output).isPresent() && refuses(schema.map(OpSchema::outputs), schema, i)) {
        Value made = new Value(nextId++, "");
        outputs.add(made);
        after.add(cast(version, made, output, DType.F64));
      } else {
        outputs.add(output);
      }
    }
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    node.attributes()
        .forEach((name, value) ->
            attributes.put(
                name,
                switch (value) {
                  case Attribute.GraphAttr g -> new Attribute.GraphAttr(graph(g.value(), version));
                  case Attribute.GraphsAttr g ->
                      new Attribute.GraphsAttr(
                          g.values().stream().map(b -> graph(b, version)).toList());
                  default -> after.isEmpty() ? Retype.TO_DOUBLE.attribute(name, value) : value;
                }));
    nodes.add(new Node(node.id(), node.name(), node.op(), inputs, outputs, attributes));
    nodes.addAll(after);
  }

  private static Optional<DType> narrow(Graph graph, Value value) {
    return value.isPresent()
            && graph.type(value) instanceof TensorType type
            && Retype.TO_DOUBLE.types().containsKey(type.dtype())
        ? Optional.of(type.dtype())
        : Optional.empty();
  }

  /** Whether operand {@code index} may be of no float64 type. */
  private static boolean refuses(
      Optional<List<OpSchema.Formal>> formals, Optional<OpSchema> schema, int index) {
    if (formals.isEmpty() || formals.get().isEmpty()) {
      return false;
    }
    String variable = formals.get().get(Math.min(index, formals.get().size() - 1)).type();
    return Optional.ofNullable(schema.orElseThrow().typeVariables().get(variable))
        .filter(allowed -> !allowed.contains(DType.F64))
        .isPresent();
  }

  private Node cast(int version, Value from, Value to, DType type) {
    return new Node(
        nextId++,
        "",
        new OpKey("", "Cast", Math.max(version, 6)),
        List.of(from),
        List.of(to),
        Map.of("to", new Attribute.IntAttr(OnnxTypes.code(type))));
  }
}
