package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DimExpr;

/**
 * Declares dimensions as open where a branch contradicts them. With dimensions that were given, a
 * branch that only other calls take may have no types; Tersor leaves such a branch alone, other
 * runtimes refuse the whole file, though not one that says nothing of these dimensions.
 */
public final class OpenDims {
  private OpenDims() {}

  /** The graph; where a body of it has no types, dimension D of input X is the symbol X_D. */
  public static Graph where(Graph graph, OpRegistry operators) {
    if (hold(graph, operators)) {
      return graph;
    }
    Map<Value, ValueType> types = new LinkedHashMap<>();
    graph
        .types()
        .forEach((value, type) -> {
          boolean constant = graph.constant(value).isPresent();
          types.put(
              value,
              !constant && type instanceof TensorType tensor
                  ? TensorType.unranked(tensor.dtype())
                  : type);
        });
    List<Value> ports = new ArrayList<>(graph.inputs());
    ports.addAll(graph.outputs());
    for (Value port : ports) {
      if (graph.type(port) instanceof TensorType tensor && tensor.isRanked()) {
        List<DimExpr> dims = new ArrayList<>();
        for (DimExpr dim : tensor.dims()) {
          dims.add(dim.isConst() ? DimExpr.symbol(port.name() + "_" + dims.size()) : dim);
        }
        types.put(port, TensorType.of(tensor.dtype(), dims));
      }
    }
    return graph.withTypes(types);
  }

  /** Whether the types in all bodies of a graph hold. */
  private static boolean hold(Graph graph, OpRegistry operators) {
    return Bodies.of(graph).stream()
        .allMatch(body ->
            TypeInference.holds(body.closed(), operators) && hold(body.closed(), operators));
  }
}
