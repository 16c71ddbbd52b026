package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.ChannelScales;
import org.tersor.passes.graph.Names;
import org.tersor.runtime.Tensor;

/**
 * High-bias absorption (Nagel et al., 2019): a channel whose results before a ReLU lie above some c
 * nearly always, c = mean - 3 deviations, gives c less and the layers that read it add what c gives
 * there to their biases. The range between them shrinks by c. The function changes only where a
 * result is below c. Mean and deviation are those seen on samples.
 */
final class Absorption {
  private static final double DEVIATIONS = 3;

  private final Compiler compiler;
  private final Quantizer.Options options;
  private final Iterable<Map<String, Tensor>> samples;
  private final List<String> reports = new ArrayList<>();

  Absorption(Compiler compiler, Quantizer.Options options, Iterable<Map<String, Tensor>> samples) {
    this.compiler = compiler;
    this.options = options;
    this.samples = samples;
  }

  /**
   * Moves high biases to the next layer and decides anew, on the graph where they have moved; the
   * old decisions stay where the coded model's outputs would be farther from the float model's.
   *
   * @param old with the factors of cross-layer equalization
   */
  Quantizer.Decisions decided(Graph given, Quantizer.Decisions old) {
    Quantizer quantizer = new Quantizer(compiler);
    Graph equal = quantizer.equalized(given, old);
    Map<String, Tensor> biases = find(equal, old.plan().weights().keySet());
    List<String> all = new ArrayList<>(old.reports());
    all.addAll(reports);
    if (biases.isEmpty()) {
      return old.with(Map.of(), Map.of(), all);
    }
    Map<String, QuantPlan.Choice> choices = new TreeMap<>();
    biases.forEach(
        (name, bias) -> choices.put(name, new QuantPlan.Choice("absorb", Checksums.of(bias))));
    Graph moved = BiasCorrection.apply(equal, biases, compiler.registry().operators());
    Quantizer.Decisions anew =
        new Decider(compiler, Optional.empty(), new SampleSet())
            .own(moved, samples, options.with(options.method(), new ChannelFactors.None()));
    CompileOptions quiet = Quantizer.quiet(options);
    double change = OutputNoise.of(compiler, options, equal, moved, samples);
    double before =
        OutputNoise.of(compiler, options, given, quantizer.apply(equal, old, quiet), samples);
    double after =
        OutputNoise.of(compiler, options, given, quantizer.apply(moved, anew, quiet), samples);
    boolean better = after <= before;
    all.add(
        String.format(
            Locale.ROOT,
            "absorption: noise by signal of the model's outputs %.4g, was %.4g (of the float model's %.2g)%s",
            after,
            before,
            change,
            better ? "" : ": all biases stay"));
    if (!better) {
      return old.with(Map.of(), Map.of(), all);
    }
    all.addAll(anew.reports());
    return new Quantizer.Decisions(
            anew.plan().withScales(old.plan().scales()), anew.codes(), old.factors(), all)
        .with(choices, biases, all);
  }

  /**
   * The biases that change, by name of the layer.
   *
   * @param base with its factors
   * @param layers names of the layers that are coded
   */
  private Map<String, Tensor> find(Graph base, Iterable<String> layers) {
    Names names = new Names(base);
    Map<Value, ChannelScales> places = new LinkedHashMap<>();
    Map<String, Node> nodes = new LinkedHashMap<>();
    base.nodes().forEach(n -> nodes.put(names.of(n), n));
    for (String layer : layers) {
      Node node = nodes.get(layer);
      if (node == null || places.containsKey(node.input(0))) {
        continue;
      }
      Optional<ChannelScales> place = ChannelScales.at(base, node.input(0));
      Optional<String> obstacle =
          place.isEmpty()
              ? Optional.of("nothing before it takes a shift, or not all that read it")
              : place.get().shiftObstacle(base).or(() -> biasless(base, place.get()));
      if (obstacle.isPresent()) {
        reports.add(names.of(node.input(0)) + ": absorption: " + obstacle.get());
      } else {
        places.put(node.input(0), place.orElseThrow());
      }
    }
    Map<Value, double[]> shifts = shifts(base, places, names);
    Graph moved = base;
    for (Map.Entry<Value, double[]> entry : shifts.entrySet()) {
      moved = ChannelScales.at(moved, entry.getKey()).orElseThrow().shift(moved, entry.getValue());
    }
    Map<String, Tensor> before = BiasCorrection.biases(base);
    Map<String, Tensor> changed = new TreeMap<>();
    BiasCorrection.biases(moved)
        .forEach((name, bias) -> {
          Tensor old = before.get(name);
          if (old == null || !Checksums.of(old).equals(Checksums.of(bias))) {
            changed.put(name, bias);
          }
        });
    return changed;
  }

