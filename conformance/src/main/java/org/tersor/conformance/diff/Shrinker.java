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
   * @param attributes whether attributes may be left out too
   * @param shows whether a candidate shows the fault
   */
  static DrawnGraph shrink(DrawnGraph drawn, boolean attributes, Predicate<DrawnGraph> shows) {
    DrawnGraph best = shortest(drawn, shows);
    for (Node node : attributes ? best.graph().nodes() : List.<Node>of()) {
      for (String name : node.attributes().keySet()) {
        DrawnGraph without = part(best, 0, best.graph().nodes().size(), Map.of(node.name(), name));
        if (holds(without, shows)) {
          best = without;
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
        DrawnGraph part = part(drawn, from, from + length, Map.of());
        if (holds(part, shows)) {
          return part;
        }
      }
    }
    return drawn;
  }

  private static boolean holds(DrawnGraph candidate, Predicate<DrawnGraph> shows) {
    try {
      return shows.test(candidate);
    } catch (TersorException | IllegalArgumentException e) {
      return false;
    }
  }

  /**
   * Nodes {@code from} (inclusive) to {@code to} (exclusive), fed with the values that the others
   * gave.
   *
   * @param dropped attributes to leave out, by node
   */
  private static DrawnGraph part(DrawnGraph drawn, int from, int to, Map<String, String> dropped) {
    Graph graph = drawn.graph();
    GraphBuilder b = new GraphBuilder(graph.opsets(), 0);
    Map<Value, Value> own = new HashMap<>();
    Map<Value, Tensor> values = new LinkedHashMap<>();
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    List<Node> nodes = graph.nodes().subList(from, to);
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
    boolean refuses = drawn.refusal().isPresent() && to == graph.nodes().size();
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
