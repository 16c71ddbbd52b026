package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.WeightLayout;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * What formats cost: each group of layers is coded alone in every format and the model run; then
 * combinations of them are. The weights are inputs of the model that runs, so it is compiled once.
 */
final class FormatCosts {
  private static final int PROBES = 2;

  private final SearchProblem problem;
  private final Compiler compiler;
  private final Graph base;
  private final Sites sites;
  private final Map<Operand, Sites.Site> layers;
  private final Map<Graph, Timer> timers = new LinkedHashMap<>();
  private final List<Ties.Group> groups = new ArrayList<>();
  private final List<List<Map<Operand, Tensor>>> decoded = new ArrayList<>();
  private final List<MixedSearch.Item> items = new ArrayList<>();
  private final long otherBytes;
  private double floatNanos;
  private Optional<WeightRuns> combined = Optional.empty();
  private final List<Tensor> exact = new ArrayList<>();

  FormatCosts(SearchProblem problem) {
    this.problem = problem;
    this.compiler = problem.compiler();
    this.base = problem.base();
    if (problem.samples().isEmpty()) {
      throw new TersorException("TSR-0413", "the search runs the model: it needs samples");
    }
    this.sites =
        new Sites(
            compiler,
            base,
            name ->
                problem.layer().test(name)
                    && problem.uniform().values().stream()
                        .anyMatch(d -> d.plan().weights().containsKey(name)));
    this.layers = sites.all();
    if (layers.isEmpty()) {
      throw new TersorException("TSR-0412", "no layer of '" + base.name() + "' can be coded");
    }
    sites.places().forEach(place -> groups.addAll(Ties.of(place.graph(), place.layers())));
    this.otherBytes = staying();
  }

  /**
   * Measures every item in every format.
   *
   * @param times measure the time of each layer in each format, too
   * @param step called after each measurement; {@link MixedSearch#steps} says how many there will
   *     be at most
   */
  void measureItems(boolean times, Runnable step) {
    WeightRuns alone = runs(base);
    exact.addAll(alone.run(Map.of()));
    combined =
        Optional.of(
            activations().isEmpty()
                ? alone
                : runs(
                    new Quantizer(compiler)
                        .apply(base, activationPlan(), problem.options().compile())));
    Curvature curvature = new Curvature(alone, exact, problem.distribution());
    double floating = 0;
    for (Ties.Group group : groups) {
      double asIs = times ? nanos(group, Optional.empty()) : 0;
      floating += asIs;
      List<MixedSearch.Option> choices = new ArrayList<>();
      List<Map<Operand, Tensor>> weights = new ArrayList<>();
      for (Map.Entry<String, Quantizer.Decisions> entry : problem.uniform().entrySet()) {
        Quantizer.Decisions decisions = entry.getValue();
        if (!covers(decisions, group)) {
          continue;
        }
        Map<Operand, Tensor> coded = new LinkedHashMap<>();
        group.layers().forEach(layer -> coded.put(layer, decode(layer, decisions)));
        OutputNoise noise = noise(alone.run(coded));
        choices.add(
            new MixedSearch.Option(
                entry.getKey(),
                bytes(group, decisions),
                times ? nanos(group, Optional.of(decisions)) : 0,
                noise.kl(),
                noise.sqnr(),
                cost(noise)));
        weights.add(coded);
        step.run();
      }
      if (problem.floats() || choices.isEmpty()) {
        choices.add(
            new MixedSearch.Option(
                MixedSearch.FLOAT, floatBytes(group), asIs, 0, Double.POSITIVE_INFINITY, 0));
        weights.add(Map.of());
      }
      double trace = curvature.trace(group.layers(), PROBES, 17);
      step.run();
      items.add(
          new MixedSearch.Item(
              group.layers().stream().map(Operand::name).toList(),
              group.why(),
              trace,
              List.copyOf(choices)));
      decoded.add(weights);
    }
    this.floatNanos = floating;
  }

  double floatNanos() {
    return floatNanos;
  }

  List<MixedSearch.Item> items() {
    return items;
  }

  /** Bytes of constants that stay whatever is chosen. */
  long otherBytes() {
    return otherBytes;
  }

  /**
   * Times of the layers of one graph.
   *
   * @param calls of the graph in a call of the model
   */
  private record Timer(Optional<LayerTimes> times, double calls) {}

  /**
   * Time of layers in a call of the model; none in a body that no sample reaches. That of a layer
   * with several weights counts once, with the first.
   */
  private double nanos(Ties.Group group, Optional<Quantizer.Decisions> decisions) {
    List<Node> timed = group.layers().stream().filter(this::isFirst).map(Operand::node).toList();
    Sites.Place place = Objects.requireNonNull(layers.get(group.layers().getFirst())).place();
    Timer timer = timers.computeIfAbsent(place.graph(), graph -> timer(place));
    return timer
        .times()
        .map(times ->
            timer.calls()
                * decisions.map(d -> times.nanos(timed, d)).orElseGet(() -> times.nanos(timed)))
        .orElse(0.0);
  }

  private boolean isFirst(Operand operand) {
    return layers.keySet().stream()
        .filter(o -> o.node().equals(operand.node()))
        .findFirst()
        .filter(operand::equals)
        .isPresent();
  }

  private Timer timer(Sites.Place place) {
    List<Map<String, Tensor>> calls = problem.samples();
    for (Sites.Around around : place.within()) {
      calls =
          BodySamples.first(
              compiler,
              problem.options().backend(),
              Quantizer.quiet(problem.options()),
              around.graph(),
              around.body(),
              calls,
              Integer.MAX_VALUE);
    }
    return new Timer(
        calls.stream()
            .findFirst()
            .map(call -> new LayerTimes(compiler, place.graph(), problem.options(), call)),
        calls.size() / (double) problem.samples().size());
  }

