package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.Bodies;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/**
 * A model whose weights are inputs: compiled once, run with any weights. Its results are the first
 * outputs, one for each sample.
 */
final class WeightRuns {
  private final Executable executable;
  private final String output;
  private final String prefix;
  private final Map<Operand, String> names = new LinkedHashMap<>();
  private final Map<Operand, Tensor> exact = new LinkedHashMap<>();
  private final List<Map<String, Tensor>> samples;

  /** The largest id that is taken, in bodies too. */
  private int lastId;

  /**
   * @param graph in which nodes keep the ids of {@code layers}
   */
  WeightRuns(
      Compiler compiler,
      Graph graph,
      Map<Operand, Sites.Site> layers,
      String backend,
      CompileOptions compile,
      List<Map<String, Tensor>> samples) {
    this.samples = samples;
    Map<Integer, List<Sites.Site>> byId = new LinkedHashMap<>();
    layers.forEach((operand, site) ->
        byId.computeIfAbsent(operand.node().id(), id -> new ArrayList<>()).add(site));
    this.lastId = graph.maxId();
    this.prefix = ProbeNames.prefix(graph, "_weight_");
    Graph freed = freed(graph, byId);
    Value first = graph.outputs().getFirst();
    this.output = first.name();
    this.executable =
        compiler.link(
            new Graph(
                freed.name(),
                freed.inputs(),
                List.of(first),
                freed.nodes(),
                freed.constants(),
                freed.types(),
                freed.opsets(),
                Map.of()),
            backend,
            compile.withNote(note -> {}));
  }

  /** Weights as inputs after a graph's own; bodies capture theirs from the graphs around them. */
  private Graph freed(Graph graph, Map<Integer, List<Sites.Site>> layers) {
    Map<Value, ValueType> more = new LinkedHashMap<>();
    Graph inside =
        Bodies.map(
            graph,
            body -> {
              Graph changed = freed(body, layers);
              changed.inputs().stream()
                  .skip(body.inputs().size())
                  .forEach(weight -> more.put(weight, changed.type(weight)));
              return changed;
            });
    lastId = Math.max(lastId, inside.maxId());
    List<Node> nodes = new ArrayList<>();
    for (Node node : inside.nodes()) {
      List<Value> changed = new ArrayList<>(node.inputs());
      for (Sites.Site site : layers.getOrDefault(node.id(), List.of())) {
        Tensor weight = site.load();
        int input = site.operand().layout().input();
        Value value = new Value(++lastId, prefix + node.id() + "_" + input);
        more.put(value, TensorType.of(DType.F32, weight.shape()));
        names.put(site.operand(), value.name());
        exact.put(site.operand(), weight);
        changed.set(input, value);
      }
      nodes.add(changed.equals(node.inputs()) ? node : node.withInputs(changed));
    }
    if (more.isEmpty()) {
      return inside;
    }
    List<Value> inputs = new ArrayList<>(inside.inputs());
    inputs.addAll(more.keySet());
    Map<Value, ValueType> types = new LinkedHashMap<>(inside.types());
    types.putAll(more);
    return new Graph(
        inside.name(),
        inputs,
        inside.outputs(),
        nodes,
        inside.constants(),
        types,
        inside.opsets(),
        inside.metadata());
  }

  /** The weight as the model has it. */
  Tensor exact(Operand operand) {
    return Objects.requireNonNull(exact.get(operand));
  }

  /**
   * The first output of each sample.
   *
   * @param instead of some weights; the others are exact
   */
  List<Tensor> run(Map<Operand, Tensor> instead) {
    Map<String, Tensor> weights = new LinkedHashMap<>();
    exact.forEach((operand, tensor) -> weights.put(name(operand), tensor));
    instead.forEach((operand, tensor) -> weights.put(name(operand), tensor));
    List<Tensor> results = new ArrayList<>();
    for (Map<String, Tensor> sample : samples) {
      Map<String, Tensor> call = new LinkedHashMap<>(sample);
      call.putAll(weights);
      results.add(Objects.requireNonNull(executable.run(call).get(output)));
    }
    return results;
  }

  private String name(Operand operand) {
    return Objects.requireNonNull(names.get(operand));
  }
}
