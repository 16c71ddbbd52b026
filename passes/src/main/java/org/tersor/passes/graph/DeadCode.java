package org.tersor.passes.graph;

import java.util.HashSet;
import java.util.Set;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;

/** Removes nodes that no output depends on. */
public final class DeadCode implements Pass {
  @Override
  public String id() {
    return "dead-code";
  }

  @Override
  public Set<String> gives() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Set<Value> live = new HashSet<>(graph.outputs());
    Rewrite rewrite = new Rewrite(graph);
    for (Node node : graph.nodes().reversed()) {
      if (node.outputs().stream().anyMatch(live::contains)) {
        live.addAll(Graph.usedValues(node));
      } else {
        rewrite.edit().remove(node);
      }
    }
    return rewrite.apply();
  }
}
