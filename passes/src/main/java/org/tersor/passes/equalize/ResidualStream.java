package org.tersor.passes.equalize;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.passes.graph.ChannelScales;

/**
 * Values that additions join into one stream, from the nodes that write into it to the RMS norms
 * and layers that read it. Every element of it may be taken in another orthogonal basis if all of
 * these are changed with it.
 *
 * @param width size of the last dimension
 * @param writers layers and tables whose results are in the stream
 * @param biases additions of a constant vector
 * @param norms RMS norms over the last dimension whose results only layers read
 * @param readers layers that read a norm or the stream itself, in the order of the graph
 */
record ResidualStream(
    int width, List<Node> writers, List<Node> biases, List<Node> norms, List<Node> readers) {

  /** All streams of a graph; why others are none goes to the report. */
  static List<ResidualStream> find(Graph graph, Consumer<String> report) {
    List<ResidualStream> streams = new ArrayList<>();
    Set<Value> seen = new LinkedHashSet<>();
    for (Node node : graph.nodes()) {
      if (ChannelScales.isRmsNorm(graph, node) && !seen.contains(node.input(0))) {
        Finder finder = new Finder(graph);
        Optional<String> obstacle = finder.explore(node.input(0));
        seen.addAll(finder.stream);
        if (obstacle.isPresent()) {
          report.accept(
              "the stream that norm "
                  + node.label()
                  + " reads is left as it is: "
                  + obstacle.get());
        } else {
          streams.add(finder.result(node));
        }
      }
    }
    return streams;
  }

  private static final class Finder {
    private final Graph graph;
    private final Set<Value> stream = new LinkedHashSet<>();
    private final Deque<Value> todo = new ArrayDeque<>();
    private final Set<Node> writers = new LinkedHashSet<>();
    private final Set<Node> biases = new LinkedHashSet<>();
    private final Set<Node> norms = new LinkedHashSet<>();
    private final Set<Node> readers = new LinkedHashSet<>();

    Finder(Graph graph) {
      this.graph = graph;
    }

    ResidualStream result(Node norm) {
      int width = (int) graph.constant(norm.input(1)).orElseThrow().shape()[0];
      return new ResidualStream(
          width, ordered(writers), ordered(biases), ordered(norms), ordered(readers));
    }

    private List<Node> ordered(Set<Node> nodes) {
      return graph.nodes().stream().filter(nodes::contains).toList();
    }

    private void add(Value value) {
      if (stream.add(value)) {
        todo.add(value);
      }
    }

    /** Why it is no stream. */
    Optional<String> explore(Value start) {
      add(start);
      while (!todo.isEmpty()) {
        Value value = todo.remove();
        if (graph.isOutput(value)) {
          return Optional.of("'" + value.name() + "' is an output of the model");
        }
        Optional<Node> producer = graph.producer(value);
        if (producer.isEmpty()) {
          return Optional.of("'" + value.name() + "' comes from outside");
        }
        Optional<String> obstacle = made(producer.get());
        for (Node user : graph.consumers(value)) {
          obstacle = obstacle.or(() -> used(user, value));
        }
        if (obstacle.isPresent()) {
          return obstacle;
        }
      }
      return Optional.empty();
    }

    private Optional<String> made(Node node) {
      if (node.op().is("Add")) {
        return added(node);
      }
      boolean layer = WeightEdits.isLinear(graph, node) && !node.input(2).isPresent();
      if (layer || WeightEdits.isTable(graph, node)) {
        writers.add(node);
        return Optional.empty();
      }
      if (node.op().is("Identity")) {
        add(node.input(0));
        return Optional.empty();
      }
      return Optional.of(
          node.label() + " writes into it, which is no layer with float32 weights and no table");
    }

    private Optional<String> added(Node node) {
      for (int i = 0; i < 2; i++) {
        if (graph.constant(node.input(i)).isEmpty()) {
          add(node.input(i));
        } else if (WeightEdits.isMatrix(graph, node.input(i), 1)) {
          biases.add(node);
        } else {
          return Optional.of("a constant that is no vector is added to it by " + node.label());
        }
      }
      return Optional.empty();
    }

    private Optional<String> used(Node user, Value value) {
      if (user.op().is("Add") || user.op().is("Identity")) {
        add(user.output(0));
        return Optional.empty();
      }
      if (ChannelScales.isRmsNorm(graph, user) && user.input(0).equals(value)) {
        norms.add(user);
        if (graph.isOutput(user.output(0))) {
          return Optional.of("the result of norm " + user.label() + " is an output of the model");
        }
        for (Node reader : graph.consumers(user.output(0))) {
          if (!reads(reader, user.output(0))) {
            return Optional.of(
                reader.label()
                    + " reads the norm "
                    + user.label()
                    + " and is no layer with float32 weights");
          }
          readers.add(reader);
        }
        return Optional.empty();
      }
      if (reads(user, value)) {
        readers.add(user);
        return Optional.empty();
      }
      return Optional.of(user.label() + " reads it, which is neither a norm nor a layer");
    }

    private boolean reads(Node node, Value value) {
      return WeightEdits.isLinear(graph, node) && node.input(0).equals(value);
    }
  }
}
