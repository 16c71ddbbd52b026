package org.tersor.passes.graph;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.TersorException;

/**
 * Gives symbolic dimensions of the inputs values ({@code --dim N=1}); inference then finds the
 * rest.
 */
public final class BindDims implements Pass {
  private final Map<String, Long> dims;

  public BindDims(Map<String, Long> dims) {
    this.dims = new TreeMap<>(dims);
  }

  @Override
  public String id() {
    return "bind-dims";
  }

  @Override
  public boolean preservesSemantics() {
    return false;
  }

  @Override
  public Graph run(Graph graph, PassContext context) {
    if (dims.isEmpty()) {
      return graph;
    }
    SortedSet<String> known = symbols(graph);
    for (var dim : dims.entrySet()) {
      if (!known.contains(dim.getKey())) {
        throw new TersorException(
            "TSR-0307",
            "the model has no dimension '" + dim.getKey() + "'; its dimensions are " + known);
      }
      if (dim.getValue() < 0) {
        throw new TersorException(
            "TSR-0307", "dimension '" + dim.getKey() + "' cannot be " + dim.getValue());
      }
    }
    Map<Value, ValueType> types = new LinkedHashMap<>();
    graph.types().forEach((value, type) -> types.put(value, bind(type)));
    return graph.withTypes(types);
  }

  /** Names of the symbolic dimensions of a graph's inputs: those that can be given a value. */
  public static SortedSet<String> symbols(Graph graph) {
    TreeSet<String> known = new TreeSet<>();
    for (Value input : graph.inputs()) {
      if (graph.type(input) instanceof ValueType.TensorType type) {
        type.shape().ifPresent(shape -> shape.forEach(dim -> known.addAll(dim.symbols())));
      }
    }
    return known;
  }

  private ValueType bind(ValueType type) {
    if (type instanceof ValueType.TensorType tensor && tensor.isRanked()) {
      return ValueType.TensorType.of(
          tensor.dtype(), tensor.dims().stream().map(this::bind).toList());
    }
    return type;
  }

  private DimExpr bind(DimExpr dim) {
    return dim.isConst()
        ? dim
        : dim.substitute(
            name -> dims.containsKey(name) ? DimExpr.of(dims.get(name)) : DimExpr.symbol(name));
  }
}
