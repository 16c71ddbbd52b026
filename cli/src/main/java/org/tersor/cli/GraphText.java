package org.tersor.cli;

import java.util.stream.Collectors;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;

/** A graph for reading, one node per line, weights by type only. */
final class GraphText {
  private GraphText() {}

  static String of(Graph graph) {
    StringBuilder text = new StringBuilder("graph (");
    text.append(
            graph.inputs().stream()
                .map(v -> v + " '" + v.name() + "': " + graph.type(v))
                .collect(Collectors.joining(", ")))
        .append(") {\n");
    graph
        .constants()
        .forEach((v, c) ->
            text.append("  ").append(v).append(" = constant ").append(c.type()).append('\n'));
    for (Node node : graph.nodes()) {
      text.append("  ")
          .append(node.outputs().stream().map(Value::toString).collect(Collectors.joining(", ")))
          .append(" = ")
          .append(node.op());
      text.append('(')
          .append(
              node.inputs().stream()
                  .map(v -> v.isPresent() ? v.toString() : "_")
                  .collect(Collectors.joining(", ")))
          .append(')');
      if (!node.attributes().isEmpty()) {
        text.append(
            node.attributes().entrySet().stream()
                .map(e -> e.getKey() + "=" + of(e.getValue()))
                .collect(Collectors.joining(", ", " {", "}")));
      }
      text.append(" : ")
          .append(
              node.outputs().stream()
                  .map(v -> graph.type(v).toString())
                  .collect(Collectors.joining(", ")))
          .append('\n');
    }
    return text.append("  return ")
        .append(
            graph.outputs().stream()
                .map(v -> v + " '" + v.name() + "'")
                .collect(Collectors.joining(", ")))
        .append("\n}")
        .toString();
  }

  private static String of(Attribute attribute) {
    return switch (attribute) {
      case Attribute.IntAttr a -> Long.toString(a.value());
      case Attribute.FloatAttr a -> Float.toString(a.value());
      case Attribute.StringAttr a -> '"' + a.value() + '"';
      case Attribute.IntsAttr a -> a.values().toString();
      case Attribute.FloatsAttr a -> a.values().toString();
      case Attribute.StringsAttr a -> a.values().toString();
      case Attribute.TensorAttr a -> a.value().type().toString();
      case Attribute.TypeAttr a -> a.value().toString();
      case Attribute.GraphAttr a -> "graph of " + a.value().nodes().size() + " nodes";
      case Attribute.TensorsAttr a -> a.values().size() + " tensors";
      case Attribute.GraphsAttr a -> a.values().size() + " graphs";
      case Attribute.TypesAttr a -> a.values().size() + " types";
    };
  }
}
