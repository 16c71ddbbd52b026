package org.tersor.conformance.diff;

import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * Differences between Tersor and ONNX Runtime that are known, with the reason. They are counted,
 * never dropped; {@code docs/differences.md} is {@link #markdown}.
 */
final class KnownDifferences {
  private KnownDifferences() {}

  /**
   * One difference.
   *
   * @param what the difference
   * @param why what the specification says, and who is right
   * @param rule which findings about one node it explains
   */
  record Known(String id, String operators, String what, String why, Predicate<Evidence> rule) {}

  /** The table. */
  static List<Known> table() {
    return Stream.concat(KnownValues.table().stream(), KnownRefusals.table().stream()).toList();
  }

  /** The id of what explains a finding. */
  static Optional<String> explain(Finding finding) {
    return Evidence.of(finding)
        .flatMap(evidence ->
            table().stream().filter(k -> k.rule().test(evidence)).map(Known::id).findFirst());
  }

  /** The table as a document. */
  static String markdown() {
    StringBuilder text = new StringBuilder();
    text.append(
        """
        # Differences to ONNX Runtime

        `./tersor difftest` makes up small graphs and compares results with ONNX Runtime. Made from `KnownValues` and
        `KnownRefusals`: what is listed is counted by its name there, anything else fails. A rule looks at the smallest part of
        a graph that shows the difference, which must be one node, and at its attributes, operands and the elements that differ.
        Counts of a run, by kind and by version of operators: versions.md.

        | name | operators | difference | reason |
        |---|---|---|---|
        """);
    for (Known known : table()) {
      text.append("| ")
          .append(known.id())
          .append(" | ")
          .append(known.operators())
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
