package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.Operator;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.Tensor;

/**
 * Puts a body in the place of its node where the condition is known: exporters leave a choice in
 * the graph for what a dimension decides, and its outputs then have no rank.
 */
public final class InlineBranches implements Pass {
  /** Choices inside of bodies that were put in place. */
  private static final int MAX_DEPTH = 16;

  @Override
  public String id() {
    return "inline-branches";
  }

  @Override
  public Set<String> gives() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Graph current = graph;
    for (int depth = 0; depth < MAX_DEPTH; depth++) {
      if (current.nodes().stream().allMatch(node -> Graph.bodies(node).isEmpty())) {
        return current;
      }
      TypeInference.Inferred inferred =
          TypeInference.infer(current, context.operators(), note -> {});
      Optional<Graph> next = once(inferred, context);
      if (next.isEmpty()) {
        return inferred.graph();
      }
      current = next.get();
    }
    return TypeInference.infer(current, context.operators(), note -> {}).graph();
  }

  private static Optional<Graph> once(TypeInference.Inferred inferred, PassContext context) {
    Graph graph = inferred.graph();
    GraphEdit edit = new GraphEdit(graph);
    int count = 0;
    for (Node node : graph.nodes()) {
      Optional<Operator> operator = context.operators().find(node.op());
      // A loop has one, and may be more than can be compiled.
      if (Graph.bodies(node).size() != 2 || operator.isEmpty()) {
        continue;
      }
      Optional<Tensor> condition = inferred.scope().tensor(node.input(0), 1);
      if (condition.isPresent()
          && condition.get().size() == 1
          && operator.get().lower(inferred.scope().context(node))
              instanceof Lowering.Branch branch) {
        boolean then = condition.get().getLong(0) != 0;
        inline(edit, node, then ? branch.then() : branch.otherwise());
        count++;
      }
    }
    if (count == 0) {
      return Optional.empty();
    }
    context.note().accept("inline-branches: " + count + " choices made");
    return Optional.of(edit.apply());
  }

  /** The node's outputs keep their names: each is a copy of the body's. */
  private static void inline(GraphEdit edit, Node node, Graph body) {
    List<Node> nodes = new ArrayList<>(body.nodes());
    OpKey identity = new OpKey("", "Identity", edit.graph().opset(""));
    for (int i = 0; i < node.outputs().size(); i++) {
      Value output = node.output(i);
      if (output.isPresent()) {
        nodes.add(
            new Node(
                edit.freshId(),
                "",
                identity,
                List.of(body.outputs().get(i)),
                List.of(output),
                Map.of()));
      }
    }
    edit.replaceByBody(node, body, nodes);
  }
}
