package org.tersor.cli;

import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;

/** An If of one result. */
final class Choice {
  private Choice() {}

  /**
   * Adds it.
   *
   * @param result its name
   */
  static Value of(
      GraphBuilder b, String name, String result, Value condition, Graph then, Graph otherwise) {
    Value chosen = b.value(result, ValueType.UNKNOWN);
    b.addNode(
        name,
        "",
        "If",
        Map.of(
            "then_branch", new Attribute.GraphAttr(then),
            "else_branch", new Attribute.GraphAttr(otherwise)),
        List.of(condition),
        List.of(chosen));
    return chosen;
  }
}
