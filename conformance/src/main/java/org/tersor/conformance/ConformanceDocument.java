package org.tersor.conformance;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.tersor.conformance.ConformanceRunner.Computed;
import org.tersor.conformance.ConformanceRunner.Summary;
import org.tersor.runtime.TersorException;

/** What the suite says of each backend, and why cases fail. */
public final class ConformanceDocument {
  private static final String HEAD =
      """
      # ONNX backend suite

      Made by `./tersor conformance DIR --docs docs`, which runs every case on every backend below. The tolerance is the suite's own:
      relative 1e-3 and absolute 1e-7. A case that cannot run has failed; none is skipped. Reasons are in `conformance-reasons.txt`.

      """;

  private final Map<String, String> reasons;

  /**
   * @param reasons lines of a case's name or a pattern with {@code *}, a colon, why it fails; empty
   *     lines and those that begin with {@code #} count nothing
   */
  public ConformanceDocument(String reasons) {
    Map<String, String> all = new LinkedHashMap<>();
    for (String line : reasons.lines().toList()) {
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String[] parts = line.split(":", 2);
      if (parts.length != 2) {
        throw new TersorException("TSR-0902", "no reason after a colon in the line: " + line);
      }
      all.put(parts[0].strip(), parts[1].strip());
    }
    this.reasons = all;
  }

  /** Why a case fails; empty if nothing is known. */
  public String reason(String name) {
    return reasons.entrySet().stream()
        .filter(
            e -> name.matches(java.util.regex.Pattern.quote(e.getKey()).replace("*", "\\E.*\\Q")))
        .map(Map.Entry::getValue)
        .findFirst()
        .orElse("");
  }

  /** Cases that fail without a known reason, on any backend. */
  public List<String> unexplained(Map<String, Summary> runs) {
    TreeSet<String> names = new TreeSet<>();
    runs.values()
        .forEach(summary ->
            summary.outcomes().stream()
                .filter(o -> !o.passed() && reason(o.name()).isEmpty())
                .forEach(o -> names.add(o.name())));
    return List.copyOf(names);
  }

  /**
   * The document.
   *
   * @param runs by backend
   * @param others results of other programs on the same cases: name to passed cases
   */
  public String of(Map<String, Summary> runs, Map<String, Integer> others) {
    int cases = runs.values().iterator().next().outcomes().size();
    StringBuilder text = new StringBuilder(HEAD);
    text.append(
        "| run by | passed of "
            + cases
            + " | by generated code | with the host | when compiled | nodes as kernels | nodes on the host | nodes folded |\n");
    text.append("|---|---|---|---|---|---|---|---|\n");
    runs.forEach((backend, s) -> {
      List<String> cells = new ArrayList<>(List.of("`" + backend + "`", s.passed() + ""));
      for (Computed computed : Computed.values()) {
        cells.add(s.cases().get(computed) + "");
      }
      cells.add(s.nodes().kernel() + "");
      cells.add(s.nodes().host() + "");
      cells.add(s.nodes().folded() + "");
      text.append("| ").append(String.join(" | ", cells)).append(" |\n");
    });
    others.forEach(
        (name, passed) -> text.append("| " + name + " | " + passed + " | | | | | | |\n"));
    text.append("\nThe interpreter evaluates nodes in Java, which counts as the host.\n");
    Map<String, List<String>> failed = new TreeMap<>();
    runs.forEach((backend, s) ->
        s.outcomes().stream()
            .filter(o -> !o.passed())
            .forEach(o -> failed.computeIfAbsent(o.name(), n -> new ArrayList<>()).add(backend)));
    text.append("\n## Cases that fail\n\n| case | on | why |\n|---|---|---|\n");
    failed.forEach((name, backends) ->
        text.append(
            "| "
                + name
                + " | "
                + String.join(", ", backends)
                + " | "
                + (reason(name).isEmpty() ? "not known" : reason(name))
                + " |\n"));
    return text.toString();
  }
}
