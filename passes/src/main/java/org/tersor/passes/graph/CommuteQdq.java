package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;

/**
 * DequantizeLinear, an operator that only moves or compares elements, QuantizeLinear of the same
 * codes: the operator works on codes.
 */
public final class CommuteQdq implements Pass {
  private static final Set<String> MOVES =
      Set.of(
          "MaxPool",
          "Reshape",
          "Transpose",
          "Flatten",
          "Squeeze",
          "Unsqueeze",
          "Slice",
          "Concat",
          "Gather");

  @Override
  public String id() {
    return "commute-qdq";
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Rewrite rewrite = new Rewrite(graph);
    int count = 0;
    for (Node quantize : graph.nodes()) {
      Optional<QuantParams> params =
          QuantParams.isQuantize(quantize) ? QuantParams.of(graph, quantize) : Optional.empty();
      Optional<Node> mover =
          graph
              .producer(quantize.input(0))
              .filter(n ->
                  n.op().domain().isEmpty()
                      && MOVES.contains(n.op().type())
                      && n.outputs().size() == 1);
      if (params.isEmpty()
          || !params.get().perTensor()
          || mover.isEmpty()
          || rewrite.onlyUser(quantize.input(0)).isEmpty()) {
        continue;
      }
      int data = mover.get().op().is("Concat") ? mover.get().inputs().size() : 1;
      List<Value> inputs = new ArrayList<>(mover.get().inputs());
      boolean all = true;
      for (int i = 0; i < data; i++) {
        Optional<Node> dequantize = graph.producer(inputs.get(i)).filter(QuantParams::isDequantize);
        all &=
            dequantize
                .flatMap(d -> QuantParams.of(graph, d))
                .filter(params.get()::same)
                .isPresent();
        if (all) {
          inputs.set(i, dequantize.orElseThrow().input(0));
        }
      }
      if (all) {
        Node moved =
            new Node(
                mover.get().id(),
                mover.get().name(),
                mover.get().op(),
                inputs,
                quantize.outputs(),
                mover.get().attributes());
        rewrite.edit().replace(mover.get(), List.of(moved));
        rewrite.edit().remove(quantize);
        count++;
      }
    }
    if (count > 0) {
      context.note().accept("commute-qdq: " + count + " operators work on codes");
    }
    return rewrite.apply();
  }
}
