package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.WeightLayout;
import org.tersor.passes.Compiler;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Chooses a number format for the weights of each layer: what each costs alone is measured, an
 * integer program chooses, and the combination is run and repaired.
 */
public final class MixedSearch {
  /** The option of a layer to stay as it is. */
  public static final String FLOAT = "float";

  /** Trials of one repair. */
  private static final int TRIALS = 24;

  private static final int PROBES = 2;

  /**
   * What layers could be.
   *
   * @param format the label of a uniform plan, or {@link #FLOAT}
   * @param bytes of their weights
   * @param nanos for a call of them alone; 0 if it was not measured
   * @param kl mean divergence of the output in nats if nothing else is coded
   * @param sqnr of the output in dB if nothing else is coded
   * @param cost what the integer program adds up: {@code kl}, or noise by signal
   */
  public record Option(
      String format, long bytes, double nanos, double kl, double sqnr, double cost) {}

  /**
   * Layers that take one format.
   *
   * @param tie why they do; empty for one layer
   * @param trace of the Gauss-Newton matrix by their weights
   */
  public record Item(List<String> layers, String tie, double trace, List<Option> options) {}

  /**
   * A combination that was run.
   *
   * @param bytes of all constants
   * @param nanos sum of the layers' times; 0 if they were not measured
   * @param predicted sum of the costs
   * @param cost measured
   * @param chosen option of each item, by number
   */
  public record Point(
      String name,
      long bytes,
      double nanos,
      double predicted,
      double cost,
      double kl,
      double sqnr,
      List<Integer> chosen) {}

  private final Compiler compiler;
  private final Graph base;
  private final Map<String, Quantizer.Decisions> uniform;
  private final Quantizer.Options options;
  private final boolean floats;
  private final boolean distribution;
  private final List<Map<String, Tensor>> samples;
  private final Names names;
  private final Map<Node, WeightLayout> layers = new LinkedHashMap<>();
  private final List<Ties.Group> groups;
  private final List<List<Map<Node, Tensor>>> decoded = new ArrayList<>();
  private final List<Item> items = new ArrayList<>();
  private final long otherBytes;
  private double floatNanos;
  private Optional<WeightRuns> combined = Optional.empty();
  private final List<Tensor> exact = new ArrayList<>();

  /**
   * @param uniform decisions for every layer, by label: the formats to choose from
   * @param floats whether layers may also stay as they are
   * @param layer names of the layers that may be coded
   * @param distribution whether the first output holds scores: the measure is then KL divergence,
   *     else noise by signal
   * @param samples calls
   */
  public MixedSearch(
      Compiler compiler,
      Graph base,
      Map<String, Quantizer.Decisions> uniform,
      boolean floats,
      Predicate<String> layer,
      Quantizer.Options options,
      boolean distribution,
      List<Map<String, Tensor>> samples) {
    this.compiler = compiler;
    this.base = base;
    this.uniform = uniform;
    this.options = options;
    this.floats = floats;
    this.distribution = distribution;
    this.samples = samples;
    this.names = new Names(base);
    if (samples.isEmpty()) {
      throw new TersorException("TSR-0413", "the search runs the model: it needs samples");
    }
    TypeInference.Inferred inferred =
        TypeInference.infer(base, compiler.registry().operators(), note -> {});
    for (Node node : base.nodes()) {
      boolean coded =
          uniform.values().stream().anyMatch(d -> d.plan().weights().containsKey(names.of(node)));
      if (coded && layer.test(names.of(node))) {
        compiler
            .registry()
            .operators()
            .find(node.op())
            .flatMap(o -> o.weights(inferred.scope().context(node)))
            .ifPresent(layout -> layers.put(node, layout));
      }
    }
    if (layers.isEmpty()) {
      throw new TersorException("TSR-0412", "no layer of '" + base.name() + "' can be coded");
    }
    this.groups = Ties.of(base, layers);
    this.otherBytes = otherBytes();
  }

