package org.tersor.passes.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;

/**
 * Bodies of If, Loop and Scan as graphs of their own, so that whoever works on a graph works on
 * them, too: constants that a body captures are its own there, other captured values are inputs
 * after its own. A closed body knows its path in the model, which {@link Names} puts before its
 * names.
 */
public final class Bodies {
  private static final String PATH = ModelMetadata.TERSOR + "body.path";

  private Bodies() {}

  /**
   * A body.
   *
   * @param owner the node that has it
   * @param open as it stands in the owner's attribute
   * @param closed as a graph of its own
   * @param captured values of the graph around it; {@code ports} are the closed body's inputs for
   *     them, in the same order
   */
  public record Body(
      Node owner, Graph open, Graph closed, List<Value> captured, List<Value> ports) {
    /** Path of the body, which all its names begin with. */
    public String path() {
      return Bodies.path(closed);
    }
  }

  /** The bodies of the nodes of a graph, those inside of them not. */
  public static List<Body> of(Graph graph) {
    List<Body> all = new ArrayList<>();
    map(
        graph,
        (owner, open, path) -> {
          all.add(close(graph, owner, open, path));
          return open;
        });
    return all;
  }

  /**
   * The graph with other bodies, which need types anew.
   *
   * @param change takes a closed body and gives one with the same inputs; it may have more inputs,
   *     which are values of the graph around it
   */
  public static Graph map(Graph graph, UnaryOperator<Graph> change) {
    int[] next = {graph.maxId() + 1};
    return map(
        graph,
        (owner, open, path) -> {
          Body body = close(graph, owner, open, path);
          Graph changed = change.apply(body.closed());
          next[0] = Math.max(next[0], changed.maxId() + 1);
          return changed.equals(body.closed()) ? open : open(graph, body, changed, next);
        });
  }

  /** Path of a closed body; empty for a model. */
  static String path(Graph graph) {
    return graph.metadata().getOrDefault(PATH, "");
  }

  /** How a path goes on from a node to a body. */
  static String step(String node, String slot) {
    return node + "." + slot + "/";
  }

  /** Names of the bodies of a node. */
  static List<String> slots(Node node) {
    List<String> slots = new ArrayList<>();
    node.attributes()
        .forEach((key, attribute) -> {
          if (attribute instanceof Attribute.GraphAttr) {
            slots.add(key);
          } else if (attribute instanceof Attribute.GraphsAttr graphs) {
            for (int i = 0; i < graphs.values().size(); i++) {
              slots.add(key + i);
            }
          }
        });
    return slots;
  }

  private interface Change {
    Graph of(Node owner, Graph open, String path);
  }

  private static Graph map(Graph graph, Change change) {
    if (graph.nodes().stream().allMatch(node -> Graph.bodies(node).isEmpty())) {
      return graph;
    }
    Names names = new Names(graph);
    List<Node> nodes = new ArrayList<>();
    boolean changed = false;
    for (Node node : graph.nodes()) {
      Map<String, Attribute> attributes = new LinkedHashMap<>(node.attributes());
      attributes.replaceAll((key, attribute) ->
          switch (attribute) {
            case Attribute.GraphAttr(Graph body) -> {
              Graph other = change.of(node, body, names.path(node, key));
              yield other.equals(body) ? attribute : new Attribute.GraphAttr(other);
            }
            case Attribute.GraphsAttr(List<Graph> bodies) -> {
              List<Graph> others = new ArrayList<>();
              for (Graph body : bodies) {
                others.add(change.of(node, body, names.path(node, key + others.size())));
              }
              yield others.equals(bodies) ? attribute : new Attribute.GraphsAttr(others);
            }
            default -> attribute;
          });
      boolean same = attributes.equals(node.attributes());
      nodes.add(same ? node : node.withAttributes(attributes));
      changed |= !same;
    }
    return changed
        ? new Graph(
            graph.name(),
            graph.inputs(),
            graph.outputs(),
            nodes,
            graph.constants(),
            graph.types(),
            graph.opsets(),
            graph.metadata())
        : graph;
  }

