package org.tersor.conformance.diff;

import static java.util.stream.Collectors.joining;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.LongFunction;
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
   * The table of what runs gave.
   *
   * @param now what the graph of a seed gives now, in words
   */
  static String markdown(OpRegistry operators, Tally tally, LongFunction<String> now) {
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
      Map<Integer, Long> compared = new LinkedHashMap<>();
      List<String> missing = new ArrayList<>();
      for (int version : schema.versions()) {
        long count = tally.versions().getOrDefault(key(schema, version), 0L);
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
    CastMap and DictVectorizer read a map, which no operator gives (ZipMap gives a sequence of maps, and SequenceAt takes sequences of
    tensors): the generator does not draw them. They are compared with ONNX Runtime, as are the maps of ZipMap, in `OrtWorkerTest`.
    %d of %d versions were compared.

    | operator | compared (nodes) | not compared |
    |---|---|---|
    """
            .formatted(command(tally), seen, all)
        + rows
        + run(tally, now);
  }

  private static String command(Tally tally) {
    Set<Long> graphs = new TreeSet<>(tally.runs().values());
    String seeds =
        tally.runs().keySet().stream().map(seed -> Long.toString(seed)).collect(joining(" "));
    return "./tersor difftest --graphs "
        + graphs.stream().map(n -> Long.toString(n)).collect(joining(" or "))
        + " --seed "
        + (tally.runs().size() == 1 ? seeds : "S --tally FILE")
        + " --docs docs"
        + (tally.runs().size() == 1 ? "" : "` with S in `" + seeds);
  }

  private static String run(Tally tally, LongFunction<String> now) {
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            """

            ## The run

            %,d graphs of %,d nodes. Outcomes: %s.

            Disagreements by rule of differences.md: %s.
            """,
            tally.graphs(),
            tally.nodes(),
            list(tally.outcomes()),
            list(tally.known())));
    if (tally.unexplained().isEmpty()) {
      return text.append("\nNo disagreement was without a rule.\n").toString();
    }
    text.append(
        """

        Without a rule when the graphs were run, and what `./tersor difftest --graphs 1 --seed S` gave when this was written:

        | disagreement | first seed | now |
        |---|---|---|
        """);
    tally
        .unexplained()
        .forEach((what, seed) ->
            text.append("| ")
                .append(what)
                .append(" | ")
                .append(seed)
                .append(" | ")
                .append(now.apply(seed))
                .append(" |\n"));
    return text.toString();
  }

  private static String list(Map<String, Long> counts) {
    return counts.entrySet().stream()
        .sorted(
            Map.Entry.<String, Long>comparingByValue()
                .reversed()
                .thenComparing(Map.Entry.comparingByKey()))
        .map(e -> String.format(Locale.ROOT, "%s %,d", e.getKey(), e.getValue()))
        .collect(joining(", "));
  }
}
