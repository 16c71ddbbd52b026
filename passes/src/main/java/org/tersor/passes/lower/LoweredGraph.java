package org.tersor.passes.lower;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.Plan;

/**
 * A graph as kernels in topological order. Kernel fusion maps one of these to another.
 *
 * @param views values that are another value under another shape or type: no code
 * @param constants values that are known: the graph's, and what inference found out
 * @param checks what must hold for the dimensions
 */
public record LoweredGraph(
    Graph graph,
    List<KernelCall> calls,
    Map<Value, Value> views,
    Map<Value, Constant> constants,
    List<Plan.Check> checks) {
  public LoweredGraph {
    calls = List.copyOf(calls);
    checks = List.copyOf(checks);
    views = Collections.unmodifiableMap(new LinkedHashMap<>(views));
    constants = Collections.unmodifiableMap(new LinkedHashMap<>(constants));
  }

  /** The value whose buffer holds the elements of {@code value}. */
  public Value root(Value value) {
    Value current = value;
    for (Value next = views.get(current); next != null; next = views.get(current)) {
      current = next;
    }
    return current;
  }

  public LoweredGraph withCalls(List<KernelCall> newCalls) {
    return new LoweredGraph(graph, newCalls, views, constants, checks);
  }
}
