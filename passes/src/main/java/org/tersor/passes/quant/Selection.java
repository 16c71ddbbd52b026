package org.tersor.passes.quant;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;

/**
 * What is quantized: the weights of Conv, Gemm and MatMul; the activations that enter them and
 * leave them (after a ReLU or Clip that follows); and what other operators make from such
 * activations alone.
 *
 * @param linear nodes whose weights are quantized, with the channel axis
 * @param activations values that get a quantizer
 * @param sharing values that take the quantizer of another: moving elements does not change a range
 */
record Selection(Map<Node, Integer> linear, Set<Value> activations, Map<Value, Value> sharing) {
  private static final Set<String> MOVES =
      Set.of("MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice");
  private static final Set<String> MIXES =
      Set.of("Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize");

  static Selection of(Graph graph) {
    Map<Node, Integer> linear = new LinkedHashMap<>();
    Set<Value> activations = new LinkedHashSet<>();
    Map<Value, Value> sharing = new LinkedHashMap<>();
    for (Node node : graph.nodes()) {
      axis(graph, node)
          .ifPresent(axis -> {
            linear.put(node, axis);
            activations.add(node.input(0));
          });
    }
    for (Node node : graph.nodes()) {
      if (!node.op().domain().isEmpty()) {
        continue;
      }
      String type = node.op().type();
      Value output = tail(graph, node);
      boolean used = !graph.consumers(output).isEmpty() && !graph.isOutput(output);
      if (linear.containsKey(node)) {
        if (used) {
          activations.add(output);
        }
      } else if (used
          && MOVES.contains(type)
          && isQuantized(activations, node.input(0))
          && onlyLayout(graph, node)) {
        if (output.equals(node.output(0))) {
          activations.add(output);
          sharing.put(output, node.input(0));
        }
      } else if (used && MIXES.contains(type) && isFloat(graph, output)) {
        List<Value> operands =
            node.inputs().stream()
                .filter(v -> v.isPresent() && isFloat(graph, v) && graph.constant(v).isEmpty())
                .toList();
        boolean constants =
            node.inputs().stream()
                .anyMatch(v -> graph.constant(v).isPresent() && !type.equals("Resize"));
        if (!operands.isEmpty()
            && !constants
            && operands.stream().allMatch(v -> isQuantized(activations, v))) {
          activations.add(output);
        }
      }
    }
    return new Selection(linear, activations, sharing);
  }

  private static boolean isQuantized(Set<Value> activations, Value value) {
    return activations.contains(value);
  }

  /** MaxPool with an index output is left alone. */
  private static boolean onlyLayout(Graph graph, Node node) {
    return node.outputs().size() == 1 && isFloat(graph, node.output(0));
  }

  private static boolean isFloat(Graph graph, Value value) {
    return graph.type(value) instanceof TensorType type && type.dtype() == DType.F32;
  }

  /** Channel axis of the weights, if the node is a linear layer with constant float weights. */
  private static Optional<Integer> axis(Graph graph, Node node) {
    if (!node.op().domain().isEmpty() || !isFloat(graph, node.input(0))) {
      return Optional.empty();
    }
    Optional<Constant> weight =
        graph.constant(node.input(1)).filter(w -> w.dtype() == DType.F32 && w.elements() > 0);
    if (weight.isEmpty()) {
      return Optional.empty();
    }
    int rank = weight.get().shape().length;
    boolean biasKnown = !node.input(2).isPresent() || graph.constant(node.input(2)).isPresent();
    return switch (node.op().type()) {
      case "Conv" -> biasKnown && rank >= 3 ? Optional.of(0) : Optional.empty();
      case "Gemm" -> {
        boolean plain =
            attribute(node, "alpha", 1) == 1
                && attribute(node, "beta", 1) == 1
                && attribute(node, "transA", 0) == 0;
        yield plain && biasKnown && rank == 2
            ? Optional.of(attribute(node, "transB", 0) != 0 ? 0 : 1)
            : Optional.empty();
      }
      case "MatMul" -> rank == 2 ? Optional.of(1) : Optional.empty();
      default -> Optional.empty();
    };
  }

  private static double attribute(Node node, String name, double otherwise) {
    Attribute attribute = node.attributes().get(name);
    if (attribute instanceof Attribute.IntAttr i) {
      return i.value();
    }
    return attribute instanceof Attribute.FloatAttr f ? f.value() : otherwise;
  }

  /**
   * Where the node's result is quantized: behind the bias Add of a MatMul and behind a ReLU or
   * Clip, if nothing else uses it before.
   */
  private static Value tail(Graph graph, Node node) {
    Value value = node.output(0);
    Set<String> absorbed =
        node.op().is("MatMul") ? Set.of("Add", "Relu", "Clip") : Set.of("Relu", "Clip");
    while (!graph.isOutput(value) && graph.consumers(value).size() == 1) {
      Node user = graph.consumers(value).getFirst();
      Value current = value;
      boolean bias =
          user.op().is("Add")
              && user.inputs().stream()
                  .allMatch(v -> v.equals(current) || graph.constant(v).isPresent());
      if (!user.op().domain().isEmpty()
          || !absorbed.contains(user.op().type())
          || (user.op().is("Add") && !bias)) {
        break;
      }
      value = user.output(0);
    }
    return value;
  }
}
