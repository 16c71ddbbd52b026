package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpRegistry;
import org.tersor.passes.eval.Evaluator;
import org.tersor.passes.eval.KnownEval;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/** Evaluates one node; bodies (of operators that are functions) may read its inputs. */
final class NodeEval extends KnownEval {
  private final OpRegistry operators;

  private NodeEval(
      OpRegistry operators, Graph graph, Node node, List<? extends Optional<? extends Datum>> in) {
    super(graph, node, in);
    this.operators = operators;
  }

  /** Results, which must be tensors. */
  static List<Tensor> results(
      OpRegistry operators, Graph graph, Node node, List<Optional<Tensor>> inputs) {
    return operators.get(node).eval(new NodeEval(operators, graph, node, inputs)).stream()
        .map(datum -> datum.tensor("a result"))
        .toList();
  }

  @Override
  public List<Datum> run(Graph body, List<? extends Datum> bodyInputs) {
    List<Value> inputs = new ArrayList<>(body.inputs());
    List<Datum> given = new ArrayList<>(bodyInputs);
    for (Value captured : body.captured()) {
      inputs.add(captured);
      given.add(datum(node().inputs().indexOf(captured)));
    }
    Graph closed =
        new Graph(
            body.name(),
            inputs,
            body.outputs(),
            body.nodes(),
            body.constants(),
            body.types(),
            body.opsets(),
            body.metadata());
    return new Evaluator(closed, operators).evaluate(given, (value, datum) -> {});
  }
}
