package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.Tensor;

/**
 * Writes {@code fq} nodes as QuantizeLinear and DequantizeLinear again: for export, and before
 * integer kernels are chosen.
 */
public final class LowerFakeQuant implements Pass {
  @Override
  public String id() {
    return "lower-fq";
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Set<String> gives() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Rewrite rewrite = new Rewrite(graph);
    Map<List<Object>, Value> quantized = new HashMap<>();
    for (Node node : graph.nodes()) {
      if (!node.op().is(OpKey.TERSOR, FakeQuant.TYPE)) {
        continue;
      }
      int version = graph.opset("");
      ValueType codes =
          graph.type(node.input(0)) instanceof TensorType x
                  && graph.type(node.input(2)) instanceof TensorType zero
              ? x.withDtype(zero.dtype())
              : ValueType.UNKNOWN;
      Node dequantize =
          new Node(
              rewrite.edit().freshId(),
              node.name(),
              new OpKey("", "DequantizeLinear", version),
              List.of(),
              node.outputs(),
              FakeQuant.standard(node.attributes()));
      // Quantizers of one value with other limits are others.
      List<Object> key = List.of(node.inputs(), node.attributes());
      Value known = quantized.get(key);
      Value value = known != null ? known : rewrite.edit().value("", codes);
      dequantize = dequantize.withInputs(List.of(value, node.input(1), node.input(2)));
      if (known == null) {
        quantized.put(key, value);
        List<Node> nodes = new ArrayList<>();
        List<Value> inputs = clipped(rewrite, node, nodes);
        Node quantize =
            new Node(
                node.id(),
                node.name(),
                new OpKey("", "QuantizeLinear", version),
                inputs,
                List.of(value),
                FakeQuant.standard(node.attributes()));
        nodes.add(quantize);
        nodes.add(dequantize);
        rewrite.edit().replace(node, nodes);
      } else {
        rewrite.edit().replace(node, List.of(dequantize));
      }
    }
    return withoutDomain(rewrite.apply());
  }

  /** Inputs of a quantizer behind a Clip, where it has fewer codes than its type. */
  private static List<Value> clipped(Rewrite rewrite, Node node, List<Node> nodes) {
    Optional<List<Tensor>> bounds =
        FakeQuant.bounds(
            node.attributes(), rewrite.constant(node.input(1)), rewrite.constant(node.input(2)));
    if (bounds.isEmpty()) {
      return node.inputs();
    }
    Value inside = rewrite.edit().value("", rewrite.graph().type(node.input(0)));
    nodes.add(
        new Node(
            rewrite.edit().freshId(),
            "",
            new OpKey("", "Clip", rewrite.graph().opset("")),
            List.of(
                node.input(0),
                rewrite.edit().constant("", Constant.of(bounds.get().getFirst())),
                rewrite.edit().constant("", Constant.of(bounds.get().getLast()))),
            List.of(inside),
            Map.of()));
    return List.of(inside, node.input(1), node.input(2));
  }

  /** Other tools refuse models that import a domain they have never heard of. */
  static Graph withoutDomain(Graph graph) {
    if (!graph.opsets().containsKey(OpKey.TERSOR)
        || graph.nodes().stream().anyMatch(node -> node.op().domain().equals(OpKey.TERSOR))) {
      return graph;
    }
    Map<String, Integer> opsets = new LinkedHashMap<>(graph.opsets());
    opsets.remove(OpKey.TERSOR);
    return new Graph(
        graph.name(),
        graph.inputs(),
        graph.outputs(),
        graph.nodes(),
        graph.constants(),
        graph.types(),
        opsets,
        graph.metadata());
  }
}
