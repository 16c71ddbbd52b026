package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.WeightLayout;
import org.tersor.passes.graph.IntegerKernels;
import org.tersor.passes.graph.Names;
import org.tersor.runtime.DType;

/**
 * What is quantized: weights, as operators declare them; the activations that enter and leave
 * layers which can compute with integers (after a ReLU or Clip that follows); and what other
 * operators make from such activations alone.
 *
 * @param weights nodes whose weights are quantized, with their layout
 * @param operands these weights and what else is held in codes, in order
 * @param integer those of them that can compute with integers; their inputs are quantized
 * @param left nodes with weights that stay float, and why
 * @param activations values that get a quantizer
 * @param sharing values that take the quantizer of another: moving elements does not change a range
 */
record Selection(
    Map<Node, WeightLayout> weights,
    List<Operand> operands,
    Set<Node> integer,
    Map<Node, String> left,
    Set<Value> activations,
    Map<Value, Value> sharing) {
  private static final Set<String> MOVES =
      Set.of("MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice");
  private static final Set<String> MIXES =
      Set.of("Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize");

  /**
   * Chooses.
   *
   * @param format of the weights
   * @param coded whether activations are quantized too
   * @param keep what stays float
   */
  static Selection of(
      Graph graph, OpRegistry operators, FormatDef format, boolean coded, Keep keep) {
    Names names = new Names(graph);
    Map<Node, WeightLayout> weights = new LinkedHashMap<>();
    List<Operand> chosen = new ArrayList<>();
    Set<Node> integer = new LinkedHashSet<>();
    Map<Node, String> left = new LinkedHashMap<>();
    Set<Value> activations = new LinkedHashSet<>();
    Map<Value, Value> sharing = new LinkedHashMap<>();
    for (Operand operand : Operand.of(graph, operators)) {
      Node node = operand.node();
      boolean factor = !operand.stored();
      Optional<String> obstacle =
          keep.obstacle(node, names.of(node))
              .or(() -> obstacle(graph, node, operand.layout(), format, coded && factor));
      if (obstacle.isPresent()) {
        left.put(node, obstacle.get());
        continue;
      }
      chosen.add(operand);
      if (factor) {
        weights.put(node, operand.layout());
      }
      if (factor && coded && IntegerKernels.obstacle(graph, node).isEmpty()) {
        integer.add(node);
        if (!keep.value(names.of(node.input(0)))) {
          activations.add(node.input(0));
        }
      }
    }
    for (Node node : graph.nodes()) {
      if (!node.op().domain().isEmpty()) {
        continue;
      }
      String type = node.op().type();
      Value output = tail(graph, node);
      boolean used =
          !graph.consumers(output).isEmpty()
              && !graph.isOutput(output)
              && !keep.value(names.of(output))
              && !keep.node(node, names.of(node));
      if (integer.contains(node)) {
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
    return new Selection(weights, chosen, integer, left, activations, sharing);
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

  /** Why a weight stays as it is. */
  private static Optional<String> obstacle(
      Graph graph, Node node, WeightLayout layout, FormatDef format, boolean coded) {
    Optional<Constant> weight = graph.constant(node.input(layout.input()));
    if (weight.isEmpty()) {
      return Optional.of("its weights are computed, not constant");
    }
    if (weight.get().dtype() != DType.F32 || weight.get().elements() == 0) {
      return Optional.of("its weights are not float32");
    }
    long bytes = WeightEncoding.bytes(format, layout, weight.get().shape());
    long floats = 4 * weight.get().elements();
    if (!coded && 2 * bytes >= floats) {
      return Optional.of(
          "its rows are too short for the format: " + bytes + " bytes instead of " + floats);
    }
    return WeightEncoding.isFinite(weight.get().load())
        ? Optional.empty()
        : Optional.of("its weights hold infinities or NaNs");
  }

  /**
   * Where the node's result is quantized: behind the bias Add of a MatMul and behind a ReLU or
   * Clip, if nothing else uses it before.
   */
  static Value tail(Graph graph, Node node) {
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
