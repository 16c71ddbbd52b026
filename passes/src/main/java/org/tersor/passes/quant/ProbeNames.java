package org.tersor.passes.quant;

import java.util.stream.Stream;
import org.tersor.ir.graph.Graph;

/** Names of inputs and outputs that a model gets only to be measured. */
final class ProbeNames {
  private ProbeNames() {}

  /** A beginning that no input and no output of the graph has. */
  static String prefix(Graph graph, String wanted) {
    String prefix = wanted;
    while (isTaken(graph, prefix)) {
      prefix = "_" + prefix;
    }
    return prefix;
  }

  private static boolean isTaken(Graph graph, String prefix) {
    return Stream.concat(graph.inputs().stream(), graph.outputs().stream())
        .anyMatch(value -> value.name().startsWith(prefix));
  }
}
