package org.tersor.conformance.diff;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntPredicate;
import org.tersor.conformance.diff.Finding.Kind;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Node;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** What a rule about one operator may look at: a finding whose smallest graph is one node. */
record Evidence(Finding finding, DrawnGraph small, Node node) {
  static Optional<Evidence> of(Finding finding) {
    return finding
        .small()
        .filter(small -> small.graph().nodes().size() == 1)
        .map(small -> new Evidence(finding, small, small.graph().nodes().getFirst()));
  }

  boolean is(Kind kind, String... operators) {
    return finding.kind() == kind && Set.of(operators).contains(node.op().type());
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

  boolean hasInput(int index) {
    return input(index).isPresent();
  }

  DType type() {
    return in(0).dtype();
  }

  /** Which output differs; 0 if it is not about results. */
  int output() {
    return finding.mismatch().map(Mismatch::output).orElse(0);
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