  private WeightRuns runs(Graph graph) {
    return new WeightRuns(
        compiler,
        graph,
        layers,
        problem.options().backend(),
        problem.options().compile(),
        problem.samples());
  }

  Map<String, QuantPlan.Activation> activations() {
    return problem.uniform().values().iterator().next().plan().activations();
  }

  private QuantPlan activationPlan() {
    return new QuantPlan(Map.of(), activations(), Map.of());
  }

  private double cost(OutputNoise noise) {
    return Math.max(0, problem.distribution() ? noise.kl() : noise.relative());
  }

  private OutputNoise noise(List<Tensor> results) {
    OutputNoise noise = new OutputNoise();
    for (int i = 0; i < results.size(); i++) {
      noise.add(exact.get(i), results.get(i));
    }
    return noise;
  }

  private Tensor decode(Operand operand, Quantizer.Decisions decisions) {
    Sites.Site site = Objects.requireNonNull(layers.get(operand));
    String name = operand.name();
    WeightLayout layout = operand.layout();
    Tensor weight = site.load();
    NumberFormat format = format(decisions, name);
    List<Tensor> codes = decisions.codes().get(name);
    WeightEncoding encoding =
        codes == null
            ? WeightEncoding.of(format, weight, layout, 0, Optional.empty())
            : WeightEncoding.of(format, codes, layout.encodedShape(weight.shape()), name);
    return WeightEncoding.decoded(format, encoding, layout, weight.shape());
  }

  private NumberFormat format(Quantizer.Decisions decisions, String name) {
    return compiler.registry().format(Objects.requireNonNull(decisions.plan().weights().get(name)));
  }

  private Map<Value, Sites.Site> weights(Ties.Group group) {
    Map<Value, Sites.Site> values = new LinkedHashMap<>();
    for (Operand operand : group.layers()) {
      values.put(operand.value(), Objects.requireNonNull(layers.get(operand)));
    }
    return values;
  }

  private long bytes(Ties.Group group, Quantizer.Decisions decisions) {
    return weights(group).values().stream()
        .mapToLong(site ->
            WeightEncoding.bytes(
                format(decisions, site.operand().name()).definition(),
                site.operand().layout(),
                site.constant().shape()))
        .sum();
  }

  private long floatBytes(Ties.Group group) {
    return weights(group).values().stream().mapToLong(site -> 4 * site.constant().elements()).sum();
  }

  /** Constants that stay whatever is chosen; a weight that something else reads, too, is one. */
  private long staying() {
    Set<Integer> coded =
        layers.keySet().stream().map(o -> o.node().id()).collect(Collectors.toSet());
    Set<Value> weights = new LinkedHashSet<>();
    groups.forEach(g -> weights.addAll(weights(g).keySet()));
    Set<Value> elsewhere = new LinkedHashSet<>();
    Map<Value, Constant> constants = new LinkedHashMap<>();
    look(base, coded, elsewhere, constants);
    long bytes = 0;
    for (Map.Entry<Value, Constant> entry : constants.entrySet()) {
      boolean goes = weights.contains(entry.getKey()) && !elsewhere.contains(entry.getKey());
      bytes += goes ? 0 : 4 * entry.getValue().elements();
    }
    return bytes;
  }

  /** The constants of a graph and its bodies, and what others than coded layers read there. */
  private static void look(
      Graph graph, Set<Integer> coded, Set<Value> elsewhere, Map<Value, Constant> constants) {
    constants.putAll(graph.constants());
    elsewhere.addAll(graph.outputs());
    for (Node node : graph.nodes()) {
      if (!coded.contains(node.id())) {
        elsewhere.addAll(node.inputs());
      }
      Graph.bodies(node).forEach(body -> look(body, coded, elsewhere, constants));
    }
  }

  /** Runs a combination. */
  MixedSearch.Point measure(String name, List<Integer> chosen) {
    Map<Operand, Tensor> weights = new LinkedHashMap<>();
    long bytes = otherBytes;
    double nanos = 0;
    double predicted = 0;
    for (int i = 0; i < items.size(); i++) {
      MixedSearch.Option option = items.get(i).options().get(chosen.get(i));
      weights.putAll(decoded.get(i).get(chosen.get(i)));
      bytes += option.bytes();
      nanos += option.nanos();
      predicted += option.cost();
    }
    OutputNoise noise = noise(combined.orElseThrow().run(weights));
    return new MixedSearch.Point(
        name, bytes, nanos, predicted, cost(noise), noise.kl(), noise.sqnr(), List.copyOf(chosen));
  }

  /** The least and the most bytes that can be chosen; known before anything is measured. */
  long[] sizes() {
    long least = otherBytes;
    long most = otherBytes;
    for (Ties.Group group : groups) {
      List<Long> bytes = new ArrayList<>();
      for (Quantizer.Decisions decisions : problem.uniform().values()) {
        if (covers(decisions, group)) {
          bytes.add(bytes(group, decisions));
        }
      }
      if (problem.floats() || bytes.isEmpty()) {
        bytes.add(floatBytes(group));
      }
      least += bytes.stream().mapToLong(b -> b).min().orElse(0);
      most += bytes.stream().mapToLong(b -> b).max().orElse(0);
    }
    return new long[] {least, most};
  }

  private boolean covers(Quantizer.Decisions decisions, Ties.Group group) {
    return group.layers().stream().allMatch(o -> decisions.plan().weights().containsKey(o.name()));
  }
}
