package org.tersor.ir.format;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Number formats that differ in parameters (bits, who shares a scale, ...), which their ids spell;
 * found by ServiceLoader like {@link NumberFormat}.
 */
public interface FormatFamily {
  /**
   * What a named recipe stands for.
   *
   * @param weights id of the format of weights
   * @param activations id of the format of activations; empty: they stay float
   */
  record Scheme(String weights, Optional<String> activations) {}

  /** Members that lists show: those that have names of their own. */
  List<NumberFormat> listed();

  /** The member that an id spells; empty if it spells none. */
  Optional<NumberFormat> find(String id);

  /** How ids are spelt, in one line for messages. */
  String grammar();

  /** Recipes by name, in lower case. */
  default Map<String, Scheme> schemes() {
    return Map.of();
  }
}
