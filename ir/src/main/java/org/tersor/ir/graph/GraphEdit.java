package org.tersor.ir.graph;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/**
 * Changes against a frozen graph, collected and applied in one rebuild that is linear in nodes plus
 * changes. A pass makes one edit (or finds nothing to do), then {@link #apply}.
 */
public final class GraphEdit {
  private final Graph graph;
  private final Map<Node, List<Node>> replacements = new HashMap<>();
  private final List<Node> added = new ArrayList<>();
  private final Map<Value, Value> redirects = new HashMap<>();
  private final Map<Value, Constant> newConstants = new LinkedHashMap<>();
  private final Map<Value, ValueType> newTypes = new LinkedHashMap<>();
  private final Map<String, Integer> newOpsets = new LinkedHashMap<>();
  private int nextId;

  public GraphEdit(Graph graph) {
    this(graph, graph.maxId() + 1);
  }

  /**
   * @param firstId ids from here on are free in the whole model (needed when the graph is a body)
   */
  public GraphEdit(Graph graph, int firstId) {
    this.graph = graph;
    this.nextId = firstId;
  }

  public Graph graph() {
    return graph;
  }

  /**
   * A builder for new nodes; hand it to {@link #replace} or {@link #add}. Use one builder at a
   * time.
   */
  public GraphBuilder builder() {
    Map<String, Integer> opsets = new LinkedHashMap<>(graph.opsets());
    opsets.putAll(newOpsets);
    return new GraphBuilder(opsets, nextId);
  }

  /** Imports a domain that the graph does not import yet. */
  public void importDomain(String domain, int version) {
    if (!graph.opsets().containsKey(domain)) {
      newOpsets.put(domain, version);
    }
  }

  /** Removes a node; whatever uses its outputs must be redirected or removed too. */
  public void remove(Node node) {
    put(node, List.of());
  }

  /**
   * Puts nodes in the place of one node. They may define its outputs anew, or the caller redirects
   * these.
   */
  public void replace(Node node, List<Node> nodes) {
    put(node, nodes);
  }

  /**
   * As {@link #replace(Node, List)}, where the nodes come from a body of the node: its constants
   * come along. Ids stay, since they are unique in a model.
   */
  public void replaceByBody(Node node, Graph body, List<Node> nodes) {
    newConstants.putAll(body.constants());
    newTypes.putAll(body.types());
    put(node, nodes);
  }

  /** Puts what the builder holds in the place of a node and redirects each of its outputs. */
  public void replace(Node node, GraphBuilder built, List<Value> newOutputs) {
    adopt(built);
    put(node, built.nodes());
    for (int i = 0; i < node.outputs().size(); i++) {
      if (node.output(i).isPresent()) {
        redirect(node.output(i), newOutputs.get(i));
      }
    }
  }

  /** Adds what the builder holds; the nodes are placed by dependency. */
  public void add(GraphBuilder built) {
    adopt(built);
    added.addAll(built.nodes());
  }

  /** Adds a node made by hand; it is placed by dependency. */
  public void add(Node node) {
    added.add(node);
  }

  private void adopt(GraphBuilder built) {
    newConstants.putAll(built.constants());
    newTypes.putAll(built.types());
    nextId = Math.max(nextId, built.nextId());
  }

  private void put(Node node, List<Node> nodes) {
    if (replacements.putIfAbsent(node, nodes) != null) {
      throw new IllegalStateException("two changes to " + node.label() + " in one edit");
    }
  }

  public boolean isTouched(Node node) {
    return replacements.containsKey(node);
  }

  /** Every use of {@code old}, graph outputs too, becomes a use of {@code replacement}. */
  public void redirect(Value old, Value replacement) {
    redirects.put(old, replacement);
  }

  public Value constant(String name, Constant constant) {
    Value value = new Value(nextId++, name);
    newConstants.put(value, constant);
    newTypes.put(value, constant.type());
    return value;
  }

  public Value value(String name, ValueType type) {
    Value value = new Value(nextId++, name);
    newTypes.put(value, type);
    return value;
  }

  public int freshId() {
    return nextId++;
  }

  public void setType(Value value, ValueType type) {
    newTypes.put(value, type);
  }

  public boolean isEmpty() {
    return replacements.isEmpty() && added.isEmpty() && redirects.isEmpty() && newTypes.isEmpty();
  }

  private Value resolve(Value value) {
    Value current = value;
    for (int hops = 0; redirects.containsKey(current); hops++) {
      if (hops > redirects.size()) {
        throw new IllegalStateException("cyclic redirection of " + value);
      }
      current = redirects.get(current);
    }
    return current;
  }

