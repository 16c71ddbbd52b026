package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.passes.graph.FreshIds;

/**
 * Makes a body a graph of its own: what it captures becomes inputs after its own, and all that it
 * defines gets ids that nothing else in the model has, since symbols are named after ids.
 */
final class CloseBody {
  private final Graph graph;
  private final int nextId;

  /**
   * @param captured types of captured values, in order
   * @param constants captured values that are constants
   * @param nextId ids from here on are free
   */
  CloseBody(
      Graph body, Map<Value, ValueType> captured, Map<Value, Constant> constants, int nextId) {
    FreshIds ids = new FreshIds(nextId, id -> false);
    Graph fresh = ids.of(body);
    this.nextId = ids.nextId();
    List<Value> inputs = new ArrayList<>(fresh.inputs());
    inputs.addAll(captured.keySet());
    Map<Value, ValueType> types = new LinkedHashMap<>(fresh.types());
    types.putAll(captured);
    Map<Value, Constant> all = new LinkedHashMap<>(fresh.constants());
    all.putAll(constants);
    this.graph =
        new Graph(
            fresh.name(),
            inputs,
            fresh.outputs(),
            fresh.nodes(),
            all,
            types,
            fresh.opsets(),
            fresh.metadata());
  }

  Graph graph() {
    return graph;
  }

  int nextId() {
    return nextId;
  }
}
