package org.tersor.ir.op;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.runtime.TersorException;

/**
 * Checks what every pass must leave behind: each value defined once, before its uses, in a place
 * they can see; nodes that fit the schema of their operator. Linear in the size of the graph,
 * bodies included.
 */
public final class GraphVerifier {
  private static final int SHOWN = 10;

  private final Optional<OpRegistry> operators;
  private final List<Problem> problems = new ArrayList<>();
  private final Set<Integer> values = new HashSet<>();
  private final Set<Integer> nodes = new HashSet<>();
  private final Set<Integer> visible = new HashSet<>();

  private GraphVerifier(Optional<OpRegistry> operators) {
    this.operators = operators;
  }

  /**
   * @param code TSR-0310: not a well-formed graph; TSR-0311: a node that its operator's schema does
   *     not allow
   */
  public record Problem(String code, String message) {}

  /**
   * A value of unknown rank.
   *
   * @param node label of the node that makes it from inputs of known rank, so that it alone is to
   *     blame; "input" for an input
   */
  public record Unranked(Value value, String node) {}

  /** Problems of structure, and of nodes whose operator is in the registry. */
  public static List<Problem> check(Graph graph, Optional<OpRegistry> operators) {
    GraphVerifier verifier = new GraphVerifier(operators);
    verifier.graph(graph);
    return List.copyOf(verifier.problems);
  }

  /**
   * @param when for the message, e.g. "after fold-constants"
   */
  public static void verify(Graph graph, Optional<OpRegistry> operators, String when) {
    List<Problem> problems = check(graph, operators);
    if (problems.isEmpty()) {
      return;
    }
    StringBuilder message = new StringBuilder("the graph is not valid " + when + ": ");
    for (int i = 0; i < Math.min(SHOWN, problems.size()); i++) {
      message.append(i == 0 ? "" : "; ").append(problems.get(i).message());
    }
    if (problems.size() > SHOWN) {
      message.append("; and ").append(problems.size() - SHOWN).append(" more");
    }
    throw new TersorException(problems.getFirst().code(), message.toString());
  }

  /** Values whose type is not known. */
  public static List<Value> untyped(Graph graph) {
    List<Value> untyped = new ArrayList<>();
    collectUntyped(graph, untyped);
    return untyped;
  }

  private static void collectUntyped(Graph graph, List<Value> untyped) {
    graph.inputs().stream()
        .filter(v -> graph.type(v) instanceof ValueType.UnknownType)
        .forEach(untyped::add);
    for (Node node : graph.nodes()) {
      node.outputs().stream()
          .filter(v -> v.isPresent() && graph.type(v) instanceof ValueType.UnknownType)
          .forEach(untyped::add);
      Graph.bodies(node).forEach(body -> collectUntyped(body, untyped));
    }
  }

  /**
   * Tensors of unknown rank, each with the node that is the cause: the first that makes one
   * although all its inputs have a rank.
   */
  public static List<Unranked> unranked(Graph graph) {
    List<Unranked> found = new ArrayList<>();
    collectUnranked(graph, new HashMap<>(), found);
    return found;
  }

  private static void collectUnranked(
      Graph graph, Map<Value, String> causes, List<Unranked> found) {
    for (Value input : graph.inputs()) {
      if (isUnranked(graph.type(input))) {
        causes.put(input, "input");
        found.add(new Unranked(input, "input"));
      }
    }
    for (Node node : graph.nodes()) {
      Graph.bodies(node).forEach(body -> collectUnranked(body, causes, found));
      String cause = node.label();
      for (Value used : Graph.usedValues(node)) {
        if (causes.containsKey(used)) {
          cause = causes.getOrDefault(used, cause);
          break;
        }
      }
      for (Value output : node.outputs()) {
        if (output.isPresent() && isUnranked(graph.type(output))) {
          causes.put(output, cause);
          found.add(new Unranked(output, cause));
        }
      }
    }
  }

  private static boolean isUnranked(ValueType type) {
    return type instanceof ValueType.UnknownType
        || (type instanceof ValueType.TensorType tensor && !tensor.isRanked());
  }

  private void graph(Graph graph) {
    List<Value> defined = new ArrayList<>();
    for (Value input : graph.inputs()) {
      define(input, "an input", defined);
    }
    for (Value constant : graph.constants().keySet()) {
      define(constant, "a constant", defined);
    }
    for (Node node : graph.nodes()) {
      node(node, defined);
    }
    for (Value output : graph.outputs()) {
      if (!visible.contains(output.id())) {
        structure("output " + name(output) + " of graph '" + graph.name() + "' is defined nowhere");
      }
    }
    defined.forEach(value -> visible.remove(value.id()));
  }

