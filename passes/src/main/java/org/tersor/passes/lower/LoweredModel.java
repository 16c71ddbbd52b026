package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.passes.infer.Scope;
import org.tersor.runtime.Plan;

/**
 * What the nodes of a graph became, in topological order.
 *
 * @param constants values that are known: the graph's, and what inference found out
 * @param scope types of all values
 */
record LoweredModel(
    Graph graph, List<LoweredStep> steps, Map<Value, Constant> constants, Scope scope) {
  LoweredModel {
    steps = List.copyOf(steps);
    constants = Collections.unmodifiableMap(new LinkedHashMap<>(constants));
  }

  ValueType type(Value value) {
    return scope.type(value);
  }

  Map<Value, Value> views() {
    Map<Value, Value> views = new LinkedHashMap<>();
    for (LoweredStep step : steps) {
      if (step instanceof LoweredStep.View view) {
        views.put(view.value(), view.source());
      }
    }
    return views;
  }

  /** As one line of kernels. */
  LoweredGraph straight() {
    List<KernelCall> calls =
        steps.stream().filter(KernelCall.class::isInstance).map(KernelCall.class::cast).toList();
    List<Plan.Check> checks = new ArrayList<>();
    for (LoweredStep step : steps) {
      if (step instanceof LoweredStep.Require require) {
        checks.add(require.check());
      }
    }
    return new LoweredGraph(graph, calls, views(), constants, checks);
  }
}
