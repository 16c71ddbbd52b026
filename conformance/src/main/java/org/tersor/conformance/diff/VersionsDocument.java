package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.Operator;

/** Which versions of which operators were compared with ONNX Runtime in a run. */
final class VersionsDocument {
  private VersionsDocument() {}

  /** How an operator of a version is called in the counts: {@code domain.Name-since}. */
  static String key(OpSchema schema, int version) {
    int since =
        schema.versions().stream().filter(v -> v <= version).max(Integer::compare).orElse(0);
    return (schema.domain().isEmpty() ? "" : schema.domain() + ".") + schema.name() + "-" + since;
  }

  /**
   * The table.
   *
   * @param counts nodes in graphs that agree, by {@link #key}
   */
  static String markdown(OpRegistry operators, Map<String, Integer> counts, String run) {
    Map<String, OpSchema> schemas = new TreeMap<>();
    for (Operator operator : operators.all()) {
      OpSchema schema = operator.schema();
      if (GraphGenerator.DOMAINS.containsKey(schema.domain())) {
        schemas.put(schema.domain() + " " + schema.name(), schema);
      }
    }
    StringBuilder rows = new StringBuilder();
    int seen = 0;
    int all = 0;
    for (OpSchema schema : schemas.values()) {
      Map<Integer, Integer> compared = new LinkedHashMap<>();
      List<String> missing = new ArrayList<>();
      for (int version : schema.versions()) {
        int count = counts.getOrDefault(key(schema, version), 0);
        all++;
        if (count > 0) {
          seen++;
          compared.put(version, count);
        } else {
          missing.add(Integer.toString(version));
        }
      }
      List<String> texts = new ArrayList<>();
      compared.forEach((version, count) -> texts.add(version + " (" + count + ")"));
      rows.append("| ")
          .append(schema.domain().isEmpty() ? "" : schema.domain() + " ")
          .append(schema.name())
          .append(" | ")
          .append(String.join(", ", texts))
          .append(" | ")
          .append(String.join(", ", missing))
          .append(" |\n");
    }
    return """
    # Versions of operators compared with ONNX Runtime

    Made by `%s`. A number in parentheses counts the nodes of that version in graphs whose results agree. Not compared are versions
    that ONNX Runtime has no kernel for (most before opset 7, all after 27), operators whose results are random, and those that the
    generator does not draw (see `OpSchema.sample`); many of these are in the conformance suite (conformance.md).
    %d of %d versions were compared.

    | operator | compared (nodes) | not compared |
    |---|---|---|
    """
            .formatted(run, seen, all)
        + rows;
  }
}
