package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpRegistry;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** Evaluates nodes on values of any kind, bodies and decompositions included. */
final class NodeEval extends EvalContext {
  private static final OpRegistry OPERATORS = OpRegistry.standard();

  private final Map<Value, Datum> values;

  private NodeEval(Graph graph, Node node, Map<Value, Datum> values) {
    super(graph, node);
    this.values = values;
  }

  /** Results of one node, as it is and, if it is decomposed, by its parts. */
  record Results(List<Datum> direct, Optional<List<Datum>> byParts, Lowering lowering) {}

  static Results run(
      String domain,
      String type,
      int version,
      Map<String, Attribute> attributes,
      int outputs,
      List<Optional<Datum>> inputs) {
    GraphBuilder builder = new GraphBuilder(Map.of(domain, version), 0);
    Map<Value, Datum> given = new HashMap<>();
    List<Value> operands = new ArrayList<>();
    for (Optional<Datum> input : inputs) {
      if (input.isEmpty()) {
        operands.add(Value.NONE);
        continue;
      }
      Value value = builder.input("in" + operands.size(), ValueType.of(input.get()));
      given.put(value, input.get());
      operands.add(value);
    }
    List<Value> results =
        IntStream.range(0, outputs)
            .mapToObj(i -> builder.value("out" + i, ValueType.UNKNOWN))
            .toList();
    Node node = builder.addNode(domain, type, attributes, operands, results);
    Graph graph = builder.build("test", Map.of());
    NodeEval context = new NodeEval(graph, node, given);
    List<Datum> direct = List.copyOf(OPERATORS.get(node).eval(context));
    Lowering lowering = OPERATORS.get(node).lower(context);
    return new Results(direct, byParts(graph, lowering, given, domain, version), lowering);
  }

  /** Evaluates what a node is decomposed into. */
  static Optional<List<Datum>> byParts(
      Graph graph, Lowering lowering, Map<Value, Datum> given, String domain, int version) {
    if (!(lowering instanceof Lowering.Decompose decompose)) {
      return Optional.empty();
    }
    Map<String, Integer> opsets = new HashMap<>(Map.of("", 21));
    opsets.put(domain, version);
    GraphBuilder parts = new GraphBuilder(opsets, 10_000);
    List<Value> results = decompose.build().apply(parts);
    Map<Value, Datum> values = new HashMap<>(given);
    parts.constants().forEach((value, constant) -> values.put(value, constant.load()));
    for (Node part : parts.nodes()) {
      evaluate(graph, part, values);
    }
    return Optional.of(results.stream().map(values::get).toList());
  }

  private static void evaluate(Graph graph, Node node, Map<Value, Datum> values) {
    List<? extends Datum> results = OPERATORS.get(node).eval(new NodeEval(graph, node, values));
    for (int i = 0; i < node.outputs().size(); i++) {
      values.put(node.output(i), results.get(i));
    }
  }

  private Optional<Datum> given(int index) {
    return Optional.ofNullable(values.get(node().input(index)));
  }

  @Override
  public Datum datum(int index) {
    return given(index).orElseThrow(() -> error("TSR-0301", "input " + index + " is missing"));
  }

  @Override
  public ValueType inputType(int index) {
    return given(index).map(ValueType::of).orElse(ValueType.UNKNOWN);
  }

  @Override
  protected ValueType typeOf(Value value) {
    Datum datum = values.get(value);
    return datum == null ? super.typeOf(value) : ValueType.of(datum);
  }

  @Override
  public Optional<Tensor> constant(int index) {
    return given(index).filter(Tensor.class::isInstance).map(Tensor.class::cast);
  }

  @Override
  public Optional<List<DimExpr>> symbolic(int index) {
    return constant(index)
        .filter(t -> t.rank() <= 1 && t.dtype().isInteger() && t.dtype() != DType.U64)
        .map(t -> IntStream.range(0, t.size()).mapToObj(i -> DimExpr.of(t.getLong(i))).toList());
  }

  @Override
  public List<Datum> run(Graph body, List<? extends Datum> bodyInputs) {
    Map<Value, Datum> inner = new HashMap<>(values);
    body.constants().forEach((value, constant) -> inner.put(value, constant.load()));
    for (int i = 0; i < bodyInputs.size(); i++) {
      inner.put(body.inputs().get(i), bodyInputs.get(i));
    }
    for (Node node : body.nodes()) {
      evaluate(body, node, inner);
    }
    return body.outputs().stream().map(inner::get).toList();
  }
}
