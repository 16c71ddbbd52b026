package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;

/**
 * Names that plans use: the file's where it is given once, else with the id, which is the same for
 * the same file. What stands in a body has the path of the body before its name; no name of the
 * graph around it begins so.
 */
public final class Names {
  private final Map<String, Integer> values = new HashMap<>();
  private final Map<String, Integer> nodes = new HashMap<>();
  private final List<String> taken = new ArrayList<>();
  private final String path;

  /**
   * @param graph a model, or a body that {@link Bodies} has closed
   */
  public Names(Graph graph) {
    this.path = Bodies.path(graph);
    graph.inputs().forEach(input -> values.merge(input.name(), 1, Integer::sum));
    for (Node node : graph.nodes()) {
      nodes.merge(node.name(), 1, Integer::sum);
      node.outputs().forEach(output -> values.merge(output.name(), 1, Integer::sum));
      for (String slot : Bodies.slots(node)) {
        taken.add(Bodies.step(node.name(), slot));
        taken.add(Bodies.step(withId(node), slot));
      }
    }
  }

  /** What all names begin with: the path of the body; empty for a model. */
  public String path() {
    return path;
  }

  /** The name of a value of the graph. */
  public String of(Value value) {
    String name = value.name();
    return path + (isClear(name, values) ? name : name + "%" + value.id());
  }

  /** The name of a node of the graph. */
  public String of(Node node) {
    return path + local(node);
  }

  /** The name of an operand of a node that is stored in a format of its own. */
  public String of(Node node, int operand) {
    return of(node) + "#" + operand;
  }

  /** The path of a body of a node of the graph. */
  String path(Node owner, String slot) {
    return path + Bodies.step(local(owner), slot);
  }

  /** Whether a name is one of this graph, and not of a body in it or of a graph around it. */
  public boolean owns(String name) {
    return name.startsWith(path)
        && taken.stream().noneMatch(step -> name.startsWith(step, path.length()));
  }

  /** The entries whose names are those of this graph. */
  public <T> Map<String, T> own(Map<String, T> all) {
    Map<String, T> own = new java.util.LinkedHashMap<>();
    all.forEach((name, entry) -> {
      if (owns(name)) {
        own.put(name, entry);
      }
    });
    return own;
  }

  private String local(Node node) {
    return isClear(node.name(), nodes) ? node.name() : withId(node);
  }

  private static String withId(Node node) {
    return node.op().type() + "%" + node.id();
  }

  private boolean isClear(String name, Map<String, Integer> counts) {
    return !name.isEmpty()
        && counts.getOrDefault(name, 0) == 1
        && taken.stream().noneMatch(name::startsWith);
  }
}
