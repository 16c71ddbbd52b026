package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.WeightLayout;
import org.tersor.passes.graph.Names;
import org.tersor.passes.infer.TypeInference;

/**
 * An operand of a layer that a number format may hold.
 *
 * @param name in plans
 * @param stored whether it is decoded before it is used; else its rows are factors of sums
 */
record Operand(Node node, WeightLayout layout, String name, boolean stored) {
  /** All of a graph, in order of its nodes; those that are not constant too. */
  static List<Operand> of(Graph graph, OpRegistry operators) {
    TypeInference.Inferred inferred = TypeInference.infer(graph, operators, note -> {});
    Names names = new Names(graph);
    List<Operand> operands = new ArrayList<>();
    for (Node node : graph.nodes()) {
      operators
          .find(node.op())
          .ifPresent(operator -> {
            OpContext context = inferred.scope().context(node);
            operator
                .weights(context)
                .ifPresent(l -> operands.add(new Operand(node, l, names.of(node), false)));
            for (WeightLayout layout : operator.stored(context)) {
              operands.add(new Operand(node, layout, names.of(node, layout.input()), true));
            }
          });
    }
    return operands;
  }

  /** Names of those that a plan codes and that are decoded before they are used, by layer. */
  static Map<String, List<String>> stored(Graph graph, OpRegistry operators, QuantPlan plan) {
    Names names = new Names(graph);
    Map<String, List<String>> stored = new LinkedHashMap<>();
    for (Operand operand : of(graph, operators)) {
      if (operand.stored() && plan.weights().containsKey(operand.name())) {
        stored
            .computeIfAbsent(names.of(operand.node()), layer -> new ArrayList<>())
            .add(operand.name());
      }
    }
    return stored;
  }

  Value value() {
    return node.input(layout.input());
  }
}