  /**
   * The changed graph: sorted, without unused nodes' leftovers in constants and types. Outputs keep
   * their names.
   */
  public Graph apply() {
    List<Node> nodes = new ArrayList<>();
    for (Node node : graph.nodes()) {
      for (Node kept : replacements.getOrDefault(node, List.of(node))) {
        nodes.add(rename(kept, this::resolve));
      }
    }
    for (Node node : added) {
      nodes.add(rename(node, this::resolve));
    }
    nodes = sort(nodes);
    List<Value> outputs = new ArrayList<>();
    Map<Value, Value> renamed = new HashMap<>();
    for (Value output : graph.outputs()) {
      Value target = resolve(output);
      boolean nameable =
          !target.equals(output)
              && !graph.inputs().contains(target)
              && !renamed.containsKey(target);
      if (nameable && !graph.outputs().contains(target)) {
        renamed.put(target, new Value(target.id(), output.name()));
      }
      outputs.add(renamed.getOrDefault(target, target));
    }
    if (!renamed.isEmpty()) {
      nodes =
          nodes.stream()
              .map(node -> renameAll(node, value -> renamed.getOrDefault(value, value)))
              .toList();
    }
    Set<Value> live = new HashSet<>(graph.inputs());
    live.addAll(outputs);
    for (Node node : nodes) {
      live.addAll(Graph.usedValues(node));
      live.addAll(node.outputs());
    }
    Map<Value, Constant> constants = new LinkedHashMap<>(graph.constants());
    constants.putAll(newConstants);
    constants.keySet().retainAll(live);
    Map<Value, ValueType> types = new LinkedHashMap<>(graph.types());
    types.putAll(newTypes);
    types.keySet().retainAll(live);
    Map<String, Integer> opsets = new LinkedHashMap<>(graph.opsets());
    opsets.putAll(newOpsets);
    return new Graph(
        graph.name(), graph.inputs(), outputs, nodes, constants, types, opsets, graph.metadata());
  }

  private static Node rename(Node node, Function<Value, Value> map) {
    return renameUses(node, map, node.outputs());
  }

  private static Node renameAll(Node node, Function<Value, Value> map) {
    return renameUses(node, map, node.outputs().stream().map(map).toList());
  }

  private static Node renameUses(Node node, Function<Value, Value> map, List<Value> outputs) {
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    node.attributes()
        .forEach((key, attribute) ->
            attributes.put(
                key,
                switch (attribute) {
                  case Attribute.GraphAttr g -> new Attribute.GraphAttr(renameBody(g.value(), map));
                  case Attribute.GraphsAttr g ->
                      new Attribute.GraphsAttr(
                          g.values().stream().map(b -> renameBody(b, map)).toList());
                  default -> attribute;
                }));
    return new Node(
        node.id(),
        node.name(),
        node.op(),
        node.inputs().stream().map(map).toList(),
        outputs,
        attributes);
  }

  private static Graph renameBody(Graph body, Function<Value, Value> map) {
    if (body.captured().stream().allMatch(value -> map.apply(value).equals(value))) {
      return body;
    }
    return new Graph(
        body.name(),
        body.inputs(),
        body.outputs().stream().map(map).toList(),
        body.nodes().stream().map(node -> rename(node, map)).toList(),
        body.constants(),
        body.types(),
        body.opsets(),
        body.metadata());
  }

  /** Stable topological sort; throws on a cycle. */
  private static List<Node> sort(List<Node> nodes) {
    Map<Value, Node> producers = new HashMap<>();
    for (Node node : nodes) {
      node.outputs().forEach(output -> producers.put(output, node));
    }
    List<Node> sorted = new ArrayList<>(nodes.size());
    IdentityHashMap<Node, Boolean> state = new IdentityHashMap<>();
    for (Node root : nodes) {
      Deque<Node> stack = new ArrayDeque<>();
      stack.push(root);
      while (!stack.isEmpty()) {
        Node node = stack.peek();
        Boolean done = state.get(node);
        if (done == null) {
          state.put(node, false);
          List<Value> uses = Graph.usedValues(node);
          for (int i = uses.size() - 1; i >= 0; i--) {
            Node producer = producers.get(uses.get(i));
            if (producer == null) {
              continue;
            }
            Boolean before = state.get(producer);
            if (before == null) {
              stack.push(producer);
            } else if (!before) {
              throw new IllegalStateException("the edit makes a cycle through " + producer.label());
            }
          }
        } else {
          stack.pop();
          if (!done) {
            state.put(node, true);
            sorted.add(node);
          }
        }
      }
    }
    return sorted;
  }
}
