package org.tersor.passes.quant;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;

/**
 * Numbers that nobody tells apart: a value that only functions read which are flat below some
 * number needs no codes there. Before a SiLU a layer's results may reach -100, of which all below
 * -8 give 0 within 0.003; codes for them would make the steps above many times coarser.
 */
final class FlatBelow {
  /** Below these the functions change by less than 0.003 any more. */
  private static final Map<String, Double> FLOORS =
      Map.of(
          "Sigmoid", -8.0,
          "Swish", -8.0,
          "Mish", -8.0,
          "Softplus", -8.0,
          "Elu", -8.0,
          "Gelu", -4.0,
          "HardSwish", -3.0,
          "HardSigmoid", -3.0);

  private FlatBelow() {}

  /** Where all that reads the value has become flat; empty if something has not. */
  static Optional<Double> floor(Graph graph, Value value) {
    List<Node> readers = graph.consumers(value);
    double least = 0;
    for (Node reader : readers) {
      Optional<Double> floor = Optional.ofNullable(FLOORS.get(reader.op().type()));
      if (!reader.op().domain().isEmpty() || (floor.isEmpty() && !gates(graph, reader, value))) {
        return Optional.empty();
      }
      least = Math.min(least, floor.orElse(0.0));
    }
    return readers.isEmpty() || graph.isOutput(value) || least == 0
        ? Optional.empty()
        : Optional.of(least);
  }

  /** x times a function of x that goes to 0: SiLU, or HardSwish, in two nodes. */
  private static boolean gates(Graph graph, Node node, Value value) {
    if (!node.op().is("Mul")) {
      return false;
    }
    Value other = node.input(0).equals(value) ? node.input(1) : node.input(0);
    return graph
        .producer(other)
        .filter(n -> n.op().is("Sigmoid") || n.op().is("HardSigmoid"))
        .filter(n -> n.input(0).equals(value))
        .isPresent();
  }
}
