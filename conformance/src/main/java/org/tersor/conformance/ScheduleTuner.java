package org.tersor.conformance;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.schedule.ScheduleChoice;
import org.tersor.ir.schedule.Schedules;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Program;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.ScheduleTable;
import org.tersor.runtime.StepClock;
import org.tersor.runtime.Tensor;

/**
 * Measures schedules where there are several: a model is compiled once with each option of all its
 * shapes, and the models take turns, so that every launch is timed among its neighbours, with
 * caches as they will be. What is faster than the rule's is measured once more, against the rule's
 * in turns, and kept if it is faster again.
 */
public final class ScheduleTuner {
  /** Most options of a shape. */
  private static final int MOST = 8;

  /** Time by the rule's that an option may take to be measured once more, and to be kept. */
  private static final double PROMISING = .98;

  private static final double KEPT = .985;

  private final Compiler compiler;
  private final Graph graph;
  private final String backend;
  private final CompileOptions options;
  private final Function<LoadedModel, Map<String, Tensor>> inputs;
  private final Settings settings;

  /**
   * How long.
   *
   * @param warmupSeconds see {@link Duel#steady}
   * @param rounds turns that each model takes, twice
   */
  public record Settings(double warmupSeconds, int rounds) {
    /** As long as it takes on a target: some compile kernels while they run them. */
    public static Settings of(Target target) {
      return new Settings(target.has(Target.Feature.AHEAD_OF_TIME) ? .1 : 1.5, 40);
    }
  }

  /**
   * What was found.
   *
   * @param shapes for which there are several schedules
   * @param rows of those for which the rule's is not the best
   * @param micros time of a run with the rows, by medians of its steps
   * @param ruleMicros the same without
   */
  public record Result(
      Set<String> shapes, Map<String, ScheduleTable.Row> rows, double micros, double ruleMicros) {}

  private ScheduleTuner(
      Compiler compiler,
      Graph graph,
      String backend,
      CompileOptions options,
      Function<LoadedModel, Map<String, Tensor>> inputs,
      Settings settings) {
    this.compiler = compiler;
    this.graph = graph;
    this.backend = backend;
    this.options = options;
    this.inputs = inputs;
    this.settings = settings;
  }

  /**
   * Measures the schedules of a model for the target and threads that the options name.
   *
   * @param graph as imported
   * @param inputs what a model is run on
   */
  public static Result tune(
      Compiler compiler,
      Graph graph,
      String backend,
      CompileOptions options,
      Function<LoadedModel, Map<String, Tensor>> inputs,
      Settings settings) {
    return new ScheduleTuner(compiler, graph, backend, options, inputs, settings).run();
  }

  /** A model that takes turns with others. */
  private final class Contender {
    private final LoadedModel model;
    private final Map<String, Tensor> sample;
    private final Map<String, Tensor> outputs;
    private StepClock clock = new StepClock();

    Contender(Schedules schedules) {
      this.model = LoadedModel.of(compiler, graph, backend, options.withSchedules(schedules));
      this.sample = inputs.apply(model);
      this.outputs = model.executable().run(sample);
      Duel.steady(model.executable(), sample, outputs, settings.warmupSeconds());
    }

    void run() {
      // The first run brings weights and code back into the caches.
      model.executable().run(sample, outputs);
      clock.during(() -> model.executable().run(sample, outputs));
    }

    void forget() {
      clock = new StepClock();
    }

    Set<ScheduleChoice> choices() {
      Set<ScheduleChoice> all = new LinkedHashSet<>();
      model.programs().forEach(program -> all.addAll(program.choices().values()));
      return all;
    }

    /** Microseconds of a run by class of shapes; "" for all else. */
    Map<String, Double> micros() {
      Map<String, Double> micros = new HashMap<>();
      for (StepClock.Step step : clock.steps()) {
        String shape = choice(step).map(ScheduleChoice::shape).orElse("");
        micros.merge(shape, step.nanos() / 1e3 * step.runs() / settings.rounds(), Double::sum);
      }
      return micros;
    }

