package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.DType;

/**
 * Puts a {@link DynamicFakeQuant} before layers: one for all that read a value, so that layers
 * beside each other multiply with the same codes.
 */
public final class DynamicActivations implements Pass {
  private final int bits;
  private final Predicate<Node> layers;

  /**
   * @param layers MatMul and Gemm nodes whose first operand is coded
   */
  public DynamicActivations(int bits, Predicate<Node> layers) {
    this.bits = bits;
    this.layers = layers;
  }

  @Override
  public String id() {
    return "dynamic-activations";
  }

  @Override
  public boolean preservesSemantics() {
    return false;
  }

  @Override
  public Set<String> needs() {
    return Set.of("types");
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    Rewrite rewrite = new Rewrite(graph);
    Map<Value, Value> coded = new LinkedHashMap<>();
    Set<String> left = new LinkedHashSet<>();
    for (Node node : graph.nodes()) {
      if (!layers.test(node)) {
        continue;
      }
      Value x = node.input(0);
      boolean rows = node.op().is("MatMul") || node.op().is("Gemm");
      if (!rows || !(graph.type(x) instanceof TensorType type && type.dtype() == DType.F32)) {
        left.add(node.label());
        continue;
      }
      Value y = coded.get(x);
      if (y == null) {
        y = rewrite.edit().value("", graph.type(x));
        coded.put(x, y);
        rewrite.edit().importDomain(OpKey.TERSOR, 1);
        rewrite
            .edit()
            .add(
                new Node(
                    rewrite.edit().freshId(),
                    "",
                    new OpKey(OpKey.TERSOR, DynamicFakeQuant.TYPE, 1),
                    List.of(x),
                    List.of(y),
                    DynamicFakeQuant.attributes(bits, graph.opset(""))));
      }
      List<Value> inputs = new ArrayList<>(node.inputs());
      inputs.set(0, y);
      rewrite.edit().replace(node, List.of(node.withInputs(inputs)));
    }
    context
        .note()
        .accept(
            "dynamic-activations: "
                + coded.size()
                + " values get codes of "
                + bits
                + " bits for each row"
                + (left.isEmpty() ? "" : "; not those of " + left + ", which have no rows"));
    return rewrite.apply();
  }
}