  private void define(Value value, String by, List<Value> defined) {
    if (!value.isPresent()) {
      structure(by + " is absent");
    } else if (values.add(value.id())) {
      visible.add(value.id());
      defined.add(value);
    } else {
      structure("value " + name(value) + " is defined a second time, by " + by);
    }
  }

  private void node(Node node, List<Value> defined) {
    if (!nodes.add(node.id())) {
      structure("two nodes have the id " + node.id() + ", one is " + node.label());
    }
    for (Value input : node.inputs()) {
      if (input.isPresent() && !visible.contains(input.id())) {
        structure(node.label() + " uses " + name(input) + " before it is defined");
      }
    }
    Graph.bodies(node).forEach(this::graph);
    for (Value output : node.outputs()) {
      if (output.isPresent()) {
        define(output, node.label(), defined);
      }
    }
    operators
        .flatMap(registry -> registry.find(node.op()))
        .ifPresent(operator -> schema(node, operator.schema()));
  }

  private static String name(Value value) {
    return value + (value.name().isEmpty() ? "" : " '" + value.name() + "'");
  }

  private void structure(String message) {
    problems.add(new Problem("TSR-0310", message));
  }

  private void schema(Node node, OpSchema schema) {
    List<OpSchema.Formal> inputs = schema.inputs();
    boolean variadic = !inputs.isEmpty() && inputs.getLast().arity() == OpSchema.Arity.VARIADIC;
    if (node.inputs().size() > inputs.size() && !variadic) {
      schema(
          node,
          "has " + node.inputs().size() + " inputs, at most " + inputs.size() + " are allowed");
    }
    for (int i = 0; i < inputs.size(); i++) {
      if (inputs.get(i).arity() == OpSchema.Arity.SINGLE && !node.input(i).isPresent()) {
        schema(node, "lacks input " + i + " (" + inputs.get(i).name() + ")");
      }
    }
    List<OpSchema.Formal> outputs = schema.outputs();
    boolean variadicOutput =
        !outputs.isEmpty() && outputs.getLast().arity() == OpSchema.Arity.VARIADIC;
    if (node.outputs().size() > outputs.size() && !variadicOutput) {
      schema(
          node,
          "has " + node.outputs().size() + " outputs, at most " + outputs.size() + " are allowed");
    }
    // A schema covers all versions of its operator, so it is no fault that an attribute is not in
    // it.
    schema
        .attributes()
        .forEach((name, spec) -> {
          Attribute given = node.attributes().get(name);
          if (given == null && spec.required()) {
            schema(node, "lacks attribute '" + name + "'");
          } else if (given != null && kind(given) != spec.kind()) {
            schema(
                node,
                "has attribute '"
                    + name
                    + "' of kind "
                    + kind(given)
                    + " where "
                    + spec.kind()
                    + " is expected");
          }
        });
  }

  private void schema(Node node, String message) {
    problems.add(
        new Problem(
            "TSR-0311", node.op() + " '" + node.name() + "' (node " + node.id() + ") " + message));
  }

  private static OpSchema.AttributeKind kind(Attribute attribute) {
    return switch (attribute) {
      case Attribute.IntAttr a -> OpSchema.AttributeKind.INT;
      case Attribute.FloatAttr a -> OpSchema.AttributeKind.FLOAT;
      case Attribute.StringAttr a -> OpSchema.AttributeKind.STRING;
      case Attribute.TensorAttr a -> OpSchema.AttributeKind.TENSOR;
      case Attribute.GraphAttr a -> OpSchema.AttributeKind.GRAPH;
      case Attribute.TypeAttr a -> OpSchema.AttributeKind.TYPE;
      case Attribute.IntsAttr a -> OpSchema.AttributeKind.INTS;
      case Attribute.FloatsAttr a -> OpSchema.AttributeKind.FLOATS;
      case Attribute.StringsAttr a -> OpSchema.AttributeKind.STRINGS;
      case Attribute.TensorsAttr a -> OpSchema.AttributeKind.TENSORS;
      case Attribute.GraphsAttr a -> OpSchema.AttributeKind.GRAPHS;
      case Attribute.TypesAttr a -> OpSchema.AttributeKind.TYPES;
    };
  }
}
