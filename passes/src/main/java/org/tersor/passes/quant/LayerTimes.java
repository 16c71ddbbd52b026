package org.tersor.passes.quant;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/** Time of layers alone, each a model of its own, on what reaches it in one sample. */
final class LayerTimes {
  private static final double WARM_UP_NANOS = 2e8;
  private static final int ROUNDS = 9;

  private final Compiler compiler;
  private final Graph base;
  private final Quantizer.Options options;
  private final Map<String, Tensor> sample;
  private final Names names;
  private final Map<Value, Tensor> seen = new LinkedHashMap<>();

  LayerTimes(Compiler compiler, Graph base, Quantizer.Options options, Map<String, Tensor> sample) {
    this.compiler = compiler;
    this.base = base;
    this.options = options;
    this.sample = sample;
    this.names = new Names(base);
  }

  /** Nanoseconds of one call of each of these float layers, added up. */
  double nanos(List<Node> layers) {
    return layers.stream().mapToDouble(layer -> nanos(base, layer, layer)).sum();
  }

  /** The same where they are coded as decided. */
  double nanos(List<Node> layers, Quantizer.Decisions decisions) {
    double sum = 0;
    for (Node layer : layers) {
      String name = names.of(layer);
      Map<String, QuantPlan.Activation> near = new LinkedHashMap<>();
      for (Value value : List.of(layer.input(0), Selection.tail(base, layer))) {
        Optional.ofNullable(decisions.plan().activations().get(names.of(value)))
            .ifPresent(a -> near.put(names.of(value), a));
      }
      QuantPlan plan =
          new QuantPlan(
              Map.of(),
              near,
              Map.of(name, Objects.requireNonNull(decisions.plan().weights().get(name))));
      // Plain codes: they take the same time as chosen ones.
      Graph coded = new Quantizer(compiler).apply(base, plan, Quantizer.quiet(options));
      Node node =
          coded.nodes().stream().filter(n -> n.id() == layer.id()).findFirst().orElseThrow();
      sum += nanos(coded, layer, node);
    }
    return sum;
  }

  private double nanos(Graph graph, Node layer, Node node) {
    Value tail = Selection.tail(base, layer);
    Value end = Shadows.quantizer(graph, tail).map(n -> n.output(0)).orElse(tail);
    List<Value> from =
        layer.inputs().stream()
            .filter(v -> v.isPresent() && base.constant(v).isEmpty())
            .distinct()
            .toList();
    Graph cut = LayerCut.of(graph, node.name(), from, end);
    Executable executable = compiler.link(cut, options.backend(), Quantizer.quiet(options));
    Map<String, Tensor> call = new LinkedHashMap<>();
    for (int i = 0; i < from.size(); i++) {
      call.put(cut.inputs().get(i).name(), value(from.get(i)));
    }
    long start = System.nanoTime();
    int runs = 0;
    do {
      executable.run(call);
      runs++;
    } while (System.nanoTime() - start < WARM_UP_NANOS);
    int each = Math.max(1, runs / 20);
    double[] times = new double[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      long from0 = System.nanoTime();
      for (int i = 0; i < each; i++) {
        executable.run(call);
      }
      times[round] = (System.nanoTime() - from0) / (double) each;
    }
    Arrays.sort(times);
    return times[ROUNDS / 2];
  }

  private Tensor value(Value value) {
    Tensor known = seen.get(value);
    if (known != null) {
      return known;
    }
    Tensor found =
        Objects.requireNonNull(
            new Observed(
                    compiler,
                    base,
                    List.of(value),
                    options.backend(),
                    Quantizer.quiet(options),
                    true)
                .run(sample)
                .get(value));
    seen.put(value, found);
    return found;
  }
}
