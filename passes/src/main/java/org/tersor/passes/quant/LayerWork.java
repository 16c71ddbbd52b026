package org.tersor.passes.quant;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.WeightLayout;
import org.tersor.passes.infer.TypeInference;

/**
 * What a layer with weights computes, as far as its time depends on it.
 *
 * @param products multiplications of one call
 * @param depth products that one result sums
 * @param intensity products by elements read and written: about 1 for a matrix times a vector, a
 *     few for depthwise convolutions, tens and more where a value is used again and again
 */
public record LayerWork(double products, double depth, double intensity) {
  public LayerWork {
    if (!(products >= 1 && depth >= 1 && intensity > 0)) {
      throw new IllegalArgumentException(products + ", " + depth + ", " + intensity);
    }
  }

  /** The work of each layer with weights, in order; symbolic dimensions count as 1. */
  public static Map<Node, LayerWork> of(Graph graph, OpRegistry operators) {
    TypeInference.Inferred inferred = TypeInference.infer(graph, operators, note -> {});
    Map<Node, LayerWork> work = new LinkedHashMap<>();
    for (Node node : graph.nodes()) {
      operators
          .find(node.op())
          .flatMap(o -> o.weights(inferred.scope().context(node)))
          .flatMap(layout -> of(graph, node, layout))
          .ifPresent(w -> work.put(node, w));
    }
    return work;
  }

  private static Optional<LayerWork> of(Graph graph, Node node, WeightLayout layout) {
    Value weight = node.input(layout.input());
    Optional<double[]> shape = shape(graph, weight);
    double results = elements(graph, node.output(0));
    if (shape.isEmpty() || results < 1) {
      return Optional.empty();
    }
    double depth =
        layout.columns().stream().mapToDouble(d -> shape.get()[d]).reduce(1, (a, b) -> a * b);
    double products = results * depth;
    double moved = results;
    for (Value input : node.inputs()) {
      moved += input.isPresent() ? elements(graph, input) : 0;
    }
    return products < 1
        ? Optional.empty()
        : Optional.of(new LayerWork(products, depth, products / moved));
  }

  /** How unlike another it is: 0 for equal work, about 1 for an octave of everything. */
  double distance(LayerWork other) {
    double size = log(products / other.products) / 2;
    double sum = log(depth / other.depth);
    double reuse = log(intensity / other.intensity);
    return Math.sqrt(size * size + sum * sum + reuse * reuse);
  }

  private static double log(double ratio) {
    return Math.log(ratio) / Math.log(2);
  }

  private static double elements(Graph graph, Value value) {
    double product = 1;
    for (double d : shape(graph, value).orElse(new double[] {0})) {
      product *= d;
    }
    return product;
  }

  private static Optional<double[]> shape(Graph graph, Value value) {
    return graph.type(value) instanceof TensorType type && type.isRanked()
        ? Optional.of(
            type.dims().stream().mapToDouble(d -> d.isConst() ? d.constValue() : 1).toArray())
        : Optional.empty();
  }
}
