package org.tersor.conformance.diff;

import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Differences between Tersor and ONNX Runtime that are known, with the reason. They are counted,
 * never dropped; {@code docs/differences.md} is made from this table.
 */
public final class KnownDifferences {
  private KnownDifferences() {}

  /**
   * @param rule which findings it explains
   * @param what the difference
   * @param why who is right: the sentence of the specification
   */
  public record Known(String id, String operators, String what, String why, Rule rule) {}

  /** See {@link Known}. */
  public interface Rule extends Predicate<Object> {}

  /** The table. */
  public static List<Known> table() {
    return List.of();
  }

  /** The id of what explains a finding. */
  static Optional<String> explain(Finding finding) {
    return table().stream().filter(k -> k.rule().test(finding)).map(Known::id).findFirst();
  }
}