  private static Body close(Graph around, Node owner, Graph open, String path) {
    Set<String> used = new HashSet<>();
    Map<Value, Value> renamed = new HashMap<>();
    List<Value> inputs = new ArrayList<>();
    for (Value input : open.inputs()) {
      inputs.add(port(input, used, renamed));
    }
    Map<Value, Constant> constants = new LinkedHashMap<>(open.constants());
    Map<Value, ValueType> types = new LinkedHashMap<>(open.types());
    List<Value> captured = new ArrayList<>();
    List<Value> ports = new ArrayList<>();
    for (Value value : open.captured()) {
      if (around.constant(value).isPresent()) {
        constants.put(value, around.constant(value).get());
      } else {
        captured.add(value);
        ports.add(port(value, used, renamed));
        types.put(value, around.type(value));
      }
    }
    inputs.addAll(ports);
    Graph inside = open.withCaptured(renamed);
    List<Value> outputs = new ArrayList<>();
    for (Value output : inside.outputs()) {
      String name = output.name();
      outputs.add(
          name.isEmpty() || !used.add(name)
              ? new Value(output.id(), fresh("out" + outputs.size(), used))
              : output);
    }
    Map<String, String> metadata = new LinkedHashMap<>(open.metadata());
    metadata.put(PATH, path);
    Graph closed =
        new Graph(
            open.name(),
            inputs,
            outputs,
            inside.nodes(),
            constants,
            types,
            open.opsets(),
            metadata);
    return new Body(owner, open, closed, List.copyOf(captured), List.copyOf(ports));
  }

  /** Inputs of a graph that is run have names, and no two have the same. */
  private static Value port(Value value, Set<String> used, Map<Value, Value> renamed) {
    if (!value.name().isEmpty() && used.add(value.name())) {
      return value;
    }
    Value port = new Value(value.id(), fresh("in" + value.id(), used));
    renamed.put(value, port);
    return port;
  }

  private static String fresh(String name, Set<String> used) {
    String free = name;
    while (!used.add(free)) {
      free = free + "_";
    }
    return free;
  }

  /** A changed body as it stands in an attribute. */
  private static Graph open(Graph around, Body body, Graph changed, int[] next) {
    Set<Integer> known = new HashSet<>();
    collect(body.closed(), known);
    Map<Value, Value> names = new HashMap<>();
    for (int i = 0; i < body.captured().size(); i++) {
      names.put(body.ports().get(i), body.captured().get(i));
    }
    Map<Value, Constant> constants = new LinkedHashMap<>(changed.constants());
    // New constants have ids that may be those of others around it: they get fresh ones below.
    body.open().captured().stream()
        .filter(value -> around.constant(value).isPresent())
        .forEach(constants::remove);
    Map<Value, ValueType> types = new LinkedHashMap<>();
    body.open().inputs().forEach(input -> types.put(input, changed.type(input)));
    Graph outside = changed.withCaptured(names);
    FreshIds fresh = new FreshIds(next[0], known::contains);
    Graph result =
        fresh.of(
            new Graph(
                body.open().name(),
                body.open().inputs(),
                outside.outputs(),
                outside.nodes(),
                constants,
                types,
                changed.opsets(),
                body.open().metadata()));
    next[0] = fresh.nextId();
    return result;
  }

  private static void collect(Graph graph, Set<Integer> ids) {
    graph.inputs().forEach(value -> ids.add(value.id()));
    graph.constants().keySet().forEach(value -> ids.add(value.id()));
    for (Node node : graph.nodes()) {
      ids.add(node.id());
      node.outputs().forEach(value -> ids.add(value.id()));
      Graph.bodies(node).forEach(body -> collect(body, ids));
    }
  }
}
