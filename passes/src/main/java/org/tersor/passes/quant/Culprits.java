package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.Names;
import org.tersor.runtime.Tensor;

/** The layers that a diagnosis blames, each as a model of its own with what it was given. */
public final class Culprits {
  private Culprits() {}

  /**
   * A layer with its quantizers.
   *
   * @param model what computes it, for {@link Compiler#exportable}
   * @param inputs of each sample, exact
   * @param expected what the float layer makes of them
   */
  public record Culprit(
      Diagnosis.Layer layer,
      Graph model,
      List<Map<String, Tensor>> inputs,
      List<Tensor> expected) {}

  /**
   * Layers with causes, the noisiest first.
   *
   * @param most how many
   */
  public static List<Culprit> of(
      Compiler compiler,
      Quantizer.Quantized quantized,
      String backend,
      CompileOptions compile,
      Iterable<Map<String, Tensor>> samples,
      Diagnosis diagnosis,
      int most) {
    Graph base = quantized.base();
    Names names = new Names(base);
    Map<String, Node> nodes = new LinkedHashMap<>();
    base.nodes().forEach(n -> nodes.put(names.of(n), n));
    List<Culprit> culprits = new ArrayList<>();
    List<Diagnosis.Layer> ranked =
        diagnosis.layers().stream()
            .filter(l -> !l.causes().isEmpty() && nodes.containsKey(l.node()))
            .sorted(Comparator.comparingDouble(l -> l.accumulated().orElse(l.isolated())))
            .limit(most)
            .toList();
    for (Diagnosis.Layer layer : ranked) {
      Node node = Objects.requireNonNull(nodes.get(layer.node()));
      Value tail = Selection.tail(base, node);
      Optional<Node> quantizer = Shadows.quantizer(quantized.graph(), tail);
      Value exact = quantizer.isPresent() ? tail : node.output(0);
      Value coded = quantizer.map(n -> n.output(0)).orElse(exact);
      List<Value> from =
          node.inputs().stream()
              .filter(v -> v.isPresent() && base.constant(v).isEmpty())
              .distinct()
              .toList();
      Graph model = LayerCut.of(quantized.graph(), layer.node(), from, coded);
      List<Value> wanted = new ArrayList<>(from);
      wanted.add(exact);
      Observed observed =
          new Observed(compiler, base, wanted, backend, compile.withNote(note -> {}), true);
      List<Map<String, Tensor>> inputs = new ArrayList<>();
      List<Tensor> expected = new ArrayList<>();
      for (Map<String, Tensor> sample : samples) {
        Map<Value, Tensor> values = observed.run(sample);
        Map<String, Tensor> call = new LinkedHashMap<>();
        for (int i = 0; i < from.size(); i++) {
          call.put(model.inputs().get(i).name(), Objects.requireNonNull(values.get(from.get(i))));
        }
        inputs.add(call);
        expected.add(Objects.requireNonNull(values.get(exact)));
      }
      culprits.add(new Culprit(layer, model, inputs, expected));
    }
    return culprits;
  }
}
