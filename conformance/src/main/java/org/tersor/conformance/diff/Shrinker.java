package org.tersor.conformance.diff;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Makes a graph smaller while it shows the same fault. */
final class Shrinker {
  private Shrinker() {}

  /**
   * The smallest graph found.
   *
   * @param shows whether a candidate shows the fault
   * @param without whether one shows it that lacks an attribute
   */
  static DrawnGraph shrink(
      DrawnGraph drawn, Predicate<DrawnGraph> shows, Predicate<DrawnGraph> without) {
    DrawnGraph best = thinned(shortest(drawn, shows), shows);
    for (Node node : best.graph().nodes()) {
      for (String name : node.attributes().keySet()) {
        DrawnGraph lacking = part(best, best.graph().nodes(), Map.of(node.name(), name));
        if (holds(lacking, without)) {
          best = lacking;
        }
      }
    }
    return best;
  }

  /** The shortest run of nodes that shows the fault, the last one where several do. */
  private static DrawnGraph shortest(DrawnGraph drawn, Predicate<DrawnGraph> shows) {
    int size = drawn.graph().nodes().size();
    for (int length = 1; length < size; length++) {
      for (int from = size - length; from >= 0; from--) {
        DrawnGraph part = part(drawn, drawn.graph().nodes().subList(from, from + length), Map.of());
        if (holds(part, shows)) {
          return part;
        }
      }
    }
    return drawn;
  }

  /** Without nodes that need not be there. */
  private static DrawnGraph thinned(DrawnGraph drawn, Predicate<DrawnGraph> shows) {
    DrawnGraph best = drawn;
    for (int at = best.graph().nodes().size() - 1;
        at >= 0 && best.graph().nodes().size() > 1;
        at--) {
      List<Node> others = new ArrayList<>(best.graph().nodes());
      others.remove(at);
      DrawnGraph part = part(best, others, Map.of());
      if (holds(part, shows)) {
        best = part;
      }
    }
    return best;
  }

  private static boolean holds(DrawnGraph candidate, Predicate<DrawnGraph> shows) {
    try {
      return shows.test(candidate);
    } catch (TersorException | IllegalArgumentException e) {
      return false;
    }
  }

  /**
   * Some of the nodes, fed with the values that the others gave.
   *
   * @param dropped attributes to leave out, by node
   */
  private static DrawnGraph part(DrawnGraph drawn, List<Node> nodes, Map<String, String> dropped) {
    Graph graph = drawn.graph();
    GraphBuilder b = new GraphBuilder(graph.opsets(), 0);
    Map<Value, Value> own = new HashMap<>();
    Map<Value, Tensor> values = new LinkedHashMap<>();
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    List<Value> made = new ArrayList<>();
    for (Node node : nodes) {
      List<Value> operands = new ArrayList<>();
      for (Value input : node.inputs()) {
        if (!input.isPresent()) {
          operands.add(Value.NONE);
          continue;
        }
        Tensor tensor = drawn.values().get(input);
        if (!own.containsKey(input) && tensor != null) {
          String name = "v" + b.nextId();
          Optional<Constant> constant = graph.constant(input);
          Value value =
              constant.isPresent()
                  ? b.constant(name, constant.get())
                  : b.input(name, TensorType.of(tensor.dtype(), tensor.shape()));
          if (constant.isEmpty()) {
            inputs.put(name, tensor);
          }
          values.put(value, tensor);
          own.put(input, value);
        }
        operands.add(own.getOrDefault(input, Value.NONE));
      }
      List<Value> outputs = new ArrayList<>();
      for (Value output : node.outputs()) {
        Value value = b.value("v" + b.nextId(), ValueType.UNKNOWN);
        own.put(output, value);
        Tensor tensor = drawn.values().get(output);
        if (tensor != null) {
          values.put(value, tensor);
        }
        outputs.add(value);
        made.add(value);
      }
      Map<String, Attribute> attributes = new TreeMap<>(node.attributes());
      attributes.remove(dropped.getOrDefault(node.name(), ""));
      b.addNode(node.name(), node.op(), attributes, operands, outputs);
    }
    Graph unfinished = b.build("", Map.of());
    made.stream().filter(v -> unfinished.consumers(v).isEmpty()).forEach(b::output);
    boolean refuses =
        drawn.refusal().isPresent() && nodes.getLast().equals(graph.nodes().getLast());
    return new DrawnGraph(
        b.build("difftest", Map.of()),
        inputs,
        values,
        refuses ? drawn.refusal() : Optional.empty(),
        drawn.widened(),
        Optional.empty());
  }

  /** The model, and its inputs beside it. */
  static void write(Compiler compiler, DrawnGraph drawn, java.nio.file.Path file) {
    compiler.write(drawn.graph(), file, Map.of());
    String name = String.valueOf(file.getFileName());
    try {
      Npy.writeAll(
          drawn.inputs(), file.resolveSibling(name.substring(0, name.length() - 5) + ".npz"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
