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
import org.tersor.ir.graph.Graph;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Tensor;

/**
 * Chooses a number format for the weights of each layer: what each costs alone is measured, an
 * integer program chooses, and the combination is run and repaired.
 */
public final class MixedSearch {
  /** The option of a layer to stay as it is. */
  public static final String FLOAT = "float";

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

  private final SearchProblem problem;
  private final FormatCosts costs;

  public MixedSearch(SearchProblem problem) {
    this.problem = problem;
    this.costs = new FormatCosts(problem);
  }

  /**
   * Measures every item in every format.
   *
   * @param times measure the time of each layer in each format, too
   * @param step called after each measurement; {@link #steps} says how many there will be at most
   */
  public void measureItems(boolean times, Runnable step) {
    costs.measureItems(times, step);
  }

  /** Calls of {@code step} that some layers and formats make, at most. */
  public static int steps(Map<String, Quantizer.Decisions> uniform) {
    Set<String> all = new TreeSet<>();
    uniform.values().forEach(d -> all.addAll(d.plan().weights().keySet()));
    return all.size() * (uniform.size() + 1);
  }

  /** Sum of the float layers' times; 0 if they were not measured. */
  public double floatNanos() {
    return costs.floatNanos();
  }

  public List<Item> items() {
    return List.copyOf(costs.items());
  }

  /** The least and the most bytes that can be chosen; known before anything is measured. */
  public long[] sizes() {
    return costs.sizes();
  }

  /** Runs a combination. */
  public Point measure(String name, List<Integer> chosen) {
    return costs.measure(name, chosen);
  }

  /**
   * Changes one or two items at a time while the measured cost falls and the budget holds.
   *
   * @param nanos whether the budget is nanoseconds, not bytes
   * @param said takes a sentence for each change that is kept
   */
  public Point repaired(
      Point start, double budget, boolean nanos, java.util.function.Consumer<String> said) {
    return new Repair(costs, budget, nanos).repaired(start, said);
  }

  /** Every format for all layers that can have it; the others take what comes first. */
  public List<Point> uniform() {
    List<Point> points = new ArrayList<>();
    Set<String> labels = new java.util.LinkedHashSet<>(problem.uniform().keySet());
    items().forEach(item -> item.options().forEach(o -> labels.add(o.format())));
    for (String label : labels) {
      List<Integer> chosen = new ArrayList<>();
      for (Item item : items()) {
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
        items().stream()
            .map(item ->
                item.options().stream()
                    .map(o -> new BudgetProgram.Entry(o.cost(), nanos ? o.nanos() : o.bytes()))
                    .toList())
            .toList();
    return BudgetProgram.solve(program, nanos ? budget : budget - costs.otherBytes())
        .map(chosen -> measure(name, java.util.Arrays.stream(chosen).boxed().toList()));
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

  /** The item whose next larger option lowers the cost the most for a byte; empty at the top. */
  public Optional<List<Integer>> raised(Point point) {
    Optional<List<Integer>> best = Optional.empty();
    double most = 0;
    for (int i = 0; i < items().size(); i++) {
      Option now = items().get(i).options().get(point.chosen().get(i));
      for (int o = 0; o < items().get(i).options().size(); o++) {
        Option next = items().get(i).options().get(o);
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
    problem.samples().forEach(set::add);
    return set;
  }

  /** The decisions of a combination: an ordinary plan. */
  public Quantizer.Decisions decisions(Point point) {
    Map<String, String> header =
        new TreeMap<>(problem.uniform().values().iterator().next().plan().header());
    header.putAll(samples().header());
    header.put("search", point.name());
    Map<String, String> weights = new TreeMap<>();
    Map<String, QuantPlan.Choice> choices = new TreeMap<>();
    Map<String, List<Tensor>> codes = new TreeMap<>();
    List<String> reports = new ArrayList<>();
    for (int i = 0; i < items().size(); i++) {
      String label = items().get(i).options().get(point.chosen().get(i)).format();
      Quantizer.Decisions from = problem.uniform().get(label);
      if (from == null) {
        continue;
      }
      for (String layer : items().get(i).layers()) {
        weights.put(layer, Objects.requireNonNull(from.plan().weights().get(layer)));
        Optional.ofNullable(from.plan().choices().get(layer))
            .ifPresent(choice -> choices.put(layer, choice));
        Optional.ofNullable(from.codes().get(layer)).ifPresent(c -> codes.put(layer, c));
        from.reports().stream().filter(r -> r.startsWith(layer + ":")).forEach(reports::add);
      }
    }
    return new Quantizer.Decisions(
        new QuantPlan(header, costs.activations(), weights, choices, Map.of()),
        codes,
        Map.of(),
        reports);
  }

  /** How far the executed graph of some decisions is from the float one. */
  public OutputNoise executed(Quantizer.Decisions decisions, Iterable<Map<String, Tensor>> calls) {
    Compiler compiler = problem.compiler();
    Graph base = problem.base();
    Graph coded = new Quantizer(compiler).apply(base, decisions, problem.options().compile());
    var left = compiler.link(base, problem.options().backend(), Quantizer.quiet(problem.options()));
    var right =
        compiler.link(coded, problem.options().backend(), Quantizer.quiet(problem.options()));
    OutputNoise noise = new OutputNoise();
    for (Map<String, Tensor> call : calls) {
      noise.add(
          left.run(call).values().iterator().next(), right.run(call).values().iterator().next());
    }
    return noise;
  }
}
