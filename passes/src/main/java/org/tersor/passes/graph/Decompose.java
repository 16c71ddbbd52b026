package org.tersor.passes.graph;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.Operator;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.infer.TypeInference;

/** Expands operators that are defined by other operators, until none is left. */
public final class Decompose implements Pass {
  private static final int MAX_DEPTH = 8;

  private final Predicate<OpKey> which;

  public Decompose() {
    this(op -> true);
  }

  /**
   * @param which operators are expanded
   */
  public Decompose(Predicate<OpKey> which) {
    this.which = which;
  }

  @Override
  public String id() {
    return "decompose";
  }

  @Override
  public Set<String> gives() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Graph current = graph;
    for (int depth = 0; depth < MAX_DEPTH; depth++) {
      TypeInference.Inferred inferred =
          TypeInference.infer(current, context.operators(), note -> {});
      Graph next = once(inferred, context);
      if (next == inferred.graph()) {
        return inferred.graph();
      }
      current = next;
    }
    return TypeInference.infer(current, context.operators(), note -> {}).graph();
  }

  private Graph once(TypeInference.Inferred inferred, PassContext context) {
    Graph graph = inferred.graph();
    Rewrite rewrite = new Rewrite(graph);
    for (Node node : graph.nodes()) {
      Optional<Operator> operator = context.operators().find(node.op());
      if (operator.isEmpty() || !which.test(node.op())) {
        continue;
      }
      Lowering lowering;
      try {
        lowering = operator.get().lower(inferred.scope().context(node));
      } catch (RuntimeException e) {
        continue; // Reported with all others when the graph is lowered.
      }
      if (lowering instanceof Lowering.Decompose decompose) {
        GraphBuilder builder = rewrite.edit().builder();
        List<Value> outputs = decompose.build().apply(builder);
        rewrite.edit().replace(node, builder, outputs);
      }
    }
    return rewrite.apply();
  }
}
