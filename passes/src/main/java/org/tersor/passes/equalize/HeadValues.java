package org.tersor.passes.equalize;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;

/**
 * The path of an attention's values: a layer makes them, head by head, the attention mixes them
 * along the sequence, and a layer reads the mixed heads side by side. A map of every head's values
 * at the one end is undone at the other; a cache in between holds the mapped values.
 *
 * @param size of a head
 */
record HeadValues(Node producer, Optional<Node> bias, Node reader, int size) {
  private static final int VALUES = 2;

  /** All paths; why others are none goes to the report. */
  static List<HeadValues> find(Graph graph, Consumer<String> report) {
    List<HeadValues> found = new ArrayList<>();
    int attentions = 0;
    for (Node node : graph.nodes()) {
      if (!node.op().is("Attention")) {
        continue;
      }
      attentions++;
      Optional<Node> reader = reader(graph, node);
      boolean known =
          graph.type(node.input(VALUES)) instanceof TensorType v
              && v.isRanked()
              && v.rank() == 4
              && v.dims().getLast().isConst();
      if (!known || reader.isEmpty()) {
        report.accept(
            "the values of "
                + node.label()
                + " are left as they are: "
                + (known ? "no layer alone reads its result" : "they are not [B, heads, S, size]"));
        continue;
      }
      int size = (int) ((TensorType) graph.type(node.input(VALUES))).dims().getLast().constValue();
      Optional<HeadValues> path = source(graph, node, reader.get(), size);
      if (path.isEmpty()) {
        report.accept(
            "the values of "
                + node.label()
                + " are left as they are: no layer alone makes them, by Reshape, Transpose and a"
                + " cache");
      }
      path.ifPresent(found::add);
    }
    if (attentions == 0) {
      report.accept("no Attention node was found: no head is rotated");
    }
    return found;
  }

  /** Whether an attention's result is what a layer reads. */
  static boolean feeds(Graph graph, Node reader) {
    Value value = reader.input(0);
    while (graph.producer(value).isPresent()) {
      Node node = graph.producer(value).get();
      if (node.op().is("Attention")) {
        return true;
      }
      if (!node.op().is("Reshape") && !node.op().is("Transpose")) {
        return false;
      }
      value = node.input(0);
    }
    return false;
  }

  private static Optional<Node> reader(Graph graph, Node attention) {
    Value value = attention.output(0);
    while (!graph.isOutput(value) && graph.consumers(value).size() == 1) {
      Node user = graph.consumers(value).getFirst();
      if (WeightEdits.isLinear(graph, user)) {
        return Optional.of(user);
      }
      if (!user.op().is("Transpose") && !user.op().is("Reshape")) {
        return Optional.empty();
      }
      value = user.output(0);
    }
    return Optional.empty();
  }

  private static Optional<HeadValues> source(Graph graph, Node attention, Node reader, int size) {
    Optional<Node> bias = Optional.empty();
    Value value = attention.input(VALUES);
    while (graph.consumers(value).size() == 1 && graph.producer(value).isPresent()) {
      Node node = graph.producer(value).get();
      if (WeightEdits.isLinear(graph, node) && !node.input(2).isPresent()) {
        long out = graph.constant(node.input(1)).orElseThrow().shape()[1];
        return out % size == 0 && !node.op().is("Gemm")
            ? Optional.of(new HeadValues(node, bias, reader, size))
            : Optional.empty();
      }
      switch (node.op().type()) {
        case "Reshape", "Transpose", "Unsqueeze", "Identity" -> value = node.input(0);
        case "Concat" -> {
          List<Value> made =
              node.inputs().stream().filter(v -> !graph.inputs().contains(v)).toList();
          if (made.size() != 1) {
            return Optional.empty();
          }
          value = made.getFirst();
        }
        case "Add" -> {
          int constant = graph.constant(node.input(0)).isPresent() ? 0 : 1;
          if (!WeightEdits.isMatrix(graph, node.input(constant), 1)) {
            return Optional.empty();
          }
          bias = Optional.of(node);
          value = node.input(1 - constant);
        }
        default -> {
          return Optional.empty();
        }
      }
    }
    return Optional.empty();
  }
}
