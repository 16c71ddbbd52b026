package org.tersor.conformance.diff;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.tersor.conformance.diff.Finding.Kind;

/**
 * Differences between Tersor and ONNX Runtime that are known, with the reason. They are counted,
 * never dropped; {@code docs/differences.md} is {@link #markdown}.
 */
final class KnownDifferences {
  private KnownDifferences() {}

  /**
   * One difference.
   *
   * @param kinds of the findings that it explains
   * @param operators of the nodes that it is about, as documents name them; none: any
   * @param what the difference
   * @param why what the specification says, and who is right
   * @param rule which findings about such a node it explains
   * @param inChains whether it explains a finding wherever the node stands in its smallest graph:
   *     only for what nobody can mistake, as memory that was never written
   */
  record Known(
      String id,
      Set<Kind> kinds,
      List<String> operators,
      String what,
      String why,
      Predicate<Evidence> rule,
      boolean inChains) {
    Known(
        String id,
        Kind kind,
        List<String> operators,
        String what,
        String why,
        Predicate<Evidence> rule) {
      this(id, Set.of(kind), operators, what, why, rule, false);
    }

    boolean explains(Evidence evidence) {
      return (evidence.isAlone() || inChains)
          && kinds.contains(evidence.finding().kind())
          && (operators.isEmpty() || operators.contains(evidence.node().op().type()))
          && rule.test(evidence);
    }
  }

  /** The table. */
  static List<Known> table() {
    return Stream.of(
            KnownConversions.table(),
            KnownIntegers.table(),
            KnownValues.table(),
            KnownLearned.table(),
            KnownShapes.table(),
            KnownRefusals.table())
        .flatMap(List::stream)
        .toList();
  }

  /** The id of what explains a finding. */
  static Optional<String> explain(Finding finding) {
    List<Evidence> found = Evidence.of(finding);
    return table().stream()
        .filter(known -> found.stream().anyMatch(known::explains))
        .map(Known::id)
        .findFirst();
  }

  /** The table as a document. */
  static String markdown() {
    StringBuilder text = new StringBuilder();
    text.append(
        """
        # Differences to ONNX Runtime

        `./tersor difftest` makes up small graphs and compares results with ONNX Runtime. Made from the classes `Known...` of
        `conformance`: what is listed is counted by its name there, anything else fails. A rule looks at the smallest part of
        a graph that shows the difference and at one node there: its attributes, operands and the elements that differ. But for
        few rules that say so (memory that was never written), the result that differs must come from this node alone.
        Counts of a run, by kind and by version of operators: versions.md.

        | name | operators | difference | reason |
        |---|---|---|---|
        """);
    for (Known known : table()) {
      text.append("| ")
          .append(known.id())
          .append(" | ")
          .append(known.operators().isEmpty() ? "any" : String.join(", ", known.operators()))
          .append(" | ")
          .append(known.what())
          .append(" | ")
          .append(known.why())
          .append(" |\n");
    }
    text.append('\n').append(Approximations.markdown());
    return text.toString();
  }
}