  /**
   * Measures every item in every format.
   *
   * @param times measure the time of each layer in each format, too
   * @param step called after each measurement; {@link #steps} says how many there will be at most
   */
  public void measureItems(boolean times, Runnable step) {
    WeightRuns alone = runs(base);
    exact.addAll(alone.run(Map.of()));
    combined =
        Optional.of(
            activations().isEmpty()
                ? alone
                : runs(new Quantizer(compiler).apply(base, activationPlan(), options.compile())));
    LayerTimes timer = new LayerTimes(compiler, base, options, samples.getFirst());
    Curvature curvature = new Curvature(alone, exact, distribution);
    double floating = 0;
    for (Ties.Group group : groups) {
      floating += times ? timer.nanos(group.layers()) : 0;
      List<Option> choices = new ArrayList<>();
      List<Map<Node, Tensor>> weights = new ArrayList<>();
      for (Map.Entry<String, Quantizer.Decisions> entry : uniform.entrySet()) {
        Quantizer.Decisions decisions = entry.getValue();
        if (!covers(decisions, group)) {
          continue;
        }
        Map<Node, Tensor> coded = new LinkedHashMap<>();
        group.layers().forEach(node -> coded.put(node, decode(node, decisions)));
        OutputNoise noise = noise(alone.run(coded));
        choices.add(
            new Option(
                entry.getKey(),
                bytes(group, decisions),
                times ? timer.nanos(group.layers(), decisions) : 0,
                noise.kl(),
                noise.sqnr(),
                cost(noise)));
        weights.add(coded);
        step.run();
      }
      if (floats || choices.isEmpty()) {
        choices.add(
            new Option(
                FLOAT,
                floatBytes(group),
                times ? timer.nanos(group.layers()) : 0,
                0,
                Double.POSITIVE_INFINITY,
                0));
        weights.add(Map.of());
      }
      double trace = curvature.trace(group.layers(), PROBES, 17);
      step.run();
      items.add(
          new Item(
              group.layers().stream().map(names::of).toList(),
              group.why(),
              trace,
              List.copyOf(choices)));
      decoded.add(weights);
    }
    this.floatNanos = floating;
  }

  /** Calls of {@code step} that some layers and formats make, at most. */
  public static int steps(Map<String, Quantizer.Decisions> uniform) {
    Set<String> all = new TreeSet<>();
    uniform.values().forEach(d -> all.addAll(d.plan().weights().keySet()));
    return all.size() * (uniform.size() + 1);
  }

  /** Sum of the float layers' times; 0 if they were not measured. */
  public double floatNanos() {
    return floatNanos;
  }

  public List<Item> items() {
    return List.copyOf(items);
  }

  private WeightRuns runs(Graph graph) {
    return new WeightRuns(
        compiler, graph, base, layers, options.backend(), options.compile(), samples);
  }

  private Map<String, QuantPlan.Activation> activations() {
    return uniform.values().iterator().next().plan().activations();
  }

  private QuantPlan activationPlan() {
    return new QuantPlan(Map.of(), activations(), Map.of());
  }

  private double cost(OutputNoise noise) {
    return Math.max(0, distribution ? noise.kl() : noise.relative());
  }

  private OutputNoise noise(List<Tensor> results) {
    OutputNoise noise = new OutputNoise();
    for (int i = 0; i < results.size(); i++) {
      noise.add(exact.get(i), results.get(i));
    }
    return noise;
  }

