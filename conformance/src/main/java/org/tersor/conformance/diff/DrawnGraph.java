package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.Tensor;

/**
 * A made-up model with inputs.
 *
 * @param values what each value is by evaluation, constants and inputs included
 * @param refusal the last node's diagnostic, if evaluation refuses it
 * @param widened names of nodes that the reference runs in wider types
 * @param equivalent a graph without bodies and sequences with the same outputs, if this has some
 */
record DrawnGraph(
    Graph graph,
    Map<String, Tensor> inputs,
    Map<Value, Tensor> values,
    Optional<String> refusal,
    Set<String> widened,
    Optional<DrawnGraph> equivalent) {
  /** Names of operators in order, those in bodies after their node. */
  List<String> operators() {
    List<String> names = new ArrayList<>();
    collect(graph, names);
    return List.copyOf(names);
  }

  private static void collect(Graph graph, List<String> names) {
    for (Node node : graph.nodes()) {
      names.add(node.op().type());
      Graph.bodies(node).forEach(body -> collect(body, names));
    }
  }

  /** The graph that tells how exact results can be. */
  DrawnGraph plain() {
    return equivalent.orElse(this);
  }
}
