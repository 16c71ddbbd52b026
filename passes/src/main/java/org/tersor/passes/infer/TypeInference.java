package org.tersor.passes.infer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.BodyOperator;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.eval.KnownEval;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Types and symbolic shapes of every value, in topological order, bodies of If, Loop and Scan
 * included. A type that the file declares is a hint: where it contradicts the inferred one, the
 * inferred one wins and a note says so.
 */
public final class TypeInference implements Pass {

  /** Characters of an expression that is followed further. */
  private static final int MAX_EXPRESSION = 300;

  /** Weakenings of a loop's types: a dimension, then a rank. */
  private static final int MAX_ROUNDS = 4;

  /** A typed graph and what is known about its values. */
  public record Inferred(Graph graph, Scope scope) {}

  @Override
  public String id() {
    return "infer-types";
  }

  @Override
  public Set<String> gives() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    return infer(graph, context.operators(), context.note()).graph();
  }

  /** Infers a whole model. */
  public static Inferred infer(Graph graph, OpRegistry operators, Consumer<String> note) {
    return new TypeInference.Run(operators, note)
        .graph(graph, Optional.empty(), graph.inputs().stream().map(graph::type).toList());
  }

  /** Whether types in a graph do not contradict each other. */
  public static boolean holds(Graph graph, OpRegistry operators) {
    try {
      infer(graph, operators, note -> {});
      return true;
    } catch (TersorException e) {
      if (Faults.isOfTypes(e)) {
        return false;
      }
      throw e;
    }
  }

  /**
   * What a file declares about values and the graph contradicts, one sentence each: other element
   * types, ranks, or dimensions that no inputs of at least one element a dimension give.
   *
   * @param declared types by name of the value
   */
  public static List<String> contradictions(
      Graph graph, Map<String, ValueType> declared, OpRegistry operators) {
    Graph typed = infer(graph, operators, note -> {}).graph();
    List<String> found = new ArrayList<>();
    for (Node node : typed.nodes()) {
      for (Value output : node.outputs()) {
        if (declared.get(output.name()) instanceof ValueType.TensorType was
            && typed.type(output) instanceof ValueType.TensorType is
            && contradict(was, is)) {
          found.add(
              "the file declares '"
                  + output.name()
                  + "' as "
                  + was
                  + ", but "
                  + node.label()
                  + " makes "
                  + is);
        }
      }
    }
    return found;
  }

  private static boolean contradict(ValueType.TensorType was, ValueType.TensorType is) {
    if (was.dtype() != is.dtype()) {
      return true;
    }
    if (!was.isRanked() || !is.isRanked()) {
      return false;
    }
    boolean conflict = was.rank() != is.rank();
    for (int d = 0; !conflict && d < is.rank(); d++) {
      DimExpr a = was.dims().get(d);
      DimExpr b = is.dims().get(d);
      conflict = a.isConst() && !DimRange.of(b).contains(a.constValue());
    }
    return conflict;
  }

  /** One inference. */
  private record Run(OpRegistry operators, Consumer<String> note) {

    Inferred graph(Graph graph, Optional<Scope> outer, List<ValueType> inputTypes) {
      Scope scope = new Scope(outer, graph);
      for (int i = 0; i < graph.inputs().size(); i++) {
        scope.setType(
            graph.inputs().get(i), i < inputTypes.size() ? inputTypes.get(i) : ValueType.UNKNOWN);
      }
      graph.constants().forEach((value, constant) -> scope.setType(value, constant.type()));
      List<Node> nodes = new ArrayList<>();
      boolean changed = false;
      for (Node node : graph.nodes()) {
        Node typed = node(node, scope, graph);
        changed |= !typed.equals(node);
        nodes.add(typed);
      }
      Map<Value, ValueType> types = new LinkedHashMap<>(scope.types());
      if (!changed && types.equals(graph.types())) {
        return new Inferred(graph, scope);
      }
      Graph result =
          new Graph(
              graph.name(),
              graph.inputs(),
              graph.outputs(),
              nodes,
              graph.constants(),
              types,
              graph.opsets(),
              graph.metadata());
      return new Inferred(result, scope);
    }

    private Node node(Node node, Scope scope, Graph graph) {
      Optional<Operator> found = operators.find(node.op());
      if (found.isEmpty()) {
        node.outputs().forEach(output -> scope.setType(output, graph.type(output)));
        return node;
      }
      Operator operator = found.get();
      Node typed =
          operator instanceof BodyOperator withBodies
              ? withTypedBodies(withBodies, node, scope)
              : node;
      OpContext context = scope.context(typed);
      List<ValueType> types;
      try {
        types = operator.infer(context);
      } catch (TersorException e) {
        throw e;
      } catch (RuntimeException e) {
        throw Faults.caused(context.error("TSR-0306", "types cannot be inferred: " + e), e);
      }
      for (int i = 0; i < node.outputs().size(); i++) {
        Value output = node.output(i);
        if (output.isPresent()) {
          ValueType inferred = i < types.size() ? types.get(i) : ValueType.UNKNOWN;
          scope.setType(output, reconcile(node, output, graph.type(output), inferred));
        }
      }
      follow(operator, typed, context, scope);
      return typed;
    }

    /** Elements as expressions; none where their numbers leave 64 bits: then they are no sizes. */
    private Optional<List<DimExpr>> followed(Operator operator, OpContext context) {
      try {
        return operator.symbolicOutput(context);
      } catch (ArithmeticException e) {
        return Optional.empty();
      }
    }

    /** Infers values, not only types, where they are small and follow from shapes and constants. */
    private void follow(Operator operator, Node node, OpContext context, Scope scope) {
      if (!node.output(0).isPresent()
          || !(scope.type(node.output(0)) instanceof ValueType.TensorType type)
          || !type.isRanked()) {
        return;
      }
      if (type.dtype().isInteger() && type.rank() <= 1) {
        Optional<List<DimExpr>> elements = followed(operator, context);
        boolean fits =
            elements.isPresent()
                && type.elements().isConst()
                && elements.get().size() == type.elements().constValue();
        // Chains of arithmetic on run-time values must not grow without bound.
        boolean simple =
            fits && elements.get().stream().allMatch(e -> e.toString().length() <= MAX_EXPRESSION);
        if (simple && elements.get().size() <= Scope.MAX_KNOWN) {
          scope.setSymbolic(node.output(0), elements.get());
          if (elements.get().stream().allMatch(DimExpr::isConst)) {
            Tensor tensor = Tensor.zeros(type.dtype(), type.staticShape());
            for (int i = 0; i < tensor.size(); i++) {
              tensor.setLong(i, elements.get().get(i).constValue());
            }
            scope.setKnown(node.output(0), tensor);
          }
          return;
        }
      }
      if (node.outputs().size() != 1
          || !type.isStatic()
          || !isSmall(type)
          || node.inputs().isEmpty()
          || operator.schema().tolerance() == OpSchema.Tolerance.RANDOM
          || !Graph.bodies(node).isEmpty()) {
        return;
      }
      List<Optional<Tensor>> inputs = new ArrayList<>();
      for (Value input : node.inputs()) {
        Optional<Tensor> tensor =
            input.isPresent() ? scope.tensor(input, Scope.MAX_KNOWN) : Optional.empty();
        if (input.isPresent() && tensor.isEmpty()) {
          return;
        }
        inputs.add(tensor);
      }
      try {
        List<? extends Datum> results = operator.eval(new KnownEval(context.graph(), node, inputs));
        if (!results.isEmpty()
            && results.getFirst() instanceof Tensor tensor
            && ValueType.of(tensor).equals(type)) {
          scope.setKnown(node.output(0), tensor);
        }
      } catch (RuntimeException e) {
        note.accept(
            node.label() + " has constant inputs but cannot be evaluated: " + e.getMessage());
      }
    }

    private static boolean isSmall(ValueType.TensorType type) {
      try {
        return Tensor.count(type.staticShape()) <= Scope.MAX_KNOWN;
      } catch (ArithmeticException e) {
        return false;
      }
    }

    private ValueType reconcile(Node node, Value output, ValueType declared, ValueType inferred) {
      if (declared instanceof ValueType.UnknownType) {
        return inferred;
      }
      if (inferred instanceof ValueType.UnknownType) {
        return declared;
      }
      if (!(declared instanceof ValueType.TensorType was
          && inferred instanceof ValueType.TensorType is)) {
        return inferred;
      }
      if (!is.isRanked()) {
        return was.isRanked() && was.dtype() == is.dtype() ? was : is;
      }
      if (contradict(was, is)) {
        note.accept(
            "warning: the file declares '"
                + output.name()
                + "' as "
                + was
                + ", but "
                + node.label()
                + " makes "
                + is
                + ", which is used");
      }
      return is;
    }

    private Node withTypedBodies(BodyOperator operator, Node node, Scope scope) {
      List<TersorException> faults = new ArrayList<>();
      Map<String, Attribute> attributes = new LinkedHashMap<>();
      node.attributes()
          .forEach((key, attribute) ->
              attributes.put(
                  key,
                  switch (attribute) {
                    case Attribute.GraphAttr g ->
                        new Attribute.GraphAttr(tolerant(operator, node, g.value(), scope, faults));
                    case Attribute.GraphsAttr g ->
                        new Attribute.GraphsAttr(
                            g.values().stream()
                                .map(b -> tolerant(operator, node, b, scope, faults))
                                .toList());
                    default -> attribute;
                  }));
      if (!faults.isEmpty() && faults.size() == Graph.bodies(node).size()) {
        throw faults.getFirst();
      }
      return attributes.equals(node.attributes()) ? node : node.withAttributes(attributes);
    }

    /** As {@link #body}; one that a call may leave out stays without types if it has a fault. */
    private Graph tolerant(
        BodyOperator operator, Node node, Graph body, Scope scope, List<TersorException> faults) {
      try {
        return body(operator, node, body, scope);
      } catch (TersorException e) {
        if (!Faults.isOfTypes(e) || !operator.mayBeLeftOut(scope.context(node), body)) {
          throw e;
        }
        faults.add(e);
        if (scope.isOutermost()) {
          note.accept(
              "a branch of "
                  + node.label()
                  + " cannot be taken with these types: "
                  + e.getMessage());
        }
        return body.types().isEmpty() ? body : body.withTypes(Map.of());
      }
    }

    /** A body with types; what a loop carries is weakened until one more round changes nothing. */
    private Graph body(BodyOperator operator, Node node, Graph body, Scope scope) {
      OpContext context = scope.context(node);
      List<ValueType> inputs = new ArrayList<>();
      List<ValueType> given = operator.bodyInputs(context, body);
      for (int i = 0; i < body.inputs().size(); i++) {
        ValueType type = i < given.size() ? given.get(i) : ValueType.UNKNOWN;
        inputs.add(type instanceof ValueType.UnknownType ? body.type(body.inputs().get(i)) : type);
      }
      Inferred inferred = graph(body, Optional.of(scope), inputs);
      List<BodyOperator.Carried> carried = operator.carried(context, body);
      for (int round = 0; round < MAX_ROUNDS; round++) {
        boolean changed = false;
        for (BodyOperator.Carried c : carried) {
          ValueType before = inputs.get(c.input());
          ValueType weaker =
              ValueType.join(
                  before,
                  inferred.scope().type(body.outputs().get(c.output())),
                  "_carried" + node.id() + "_" + c.input());
          changed |= !weaker.equals(before);
          inputs.set(c.input(), weaker);
        }
        if (!changed) {
          break;
        }
        inferred = graph(body, Optional.of(scope), inputs);
      }
      return inferred.graph();
    }
  }
}