  private Tensor decode(Node node, Quantizer.Decisions decisions) {
    String name = names.of(node);
    WeightLayout layout = Objects.requireNonNull(layers.get(node));
    Tensor weight = base.constant(node.input(layout.input())).orElseThrow().load();
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

  private Map<Value, Node> weights(Ties.Group group) {
    Map<Value, Node> values = new LinkedHashMap<>();
    group
        .layers()
        .forEach(n -> values.put(n.input(Objects.requireNonNull(layers.get(n)).input()), n));
    return values;
  }

  private long bytes(Ties.Group group, Quantizer.Decisions decisions) {
    long bytes = 0;
    for (Map.Entry<Value, Node> weight : weights(group).entrySet()) {
      bytes +=
          WeightEncoding.bytes(
              format(decisions, names.of(weight.getValue())).definition(),
              Objects.requireNonNull(layers.get(weight.getValue())),
              base.constant(weight.getKey()).orElseThrow().shape());
    }
    return bytes;
  }

  private long floatBytes(Ties.Group group) {
    return weights(group).keySet().stream()
        .mapToLong(v -> 4 * base.constant(v).orElseThrow().elements())
        .sum();
  }

  /** Constants that stay whatever is chosen; a weight that something else reads, too, is one. */
  private long otherBytes() {
    Set<Integer> coded = layers.keySet().stream().map(Node::id).collect(Collectors.toSet());
    Set<Value> weights = new java.util.LinkedHashSet<>();
    groups.forEach(g -> weights.addAll(weights(g).keySet()));
    long bytes = 0;
    for (Map.Entry<Value, Constant> entry : base.constants().entrySet()) {
      boolean goes =
          weights.contains(entry.getKey())
              && base.consumers(entry.getKey()).stream().allMatch(n -> coded.contains(n.id()));
      bytes += goes ? 0 : 4 * entry.getValue().elements();
    }
    return bytes;
  }

  /** Runs a combination. */
  public Point measure(String name, List<Integer> chosen) {
    Map<Node, Tensor> weights = new LinkedHashMap<>();
    long bytes = otherBytes;
    double nanos = 0;
    double predicted = 0;
    for (int i = 0; i < items.size(); i++) {
      Option option = items.get(i).options().get(chosen.get(i));
      weights.putAll(decoded.get(i).get(chosen.get(i)));
      bytes += option.bytes();
      nanos += option.nanos();
      predicted += option.cost();
    }
    OutputNoise noise = noise(combined.orElseThrow().run(weights));
    return new Point(
        name, bytes, nanos, predicted, cost(noise), noise.kl(), noise.sqnr(), List.copyOf(chosen));
  }

  /** Every format for all layers that can have it; the others take what comes first. */
  public List<Point> uniform() {
    List<Point> points = new ArrayList<>();
    Set<String> labels = new java.util.LinkedHashSet<>(uniform.keySet());
    items.forEach(item -> item.options().forEach(o -> labels.add(o.format())));
    for (String label : labels) {
      List<Integer> chosen = new ArrayList<>();
      for (Item item : items) {
        int at = 0;
        for (int o = 0; o < item.options().size(); o++) {
          at = item.options().get(o).format().equals(label) ? o : at;
        }
        chosen.add(at);
      }
      points.add(measure(label, chosen));
    }
    return points;
  }

  /**
   * The least cost within a budget, by the costs measured alone.
   *
   * @param nanos whether the budget is nanoseconds, not bytes
   * @return empty if nothing fits
   */
  public Optional<Point> within(String name, double budget, boolean nanos) {
    List<List<BudgetProgram.Entry>> program =
        items.stream()
            .map(item ->
                item.options().stream()
                    .map(o -> new BudgetProgram.Entry(o.cost(), nanos ? o.nanos() : o.bytes()))
                    .toList())
            .toList();
    return BudgetProgram.solve(program, nanos ? budget : budget - otherBytes)
        .map(chosen -> measure(name, java.util.Arrays.stream(chosen).boxed().toList()));
  }

  /** The least and the most bytes that can be chosen; known before anything is measured. */
  public long[] sizes() {
    long least = otherBytes;
    long most = otherBytes;
    for (Ties.Group group : groups) {
      List<Long> bytes = new ArrayList<>();
      for (Quantizer.Decisions decisions : uniform.values()) {
        if (covers(decisions, group)) {
          bytes.add(bytes(group, decisions));
        }
      }
      if (floats || bytes.isEmpty()) {
        bytes.add(floatBytes(group));
      }
      least += bytes.stream().mapToLong(b -> b).min().orElse(0);
      most += bytes.stream().mapToLong(b -> b).max().orElse(0);
    }
    return new long[] {least, most};
  }

  private boolean covers(Quantizer.Decisions decisions, Ties.Group group) {
    return group.layers().stream()
        .allMatch(n -> decisions.plan().weights().containsKey(names.of(n)));
  }

  /**
   * Best combinations at sizes from the least to the most, smallest first; each was run.
   *
   * @param count sizes, each larger by the same factor
   * @param also other sizes
   */
  public List<Point> front(int count, List<Long> also) {
    long[] ends = sizes();
    TreeSet<Double> sizes = new TreeSet<>();
    also.forEach(size -> sizes.add((double) size));
    for (int i = 0; i < count; i++) {
      double part = i / (double) Math.max(1, count - 1);
      sizes.add(i == 0 ? ends[0] : Math.ceil(ends[0] * Math.pow(ends[1] / (double) ends[0], part)));
    }
    Map<List<Integer>, Point> points = new LinkedHashMap<>();
    for (double size : sizes) {
      within("mixed", size, false).ifPresent(p -> points.putIfAbsent(p.chosen(), p));
    }
    return points.values().stream()
        .sorted(Comparator.comparingLong(Point::bytes).thenComparingDouble(Point::cost))
        .toList();
  }

  /**
   * Changes one or two items at a time while the measured cost falls and the budget holds: costs
   * measured alone do not add up.
   *
   * @param said takes a sentence for each change that is kept
   */
  public Point repaired(
      Point start, double budget, boolean nanos, java.util.function.Consumer<String> said) {
    Point best = start;
    int trials = TRIALS;
    boolean better = true;
    while (better && trials > 0) {
      better = false;
      for (List<Integer> candidate : neighbours(best, budget, nanos)) {
        if (trials-- <= 0) {
          break;
        }
        Point trial = measure(start.name(), candidate);
        if (trial.cost() < best.cost() * 0.995) {
          said.accept(change(best, trial));
          best = trial;
          better = true;
          break;
        }
      }
    }
    return best;
  }

  private String change(Point from, Point to) {
    List<String> parts = new ArrayList<>();
    for (int i = 0; i < items.size(); i++) {
      if (!from.chosen().get(i).equals(to.chosen().get(i))) {
        parts.add(
            String.join(" ", items.get(i).layers())
                + " to "
                + items.get(i).options().get(to.chosen().get(i)).format());
      }
    }
    return String.format(
        java.util.Locale.ROOT,
        "%s: measured cost %.4g instead of %.4g",
        String.join(", ", parts),
        to.cost(),
        from.cost());
  }

  /** One item raised, or one raised and one lowered, within the budget; by predicted cost. */
  private List<List<Integer>> neighbours(Point point, double budget, boolean nanos) {
    Map<List<Integer>, Double> found = new LinkedHashMap<>();
    for (int i = 0; i < items.size(); i++) {
      for (int o = 0; o < items.get(i).options().size(); o++) {
        if (o == point.chosen().get(i)) {
          continue;
        }
        List<Integer> one = new ArrayList<>(point.chosen());
        one.set(i, o);
        offer(found, one, budget, nanos);
        for (int j = 0; j < items.size(); j++) {
          for (int q = 0; j != i && q < items.get(j).options().size(); q++) {
            if (q != point.chosen().get(j)) {
              List<Integer> two = new ArrayList<>(one);
              two.set(j, q);
              offer(found, two, budget, nanos);
            }
          }
        }
      }
    }
    return found.entrySet().stream()
        .sorted(Map.Entry.comparingByValue())
        .limit(TRIALS)
        .map(Map.Entry::getKey)
        .toList();
  }

  private void offer(
      Map<List<Integer>, Double> found, List<Integer> chosen, double budget, boolean nanos) {
    double price = nanos ? 0 : otherBytes;
    double cost = 0;
    for (int i = 0; i < items.size(); i++) {
      Option option = items.get(i).options().get(chosen.get(i));
      price += nanos ? option.nanos() : option.bytes();
      cost += option.cost();
    }
    if (price <= budget) {
      found.putIfAbsent(chosen, cost);
    }
  }

  /** The item whose next larger option lowers the cost the most for a byte; empty at the top. */
  public Optional<List<Integer>> raised(Point point) {
    Optional<List<Integer>> best = Optional.empty();
    double most = 0;
    for (int i = 0; i < items.size(); i++) {
      Option now = items.get(i).options().get(point.chosen().get(i));
      for (int o = 0; o < items.get(i).options().size(); o++) {
        Option next = items.get(i).options().get(o);
        double gain = (now.cost() - next.cost()) / Math.max(1, next.bytes() - now.bytes());
        if (next.bytes() > now.bytes() && gain > most) {
          most = gain;
          List<Integer> chosen = new ArrayList<>(point.chosen());
          chosen.set(i, o);
          best = Optional.of(chosen);
        }
      }
    }
    return best;
  }

  /** The samples that choose. */
  public SampleSet samples() {
    SampleSet set = new SampleSet();
    samples.forEach(set::add);
    return set;
  }

  /** The decisions of a combination: an ordinary plan. */
  public Quantizer.Decisions decisions(Point point) {
    Map<String, String> header = new TreeMap<>(uniform.values().iterator().next().plan().header());
    header.putAll(samples().header());
    header.put("search", point.name());
    Map<String, String> weights = new TreeMap<>();
    Map<String, QuantPlan.Choice> choices = new TreeMap<>();
    Map<String, List<Tensor>> codes = new TreeMap<>();
    List<String> reports = new ArrayList<>();
    for (int i = 0; i < items.size(); i++) {
      String label = items.get(i).options().get(point.chosen().get(i)).format();
      Quantizer.Decisions from = uniform.get(label);
      if (from == null) {
        continue;
      }
      for (String layer : items.get(i).layers()) {
        weights.put(layer, Objects.requireNonNull(from.plan().weights().get(layer)));
        Optional.ofNullable(from.plan().choices().get(layer))
            .ifPresent(choice -> choices.put(layer, choice));
        Optional.ofNullable(from.codes().get(layer)).ifPresent(c -> codes.put(layer, c));
        from.reports().stream().filter(r -> r.startsWith(layer + ":")).forEach(reports::add);
      }
    }
    return new Quantizer.Decisions(
        new QuantPlan(header, activations(), weights, choices, Map.of()), codes, Map.of(), reports);
  }

  /** How far the executed graph of some decisions is from the float one. */
  public OutputNoise executed(Quantizer.Decisions decisions, Iterable<Map<String, Tensor>> calls) {
    Graph coded = new Quantizer(compiler).apply(base, decisions, options.compile());
    var left = compiler.link(base, options.backend(), Quantizer.quiet(options));
    var right = compiler.link(coded, options.backend(), Quantizer.quiet(options));
    OutputNoise noise = new OutputNoise();
    for (Map<String, Tensor> call : calls) {
      noise.add(
          left.run(call).values().iterator().next(), right.run(call).values().iterator().next());
    }
    return noise;
  }
}
