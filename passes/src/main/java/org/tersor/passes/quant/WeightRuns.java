package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.WeightLayout;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
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
  private final Map<Integer, String> names = new LinkedHashMap<>();
  private final Map<Integer, Tensor> exact = new LinkedHashMap<>();
  private final List<Map<String, Tensor>> samples;

  /**
   * @param graph in which nodes keep the ids of {@code layers}
   * @param base where their weights are
   */
  WeightRuns(
      Compiler compiler,
      Graph graph,
      Graph base,
      Map<Node, WeightLayout> layers,
      String backend,
      CompileOptions compile,
      List<Map<String, Tensor>> samples) {
    this.samples = samples;
    Map<Integer, Value> free = new LinkedHashMap<>();
    Map<Value, ValueType> types = new LinkedHashMap<>(graph.types());
    List<Value> inputs = new ArrayList<>(graph.inputs());
    int id = graph.maxId();
    for (Map.Entry<Node, WeightLayout> layer : layers.entrySet()) {
      Node node = layer.getKey();
      Tensor weight = base.constant(node.input(layer.getValue().input())).orElseThrow().load();
      Value value = new Value(++id, "_weight_" + node.id());
      types.put(value, TensorType.of(DType.F32, weight.shape()));
      inputs.add(value);
      free.put(node.id(), value);
      names.put(node.id(), value.name());
      exact.put(node.id(), weight);
    }
    List<Node> nodes = new ArrayList<>();
    for (Node node : graph.nodes()) {
      Value instead = free.get(node.id());
      Optional<WeightLayout> layout =
          layers.entrySet().stream()
              .filter(e -> e.getKey().id() == node.id())
              .map(Map.Entry::getValue)
              .findFirst();
      if (instead == null || layout.isEmpty()) {
        nodes.add(node);
      } else {
        List<Value> changed = new ArrayList<>(node.inputs());
        changed.set(layout.get().input(), instead);
        nodes.add(node.withInputs(changed));
      }
    }
    Value first = graph.outputs().getFirst();
    Map<Value, Constant> constants = new LinkedHashMap<>(graph.constants());
    this.output = first.name();
    this.executable =
        compiler.link(
            new Graph(
                graph.name(),
                inputs,
                List.of(first),
                nodes,
                constants,
                types,
                graph.opsets(),
                Map.of()),
            backend,
            compile.withNote(note -> {}));
  }

  /** The weight as the model has it. */
  Tensor exact(Node node) {
    return Objects.requireNonNull(exact.get(node.id()));
  }

  /**
   * The first output of each sample.
   *
   * @param instead weights by node; the others are exact
   */
  List<Tensor> run(Map<Node, Tensor> instead) {
    Map<String, Tensor> weights = new LinkedHashMap<>();
    exact.forEach((id, tensor) -> weights.put(name(id), tensor));
    instead.forEach((node, tensor) -> weights.put(name(node.id()), tensor));
    List<Tensor> results = new ArrayList<>();
    for (Map<String, Tensor> sample : samples) {
      Map<String, Tensor> call = new LinkedHashMap<>(sample);
      call.putAll(weights);
      results.add(Objects.requireNonNull(executable.run(call).get(output)));
    }
    return results;
  }

  private String name(int id) {
    return Objects.requireNonNull(names.get(id));
  }
}
