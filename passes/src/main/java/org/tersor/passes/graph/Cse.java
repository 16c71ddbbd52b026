package org.tersor.passes.graph;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;

/**
 * Common subexpressions: nodes of the same operator, attributes and inputs become one; small equal
 * constants count as one.
 */
public final class Cse implements Pass {
  private static final long SMALL = 1024;

  private record Key(
      OpKey op, List<Value> inputs, int outputs, Map<String, Attribute> attributes) {}

  @Override
  public String id() {
    return "cse";
  }

  @Override
  public Set<String> gives() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Rewrite rewrite = new Rewrite(graph);
    Map<Value, Value> same = new HashMap<>();
    Map<Constant, Value> small = new HashMap<>();
    graph
        .constants()
        .forEach((value, constant) -> {
          if (constant.elements() <= SMALL && !graph.isOutput(value)) {
            Value first = small.putIfAbsent(Constant.of(constant.load()), value);
            if (first != null) {
              same.put(value, first);
            }
          }
        });
    Map<Key, Node> seen = new HashMap<>();
    int merged = 0;
    for (Node node : graph.nodes()) {
      Optional<Operator> operator = context.operators().find(node.op());
      boolean pure =
          operator.isPresent() && operator.get().schema().tolerance() != OpSchema.Tolerance.RANDOM;
      if (!pure || !Graph.bodies(node).isEmpty()) {
        continue;
      }
      List<Value> inputs =
          node.inputs().stream().map(value -> same.getOrDefault(value, value)).toList();
      Node first =
          seen.putIfAbsent(
              new Key(node.op(), inputs, node.outputs().size(), node.attributes()), node);
      if (first == null || node.outputs().stream().anyMatch(graph::isOutput)) {
        continue;
      }
      boolean all = true;
      for (int i = 0; i < node.outputs().size(); i++) {
        all &= !node.output(i).isPresent() || first.output(i).isPresent();
      }
      if (!all) {
        continue;
      }
      for (int i = 0; i < node.outputs().size(); i++) {
        if (node.output(i).isPresent()) {
          Value target = same.getOrDefault(first.output(i), first.output(i));
          same.put(node.output(i), target);
          rewrite.edit().redirect(node.output(i), target);
        }
      }
      rewrite.edit().remove(node);
      merged++;
    }
    if (merged > 0) {
      context.note().accept("cse: " + merged + " nodes merged");
    }
    return rewrite.apply();
  }
}