    @SuppressWarnings("ReferenceEquality") // parts of a model may be equal and yet different ones
    private Optional<ScheduleChoice> choice(StepClock.Step step) {
      List<Program> programs = new ArrayList<>(model.programs());
      programs.removeIf(program -> program.plan() != step.plan());
      return programs.stream()
          .findFirst()
          .flatMap(program -> Optional.ofNullable(program.choices().get(step.call())));
    }
  }

  private Result run() {
    Contender rule = new Contender(Schedules.RULE);
    Map<String, List<String>> shapes = new TreeMap<>();
    rule.choices().forEach(choice -> shapes.put(choice.shape(), choice.options()));
    int most = Math.min(MOST, shapes.values().stream().mapToInt(List::size).max().orElse(1));
    List<Contender> contenders = new ArrayList<>(List.of(rule));
    for (int option = 1; option < most; option++) {
      contenders.add(new Contender(Schedules.option(option)));
    }
    takeTurns(contenders);
    Map<String, ScheduleTable.Row> promising = new TreeMap<>();
    List<Map<String, Double>> times = contenders.stream().map(Contender::micros).toList();
    shapes.forEach((shape, names) ->
        best(names, times.stream().map(t -> time(t, shape)).toList())
            .ifPresent(row -> promising.put(shape, row)));
    contenders.clear();
    return confirmed(rule, shapes.keySet(), promising);
  }

  private void takeTurns(List<Contender> contenders) {
    contenders.forEach(Contender::forget);
    for (int round = 0; round < settings.rounds(); round++) {
      contenders.forEach(Contender::run);
    }
  }

  /** Of a class whose launches did not run the time is the same with every schedule. */
  private static double time(Map<String, Double> micros, String shape) {
    return micros.getOrDefault(shape, 1.);
  }

  private static Optional<ScheduleTable.Row> best(List<String> names, List<Double> micros) {
    int best = 0;
    for (int i = 1; i < Math.min(names.size(), micros.size()); i++) {
      best = micros.get(i) < micros.get(best) ? i : best;
    }
    return row(names.get(best), micros.get(best), micros.getFirst(), PROMISING);
  }

  private static Optional<ScheduleTable.Row> row(
      String take, double micros, double ruleMicros, double limit) {
    return micros > 0 && micros < limit * ruleMicros
        ? Optional.of(new ScheduleTable.Row(take, micros, ruleMicros))
        : Optional.empty();
  }

  private Result confirmed(
      Contender rule, Set<String> shapes, Map<String, ScheduleTable.Row> promising) {
    if (promising.isEmpty()) {
      double micros = sum(rule.micros());
      return new Result(shapes, Map.of(), micros, micros);
    }
    Contender tuned =
        new Contender((target, shape, names) ->
            Optional.ofNullable(promising.get(shape)).map(ScheduleTable.Row::take));
    takeTurns(List.of(rule, tuned));
    Map<String, Double> before = rule.micros();
    Map<String, Double> after = tuned.micros();
    Map<String, ScheduleTable.Row> kept = new LinkedHashMap<>();
    promising.forEach((shape, row) ->
        row(row.take(), time(after, shape), time(before, shape), KEPT)
            .ifPresent(again -> kept.put(shape, again)));
    // What is not kept takes the rule's time again.
    double micros = 0;
    for (Map.Entry<String, Double> each : before.entrySet()) {
      micros +=
          kept.containsKey(each.getKey())
              ? Objects.requireNonNull(kept.get(each.getKey())).micros()
              : each.getValue();
    }
    return new Result(shapes, kept, micros, sum(before));
  }

  private static double sum(Map<String, Double> micros) {
    return micros.values().stream().mapToDouble(Double::doubleValue).sum();
  }
}
