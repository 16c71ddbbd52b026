package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;

/**
 * Operators that only move or compare elements work on codes: between DequantizeLinear and
 * QuantizeLinear of the same codes, and where a DequantizeLinear can go behind one that changes the
 * shape alone. A QuantizeLinear behind Concat goes before it, to where the parts are computed.
 */
public final class CommuteQdq implements Pass {
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
              .filter(
                  n -> carries(n, context) != OpSchema.Carries.NOTHING && n.outputs().size() == 1);
      if (params.isEmpty()
          || !params.get().perTensor()
          || mover.isEmpty()
          || rewrite.onlyUser(quantize.input(0)).isEmpty()) {
        continue;
      }
      boolean joins = carries(mover.get(), context) == OpSchema.Carries.ALL;
      int data = joins ? mover.get().inputs().size() : 1;
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
      } else if (joins && anyCodes(graph, mover.get())) {
        quantizeParts(rewrite, mover.get(), quantize, params.get());
        count++;
      }
    }
    for (Node view : graph.nodes()) {
      if (carries(view, context) == OpSchema.Carries.SHAPED
          && !rewrite.isTouched(view)
          && dequantizeAfter(rewrite, view)) {
        count++;
      }
    }
    if (count > 0) {
      context.note().accept("commute-qdq: " + count + " operators work on codes");
    }
    return rewrite.apply();
  }

  private static OpSchema.Carries carries(Node node, PassContext context) {
    return context
        .operators()
        .find(node.op())
        .map(operator -> operator.schema().carries())
        .orElse(OpSchema.Carries.NOTHING);
  }

  private static boolean anyCodes(Graph graph, Node node) {
    return node.inputs().stream()
        .anyMatch(value -> graph.producer(value).filter(QuantParams::isDequantize).isPresent());
  }

  private static void quantizeParts(
      Rewrite rewrite, Node concat, Node quantize, QuantParams params) {
    Graph graph = rewrite.graph();
    List<Node> nodes = new ArrayList<>();
    List<Value> codes = new ArrayList<>();
    for (Value part : concat.inputs()) {
      Optional<Node> same =
          graph
              .producer(part)
              .filter(n -> QuantParams.of(graph, n).filter(params::same).isPresent());
      if (same.filter(QuantParams::isDequantize).isPresent()) {
        codes.add(same.get().input(0));
        continue;
      }
      Value code = rewrite.edit().value("", new TensorType(params.codes(), Optional.empty()));
      List<Value> inputs = new ArrayList<>(quantize.inputs());
      inputs.set(0, part);
      nodes.add(
          new Node(
              rewrite.edit().freshId(),
              quantize.name(),
              quantize.op(),
              inputs,
              List.of(code),
              quantize.attributes()));
      codes.add(code);
    }
    nodes.add(
        new Node(
            concat.id(),
            concat.name(),
            concat.op(),
            codes,
            quantize.outputs(),
            concat.attributes()));
    rewrite.edit().replace(concat, nodes);
    rewrite.edit().remove(quantize);
  }

  private static boolean dequantizeAfter(Rewrite rewrite, Node view) {
    Graph graph = rewrite.graph();
    Optional<Node> dequantize =
        graph
            .producer(view.input(0))
            .filter(QuantParams::isDequantize)
            .filter(n -> !rewrite.isTouched(n) && graph.constant(n.input(0)).isEmpty());
    Optional<QuantParams> params = dequantize.flatMap(n -> QuantParams.of(graph, n));
    // The first versions of Flatten took floats only.
    boolean floatsOnly = view.op().is("Flatten") && view.op().version() < 9;
    if (params.isEmpty() || !params.get().perTensor() || floatsOnly) {
      return false;
    }
    Value code = rewrite.edit().value("", new TensorType(params.get().codes(), Optional.empty()));
    List<Value> shaped = new ArrayList<>(view.inputs());
    shaped.set(0, dequantize.get().input(0));
    List<Value> inputs = new ArrayList<>(dequantize.get().inputs());
    inputs.set(0, code);
    rewrite
        .edit()
        .replace(
            view,
            List.of(
                new Node(
                    view.id(), view.name(), view.op(), shaped, List.of(code), view.attributes()),
                new Node(
                    rewrite.edit().freshId(),
                    dequantize.get().name(),
                    dequantize.get().op(),
                    inputs,
                    view.outputs(),
                    dequantize.get().attributes())));
    return true;
  }
}
