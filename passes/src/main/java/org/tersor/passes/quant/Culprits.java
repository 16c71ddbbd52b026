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

  /** A blamed layer, and where it stands. */
  private record Found(
      Diagnosis.Layer layer,
      Node node,
      Quantizer.Quantized within,
      Iterable<Map<String, Tensor>> samples) {}

  /**
   * Layers with causes, the noisiest first. A layer in a body of If, Loop or Scan has the inputs of
   * the first calls that reach the body.
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
    CompileOptions quiet = compile.withNote(note -> {});
    List<Found> found = new ArrayList<>();
    find(compiler, quantized, backend, quiet, samples, diagnosis, found);
    return found.stream()
        .sorted(
            Comparator.comparingDouble(f -> f.layer().accumulated().orElse(f.layer().isolated())))
        .limit(most)
        .map(f -> culprit(compiler, f, backend, quiet))
        .toList();
  }

  private static void find(
      Compiler compiler,
      Quantizer.Quantized quantized,
      String backend,
      CompileOptions compile,
      Iterable<Map<String, Tensor>> samples,
      Diagnosis diagnosis,
      List<Found> found) {
    Names names = new Names(quantized.base());
    Map<String, Node> nodes = new LinkedHashMap<>();
    quantized.base().nodes().forEach(n -> nodes.put(names.of(n), n));
    for (Diagnosis.Layer layer : diagnosis.layers()) {
      Node node = nodes.get(layer.node());
      if (node != null && !layer.causes().isEmpty()) {
        found.add(new Found(layer, node, quantized, samples));
      }
    }
    quantized
        .inside(compiler)
        .forEach((body, inside) -> {
          List<Map<String, Tensor>> calls =
              BodySamples.first(
                  compiler, backend, compile, quantized.base(), body, samples, Diagnostician.CALLS);
          if (!calls.isEmpty()) {
            find(compiler, inside, backend, compile, calls, diagnosis, found);
          }
        });
  }

  private static Culprit culprit(
      Compiler compiler, Found found, String backend, CompileOptions compile) {
    Graph base = found.within().base();
    Graph graph = found.within().graph();
    Node node = found.node();
    Value tail = Selection.tail(base, node);
    Optional<Node> quantizer = Shadows.quantizer(graph, tail);
    Value exact = quantizer.isPresent() ? tail : node.output(0);
    Value coded = quantizer.map(n -> n.output(0)).orElse(exact);
    List<Value> from =
        node.inputs().stream()
            .filter(v -> v.isPresent() && base.constant(v).isEmpty())
            .distinct()
            .toList();
    Graph model = LayerCut.of(graph, found.layer().node(), from, coded);
    List<Value> wanted = new ArrayList<>(from);
    wanted.add(exact);
    Observed observed = new Observed(compiler, base, wanted, backend, compile, true);
    List<Map<String, Tensor>> inputs = new ArrayList<>();
    List<Tensor> expected = new ArrayList<>();
    for (Map<String, Tensor> sample : found.samples()) {
      Map<Value, Tensor> values = observed.run(sample);
      Map<String, Tensor> call = new LinkedHashMap<>();
      for (int i = 0; i < from.size(); i++) {
        call.put(model.inputs().get(i).name(), Objects.requireNonNull(values.get(from.get(i))));
      }
      inputs.add(call);
      expected.add(Objects.requireNonNull(values.get(exact)));
    }
    return new Culprit(found.layer(), model, inputs, expected);
  }
}
