package org.tersor.passes.graph;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;

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
    Map<List<Value>, Value> quantized = new HashMap<>();
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
              node.attributes());
      Value known = quantized.get(node.inputs());
      Value value = known != null ? known : rewrite.edit().value("", codes);
      dequantize = dequantize.withInputs(List.of(value, node.input(1), node.input(2)));
      if (known == null) {
        quantized.put(node.inputs(), value);
        Node quantize =
            new Node(
                node.id(),
                node.name(),
                new OpKey("", "QuantizeLinear", version),
                node.inputs(),
                List.of(value),
                node.attributes());
        rewrite.edit().replace(node, List.of(quantize, dequantize));
      } else {
        rewrite.edit().replace(node, List.of(dequantize));
      }
    }
    return withoutDomain(rewrite.apply());
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