  /** A product without an addend has no bias that could be replaced. */
  private static Optional<String> biasless(Graph base, ChannelScales place) {
    Node maker = base.producer(place.made()).orElseThrow();
    return java.util.stream.Stream.concat(
            maker.op().is("Add") ? java.util.stream.Stream.of() : java.util.stream.Stream.of(maker),
            place.readers().stream())
        .filter(node -> !BiasCorrection.takes(base, node))
        .map(node -> node.label() + " has no bias of one number for each channel")
        .findFirst();
  }

  private Map<Value, double[]> shifts(Graph base, Map<Value, ChannelScales> places, Names names) {
    List<Value> made = places.values().stream().map(ChannelScales::made).toList();
    Map<Value, Moments> seen = new LinkedHashMap<>();
    Observed observed =
        new Observed(compiler, base, made, options.backend(), Quantizer.quiet(options), true);
    for (Map<String, Tensor> sample : made.isEmpty() ? List.<Map<String, Tensor>>of() : samples) {
      Map<Value, Tensor> results = observed.run(sample);
      places.forEach((value, place) ->
          Optional.ofNullable(results.get(place.made()))
              .ifPresent(tensor ->
                  seen.computeIfAbsent(value, v -> new Moments(place.channels())).add(tensor)));
    }
    Map<Value, double[]> shifts = new LinkedHashMap<>();
    seen.forEach((value, moments) -> {
      double[] c = moments.floors();
      long absorbed = Arrays.stream(c).filter(x -> x > 0).count();
      reports.add(
          String.format(
              Locale.ROOT,
              "%s: absorption: %d of %d channels lie %.0f deviations above zero; at most %.4g leaves them",
              names.of(value),
              absorbed,
              c.length,
              DEVIATIONS,
              Arrays.stream(c).max().orElse(0)));
      if (absorbed > 0) {
        shifts.put(value, c);
      }
    });
    return shifts;
  }

  /** Mean and deviation of channels: axis 1 of what convolutions give, else the last. */
  private static final class Moments {
    private final double[] sums;
    private final double[] squares;
    private long count;

    Moments(int channels) {
      this.sums = new double[channels];
      this.squares = new double[channels];
    }

    void add(Tensor tensor) {
      int inner = 1;
      for (int d = 2; d < tensor.rank(); d++) {
        inner *= (int) tensor.shape()[d];
      }
      // A matrix product of more dimensions has its channels last.
      boolean last = tensor.rank() < 3 || tensor.shape()[1] != sums.length;
      for (int i = 0; i < tensor.size(); i++) {
        int c = (last ? i : i / inner) % sums.length;
        double x = tensor.getDouble(i);
        sums[c] += x;
        squares[c] += x * x;
      }
      count += tensor.size() / sums.length;
    }

    double[] floors() {
      double[] floors = new double[sums.length];
      for (int c = 0; c < floors.length; c++) {
        double mean = sums[c] / Math.max(1, count);
        double variance = Math.max(0, squares[c] / Math.max(1, count) - mean * mean);
        floors[c] = (float) Math.max(0, mean - DEVIATIONS * Math.sqrt(variance));
      }
      return floors;
    }
  }
}
