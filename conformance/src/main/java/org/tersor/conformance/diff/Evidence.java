package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * What a rule about one operator may look at: the smallest graph that shows a finding, and a node.
 *
 * @param isAlone whether what differs, or is refused, comes from this node and no other
 */
record Evidence(Finding finding, DrawnGraph small, Node node, boolean isAlone) {
  /** Nodes that may be at fault: of results those that lead to the one that differs. */
  static List<Evidence> of(Finding finding) {
    if (finding.small().isEmpty()) {
      return List.of();
    }
    DrawnGraph small = finding.small().get();
    List<Node> nodes =
        finding
            .mismatch()
            .map(mismatch -> leadingTo(small.graph(), mismatch.output()))
            .orElseGet(() -> small.graph().nodes());
    Stream<Evidence> own =
        nodes.stream().map(node -> new Evidence(finding, small, node, nodes.size() == 1));
    Stream<Evidence> inBodies =
        finding.mismatch().isPresent()
            ? Stream.empty()
            : nodes.stream()
                .flatMap(node -> inBodies(small, node))
                .map(node -> new Evidence(finding, small, node, false));
    return Stream.concat(own, inBodies).toList();
  }

  /** Nodes of bodies whose operands come from outside, so that they are known. */
  private static Stream<Node> inBodies(DrawnGraph small, Node node) {
    return Graph.bodies(node).stream()
        .flatMap(body -> body.nodes().stream())
        .flatMap(inner -> Stream.concat(Stream.of(inner), inBodies(small, inner)))
        .filter(inner ->
            inner.inputs().stream()
                .allMatch(input -> !input.isPresent() || small.values().containsKey(input)));
  }

  private static List<Node> leadingTo(Graph graph, int output) {
    Set<Value> wanted = new HashSet<>(List.of(graph.outputs().get(output)));
    List<Node> found = new ArrayList<>();
    for (Node node : graph.nodes().reversed()) {
      if (node.outputs().stream().anyMatch(wanted::contains)) {
        found.add(node);
        wanted.addAll(Graph.usedValues(node));
      }
    }
    return found.reversed();
  }

  boolean says(String text) {
    return finding.detail().contains(text);
  }

  int version() {
    return node.op().version();
  }

  boolean has(String attribute) {
    return node.attributes().containsKey(attribute);
  }

  long number(String attribute, long otherwise) {
    return node.attributes().get(attribute) instanceof Attribute.IntAttr(long value)
        ? value
        : otherwise;
  }

  double real(String attribute, double otherwise) {
    return node.attributes().get(attribute) instanceof Attribute.FloatAttr(float value)
        ? value
        : otherwise;
  }

  String word(String attribute, String otherwise) {
    return node.attributes().get(attribute) instanceof Attribute.StringAttr(String value)
        ? value
        : otherwise;
  }

  List<Long> numbers(String attribute) {
    return node.attributes().get(attribute) instanceof Attribute.IntsAttr(List<Long> values)
        ? values
        : List.of();
  }

  /** An input, if it is there. */
  Optional<Tensor> input(int index) {
    return index < node.inputs().size()
        ? Optional.ofNullable(small.values().get(node.input(index)))
        : Optional.empty();
  }

  Tensor in(int index) {
    return input(index).orElseThrow(() -> new IllegalStateException("no input " + index));
  }

  /** Whether an input is a weight of the model rather than given at run time. */
  boolean isWeight(int index) {
    return small.graph().constant(node.input(index)).isPresent();
  }

  /** Whether the result that differs is one of this node. */
  boolean isResult() {
    return finding
        .mismatch()
        .map(found -> node.outputs().contains(small.graph().outputs().get(found.output())))
        .orElse(false);
  }

  /** A result of the node as the interpreter has it, if it was computed. */
  Optional<Tensor> result(int index) {
    return Optional.ofNullable(small.values().get(node.output(index)));
  }

  /** Type of the result, which may be compared in a wider one. */
  DType resultType() {
    return result(output()).map(Tensor::dtype).orElseGet(() -> ours().dtype());
  }

  /** The largest magnitude of all elements. */
  static double largest(Tensor tensor) {
    double largest = 0;
    for (int i = 0; i < tensor.size(); i++) {
      largest = Math.max(largest, Math.abs(tensor.getDouble(i)));
    }
    return largest;
  }

  /** Whether an operand has no elements. */
  boolean hasEmptyOperand() {
    return IntStream.range(0, node.inputs().size())
        .anyMatch(i -> input(i).map(tensor -> tensor.size() == 0).orElse(false));
  }

  boolean hasInput(int index) {
    return input(index).isPresent();
  }

  DType type() {
    return in(0).dtype();
  }

  /** Which output of the node differs; 0 if it is none of its own, or not about results. */
  int output() {
    int index =
        finding
            .mismatch()
            .map(found -> node.outputs().indexOf(small.graph().outputs().get(found.output())))
            .orElse(0);
    return Math.max(0, index);
  }

  /** The largest difference, infinite if it is not about numbers. */
  double difference() {
    return finding.mismatch().map(Mismatch::difference).orElse(Double.POSITIVE_INFINITY);
  }

  Tensor ours() {
    return finding.mismatch().orElseThrow().ours();
  }

  Tensor theirs() {
    return finding.mismatch().orElseThrow().theirs();
  }

  /** Whether a condition holds for every element that differs, and some do. */
  boolean each(IntPredicate condition) {
    List<Integer> elements = finding.mismatch().map(Mismatch::elements).orElse(List.of());
    return !elements.isEmpty() && elements.stream().allMatch(condition::test);
  }

  /** Whether a real number has no place in an integer type. */
  static boolean leaves(DType type, double value) {
    return !(value > type.minValue() - 1.0 && value < type.maxValue() + 1.0)
        || (type.bits() == 64 && Math.abs(value) >= 0x1p63);
  }
}
