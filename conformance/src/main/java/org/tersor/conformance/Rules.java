package org.tersor.conformance;

import java.util.Optional;
import java.util.Set;
import org.tersor.conformance.Comparison.Rule;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.passes.graph.FakeQuant;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Which differences an output of a model may show. */
final class Rules {
  private static final Set<String> SAME_STEP =
      Set.of(
          "Reshape",
          "Flatten",
          "Squeeze",
          "Unsqueeze",
          "Transpose",
          "Identity",
          "Slice",
          "Gather",
          "Concat",
          "Split",
          "MaxPool",
          "Relu");

  private Rules() {}

  /** Whether the model computes with quantized integers. */
  static boolean isQuantized(Graph graph) {
    return graph.nodes().stream()
        .anyMatch(n ->
            n.op().type().contains("uantize")
                || n.op().type().equals(FakeQuant.TYPE)
                || n.op().type().startsWith("QLinear"));
  }

  /** The rule of an output; of a half precision model see {@link Verifier}. */
  static Rule of(Graph graph, Value output, Tensor expected) {
    DType dtype = expected.dtype();
    if (!dtype.isFloat() && !dtype.isComplex()) {
      return isQuantized(graph) && dtype.isInteger() && dtype.bits() <= 8
          ? new Rule.Steps(1, 1)
          : new Rule.Exact();
    }
    if (isQuantized(graph)) {
      return new Rule.Steps(step(graph, output).orElseGet(() -> range(expected) / 255), 1);
    }
    return Comparison.FLOAT32;
  }

  /**
   * Size of one quantization step of a float output that comes from a DequantizeLinear. Through a
   * Softmax a step s of one score moves a probability p by about p (1 - p) s, at most s / 4, and
   * all others may move too: s / 2.
   */
  private static Optional<Double> step(Graph graph, Value output) {
    double factor = 1;
    Value value = output;
    for (int hops = 0; hops < 16; hops++) {
      Optional<Node> producer = graph.producer(value);
      if (producer.isEmpty()) {
        return Optional.empty();
      }
      Node node = producer.get();
      String type = node.op().type();
      if (type.equals("DequantizeLinear") || type.equals(FakeQuant.TYPE)) {
        double found = factor;
        return graph.constant(node.input(1)).map(scale -> found * largest(scale.load()));
      }
      if (type.equals("Softmax")) {
        factor *= .5;
      } else if (!SAME_STEP.contains(type)) {
        return Optional.empty();
      }
      value = node.input(0);
    }
    return Optional.empty();
  }

  private static double largest(Tensor scale) {
    double max = 0;
    for (int i = 0; i < scale.size(); i++) {
      max = Math.max(max, Math.abs(scale.getDouble(i)));
    }
    return max;
  }

  private static double range(Tensor tensor) {
    double min = 0;
    double max = 0;
    for (int i = 0; i < tensor.size(); i++) {
      min = Math.min(min, tensor.getDouble(i));
      max = Math.max(max, tensor.getDouble(i));
    }
    return max == min ? 1 : max - min;
  }
}
