package org.tersor.ir.format;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** Values of the fields that a group of codes shares, by name. */
public final class BlockParameters {
  private final Map<String, double[]> fields;

  private BlockParameters(Map<String, double[]> fields) {
    this.fields = fields;
  }

  public static BlockParameters none() {
    return new BlockParameters(Map.of());
  }

  /** The same with one field more. */
  public BlockParameters with(String field, double... values) {
    Map<String, double[]> more = new LinkedHashMap<>(fields);
    more.put(field, values.clone());
    return new BlockParameters(more);
  }

  /** The first element of a field. */
  public double value(String field) {
    return values(field)[0];
  }

  public double[] values(String field) {
    double[] found = fields.get(field);
    if (found == null) {
      throw new IllegalArgumentException("no parameter " + field + " among " + fields.keySet());
    }
    return found.clone();
  }

  Map<String, double[]> fields() {
    return new LinkedHashMap<>(fields);
  }

  @Override
  public String toString() {
    StringBuilder out = new StringBuilder();
    fields.forEach((name, values) -> out.append(name).append(Arrays.toString(values)).append(' '));
    return out.toString().trim();
  }
}
