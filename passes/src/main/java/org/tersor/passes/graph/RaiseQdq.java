package org.tersor.passes.graph;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.DType;

/**
 * A QuantizeLinear and the DequantizeLinear after it with equal scale, zero point and type become
 * one {@code fq} node. Every other one stays an operator with an integer-typed value; the report
 * counts both.
 */
public final class RaiseQdq implements Pass {
  @Override
  public String id() {
    return "raise-qdq";
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
    int raised = 0;
    int left = 0;
    for (Node node : graph.nodes()) {
      boolean raises = QuantParams.isDequantize(node) && raise(rewrite, graph, node);
      raised += raises ? 1 : 0;
      left += !raises && QuantParams.isDequantize(node) ? 1 : 0;
    }
    if (raised + left > 0) {
      context
          .note()
          .accept(
              "raise-qdq: "
                  + raised
                  + " pairs became fq, "
                  + left
                  + " DequantizeLinear of other values stay");
    }
    return rewrite.apply();
  }

  private static boolean raise(Rewrite rewrite, Graph graph, Node dequantize) {
    Optional<Node> quantize = graph.producer(dequantize.input(0)).filter(QuantParams::isQuantize);
    Optional<QuantParams> after = QuantParams.of(graph, dequantize);
    Optional<QuantParams> before = quantize.flatMap(q -> QuantParams.of(graph, q));
    boolean equal = before.isPresent() && after.isPresent() && before.get().same(after.get());
    boolean floats =
        equal
            && rewrite
                .tensorType(quantize.get().input(0))
                .map(TensorType::dtype)
                .equals(Optional.of(DType.F32))
            && before.get().scale().dtype() == DType.F32
            && quantize.get().attributes().keySet().stream().allMatch("axis"::equals)
            && Set.of(DType.U8, DType.I8, DType.U16, DType.I16).contains(before.get().codes());
    if (!floats) {
      return false;
    }
    Map<String, Attribute> attributes =
        before.get().perTensor()
            ? Map.of()
            : Map.of("axis", new Attribute.IntAttr(before.get().axis()));
    Value zero =
        quantize.get().input(2).isPresent() ? quantize.get().input(2) : dequantize.input(2);
    if (!zero.isPresent()) {
      zero = rewrite.edit().constant("", org.tersor.ir.graph.Constant.of(before.get().zeroPoint()));
    }
    rewrite.edit().importDomain(OpKey.TERSOR, 1);
    Node fq =
        new Node(
            dequantize.id(),
            dequantize.name(),
            new OpKey(OpKey.TERSOR, FakeQuant.TYPE, 1),
            List.of(quantize.get().input(0), quantize.get().input(1), zero),
            dequantize.outputs(),
            attributes);
    rewrite.edit().replace(dequantize, List.of(fq));
    return true;
  }
}
