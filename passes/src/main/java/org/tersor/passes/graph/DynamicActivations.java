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
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.DType;

/**
 * Gives what layers read codes when the model runs: each row on a grid of its own ({@link
 * DynamicFakeQuant}), or the whole tensor on one (DynamicQuantizeLinear). There is one quantizer
 * for all that read a value, so that layers beside each other multiply with the same codes.
 */
public final class DynamicActivations implements Pass {
  public static final String ID = "dynamic-activations";

  private final DynamicGrid grid;
  private final Predicate<Node> layers;

  /**
   * @param layers nodes whose first operand is coded, where the grid fits them
   */
  public DynamicActivations(DynamicGrid grid, Predicate<Node> layers) {
    this.grid = grid;
    this.layers = layers;
  }

  @Override
  public String id() {
    return ID;
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
      if (!grid.fits(node)
          || !(graph.type(x) instanceof TensorType found && found.dtype() == DType.F32)) {
        left.add(node.label());
        continue;
      }
      Value y = coded.get(x);
      if (y == null) {
        TensorType type = rewrite.tensorType(x).orElseThrow();
        y = rewrite.edit().value("", type);
        coded.put(x, y);
        grid.nodes(rewrite.edit(), graph.opset(""), x, type, y).forEach(rewrite.edit()::add);
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
                + grid.id()
                + (left.isEmpty() ? "" : "; not those of " + left + ", which have no rows"));
    return rewrite.apply();
  }
}
