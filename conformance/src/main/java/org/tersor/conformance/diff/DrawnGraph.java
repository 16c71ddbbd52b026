package org.tersor.conformance.diff;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.Tensor;

/**
 * A made-up model with inputs.
 *
 * @param values what each value is by evaluation, constants and inputs included
 * @param refusal the last node's diagnostic, if evaluation refuses it
 */
record DrawnGraph(
    Graph graph, Map<String, Tensor> inputs, Map<Value, Tensor> values, Optional<String> refusal) {
  /** Names of operators in order. */
  List<String> operators() {
    return graph.nodes().stream().map(n -> n.op().type()).toList();
  }
}
