package org.tersor.ir.op;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.runtime.TersorException;

/** Operators of a model that the registry does not know, all of them at once. */
public final class UnsupportedOps {
  private static final int SHOWN = 200;

  private UnsupportedOps() {}

  /**
   * An operator that is not known.
   *
   * @param op with its version, as {@link org.tersor.ir.graph.OpKey#toString}
   * @param first label of the first node of it
   */
  public record Missing(String op, int count, String first) {
    @Override
    public String toString() {
      return op + " (x" + count + ", first at " + first + ")";
    }
  }

  /** By operator, sorted; bodies included. */
  public static List<Missing> find(Graph graph, OpRegistry operators) {
    Map<String, Missing> missing = new TreeMap<>();
    collect(graph, operators, missing);
    return List.copyOf(missing.values());
  }

  /** A diagnostic TSR-0201 that lists them, if there are any. */
  public static Optional<TersorException> diagnostic(Graph graph, OpRegistry operators) {
    List<Missing> missing = find(graph, operators);
    if (missing.isEmpty()) {
      return Optional.empty();
    }
    String list =
        missing.stream().limit(SHOWN).map(Missing::toString).collect(Collectors.joining(", "));
    String more = missing.size() > SHOWN ? ", and " + (missing.size() - SHOWN) + " more" : "";
    return Optional.of(
        new TersorException(
            "TSR-0201",
            (missing.size() == 1 ? "1 operator is" : missing.size() + " operators are")
                + " not supported: "
                + list
                + more));
  }

  /** Throws {@link #diagnostic}, if there is one. */
  public static void check(Graph graph, OpRegistry operators) {
    diagnostic(graph, operators)
        .ifPresent(e -> {
          throw e;
        });
  }

  private static void collect(Graph graph, OpRegistry operators, Map<String, Missing> missing) {
    for (Node node : graph.nodes()) {
      if (operators.find(node.op()).isEmpty()) {
        String op = shortened(node.op().toString());
        Missing first = missing.getOrDefault(op, new Missing(op, 0, shortened(node.label())));
        missing.put(op, new Missing(op, first.count() + 1, first.first()));
      }
      for (Graph body : Graph.bodies(node)) {
        collect(body, operators, missing);
      }
    }
  }

  /** Text of a model in a message: short, and without control characters. */
  private static String shortened(String text) {
    List<String> parts = new ArrayList<>();
    text.codePoints()
        .limit(100)
        .forEach(c -> parts.add(Character.isISOControl(c) ? "?" : Character.toString(c)));
    return String.join("", parts) + (text.length() > 100 ? "..." : "");
  }
}
