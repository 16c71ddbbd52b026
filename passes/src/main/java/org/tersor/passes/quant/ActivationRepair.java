package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.Bodies;
import org.tersor.passes.graph.FakeQuant;
import org.tersor.passes.graph.Names;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Finds the activations whose codes cost the outputs the most and takes them away, no more than it
 * needs. Each is measured with nothing but its own codes and those of the weights; the worst leave
 * together, as many as reach the goal, and those that turn out not to be needed come back. Every
 * quantizer has a switch that is an input of the model, so it is compiled once; bodies of If, Loop
 * and Scan capture theirs.
 */
final class ActivationRepair {
  private final Compiler compiler;
  private final Quantizer.Options options;
  private final Graph base;
  private final Quantizer.Decisions decisions;
  private final List<Map<String, Tensor>> samples;
  private final List<Map<String, Tensor>> exact = new ArrayList<>();
  private final Executable switched;

  /** The largest id that is taken, in bodies too. */
  private int nextId;

  private final String prefix;
  private final Optional<NumberFormat> wider;

  /** Inputs that switch the quantizer of a value, by its name in plans. */
  private final Map<String, String> switches = new LinkedHashMap<>();

  /** What leaves together: a value, and those that take its grid because they move its elements. */
  private final Map<String, Set<String>> units = new LinkedHashMap<>();

  /**
   * @param base with the factors of the decisions
   * @param wider what activations take instead of their codes; empty: they stay float
   */
  ActivationRepair(
      Compiler compiler,
      Quantizer.Options options,
      Graph base,
      Quantizer.Decisions decisions,
      List<Map<String, Tensor>> samples,
      Optional<NumberFormat> wider) {
    this.compiler = compiler;
    this.options = options;
    this.base = base;
    this.decisions = decisions;
    this.samples = samples;
    this.wider = wider;
    if (samples.isEmpty()) {
      throw new TersorException("TSR-0413", "a repair runs the model: it needs samples");
    }
    Executable reference = compiler.link(base, options.backend(), Quantizer.quiet(options));
    samples.forEach(sample -> exact.add(reference.run(sample)));
    Graph coded = new Quantizer(compiler).apply(base, decisions, Quantizer.quiet(options));
    this.nextId = coded.maxId();
    this.prefix = ProbeNames.prefix(coded, "_coded_");
    this.switched =
        compiler.link(switched(base, coded), options.backend(), Quantizer.quiet(options));
    if (switches.isEmpty()) {
      throw new TersorException(
          "TSR-0426",
          "no activation of '"
              + base.name()
              + "' has codes that calibration found: nothing to repair");
    }
    Map<String, String> sources = new TreeMap<>();
    share(base, sources);
    for (String name : switches.keySet()) {
      String source = name;
      while (sources.containsKey(source)) {
        source = sources.getOrDefault(source, source);
      }
      units.computeIfAbsent(source, s -> new LinkedHashSet<>()).add(name);
    }
  }

  /** Whose grid a value takes, here and in bodies. */
  private void share(Graph graph, Map<String, String> sources) {
    Names names = new Names(graph);
    Selection.of(
            graph,
            compiler.registry().operators(),
            compiler.registry().format(options.weights()).definition(),
            true,
            options.keep())
        .sharing()
        .forEach((value, source) -> sources.put(names.of(value), names.of(source)));
    for (Bodies.Body body : Bodies.of(graph)) {
      if (decisions.plan().isWithin(body.closed())) {
        share(body.closed(), sources);
      }
    }
  }

  /**
   * The coded graph with a choice behind each quantizer, in bodies too: their switches are inputs
   * of theirs that the graphs around them have.
   */
  private Graph switched(Graph exact, Graph coded) {
    Map<String, Graph> within = new LinkedHashMap<>();
    Bodies.of(exact).forEach(body -> within.put(body.path(), body.closed()));
    Map<Value, ValueType> more = new LinkedHashMap<>();
    Graph graph =
        Bodies.map(
            coded,
            body -> {
              Graph of = within.get(new Names(body).path());
              if (of == null || !decisions.plan().isWithin(body)) {
                return body;
              }
              Graph changed = switched(of, body);
              changed.inputs().stream()
                  .skip(body.inputs().size())
                  .forEach(condition -> more.put(condition, changed.type(condition)));
              return changed;
            });
    nextId = Math.max(nextId, graph.maxId());
    return switched(exact, graph, more);
  }

  private Graph switched(Graph exact, Graph coded, Map<Value, ValueType> more) {
    Names names = new Names(exact);
    List<Value> inputs = new ArrayList<>(coded.inputs());
    List<Node> nodes = new ArrayList<>();
    Map<Value, ValueType> types = new LinkedHashMap<>(coded.types());
    Map<Value, Constant> constants = new LinkedHashMap<>(coded.constants());
    Map<Value, Value> instead = new LinkedHashMap<>();
    inputs.addAll(more.keySet());
    types.putAll(more);
    for (Node node : coded.nodes()) {
      nodes.add(
          node.withInputs(node.inputs().stream().map(v -> instead.getOrDefault(v, v)).toList()));
      if (!node.op().is(OpKey.TERSOR, FakeQuant.TYPE)) {
        continue;
      }
      Value otherwise = node.input(0);
      if (wider.isPresent()) {
        ActivationGrid grid = ActivationGrid.of(wider.get(), widened(names.of(otherwise)));
        Value scale = new Value(++nextId, "");
        Value zero = new Value(++nextId, "");
        constants.put(scale, Constant.of(grid.scaleTensor()));
        constants.put(zero, Constant.of(grid.zeroTensor()));
        otherwise = new Value(++nextId, "");
        types.put(otherwise, coded.type(node.input(0)));
        nodes.add(
            new Node(
                ++nextId,
                "",
                node.op(),
                List.of(node.input(0), scale, zero),
                List.of(otherwise),
                grid.limits()));
      }
      Value condition = new Value(++nextId, prefix + nextId);
      Value chosen = new Value(++nextId, "");
      inputs.add(condition);
      types.put(condition, TensorType.of(DType.BOOL));
      types.put(chosen, coded.type(node.input(0)));
      nodes.add(
          new Node(
              ++nextId,
              "",
              new OpKey("", "Where", coded.opset("")),
              List.of(condition, node.output(0), otherwise),
              List.of(chosen),
              Map.of()));
      instead.put(node.output(0), chosen);
      switches.put(names.of(node.input(0)), condition.name());
    }
    return new Graph(
        coded.name(),
        inputs,
        coded.outputs(),
        nodes,
        constants,
        types,
        coded.opsets(),
        coded.metadata());
  }

  /**
   * The repaired decisions.
   *
   * @param goal signal to noise in dB of the worst output
   * @param step called for each value that is measured
   */
  Quantizer.Decisions repaired(double goal, Runnable step) {
    List<String> reports = new ArrayList<>(decisions.reports());
    double before = decibels(units.keySet());
    if (before >= goal) {
      reports.add(
          String.format(
              Locale.ROOT, "repair: the worst output keeps %.1f dB: nothing to do", before));
      return with(decisions.plan(), reports);
    }
    double most = decibels(Set.of());
    if (most < goal) {
      throw new TersorException(
          "TSR-0426",
          String.format(
              Locale.ROOT,
              "with all activations in %s the worst output of '%s' keeps %.1f dB, not %.1f: its weights need more bits"
                  + " or another method, or the goal is too high",
              wider.map(NumberFormat::id).orElse("float"),
              base.name(),
              most,
              goal));
    }
    Map<String, Double> alone = new LinkedHashMap<>();
    for (String unit : units.keySet()) {
      alone.put(unit, decibels(Set.of(unit)));
      step.run();
    }
    List<String> order =
        alone.entrySet().stream()
            .sorted(Comparator.comparingDouble(Map.Entry::getValue))
            .map(Map.Entry::getKey)
            .toList();
    int enough = order.size();
    for (int low = 1; low < enough; ) {
      int middle = (low + enough) / 2;
      if (decibels(without(order.subList(0, middle))) >= goal) {
        enough = middle;
      } else {
        low = middle + 1;
      }
    }
    List<String> left = new ArrayList<>(order.subList(0, enough));
    for (String unit : order.subList(0, enough).reversed()) {
      List<String> fewer = left.stream().filter(u -> !u.equals(unit)).toList();
      if (decibels(without(fewer)) >= goal) {
        left = new ArrayList<>(fewer);
      }
    }
    QuantPlan plan = decisions.plan().withActivations(changed(left));
    for (String unit : left) {
      reports.add(
          String.format(
              Locale.ROOT,
              "%s: repair: %s; its codes alone leave the worst output %.1f dB, without them it has %.1f dB",
              unit,
              wider.map(f -> "in " + f.id()).orElse("stays float"),
              alone.getOrDefault(unit, most),
              most));
    }
    Quantizer.Decisions repaired = with(plan, reports);
    Graph graph = new Quantizer(compiler).apply(base, repaired, Quantizer.quiet(options));
    Executable executed = compiler.link(graph, options.backend(), Quantizer.quiet(options));
    double after = decibels(samples.stream().map(executed::run).toList());
    reports.add(
        String.format(
            Locale.ROOT,
            "repair: the worst output keeps %.1f dB, was %.1f: %d of %d activations %s",
            after,
            before,
            left.size(),
            order.size(),
            wider.map(f -> "take " + f.id()).orElse("stay float")));
    return with(plan, reports);
  }

  private Quantizer.Decisions with(QuantPlan plan, List<String> reports) {
    return new Quantizer.Decisions(
        plan, decisions.codes(), decisions.factors(), decisions.biases(), List.copyOf(reports));
  }

  private Set<String> without(List<String> left) {
    Set<String> rest = new LinkedHashSet<>(units.keySet());
    left.forEach(rest::remove);
    return rest;
  }

  private Map<String, QuantPlan.Activation> changed(List<String> left) {
    Map<String, QuantPlan.Activation> activations = new TreeMap<>(decisions.plan().activations());
    for (String unit : left) {
      for (String name : units.getOrDefault(unit, Set.of())) {
        if (wider.isPresent()) {
          activations.put(name, widened(name));
        } else {
          activations.remove(name);
        }
      }
    }
    return activations;
  }

  /** The range of a value's codes in the wider format. */
  private QuantPlan.Activation widened(String name) {
    QuantPlan.Activation old = Objects.requireNonNull(decisions.plan().activations().get(name));
    ActivationGrid grid = ActivationGrid.of(compiler.registry().format(old.format()), old);
    return ActivationGrid.fit(wider.orElseThrow(), grid.lowest(), grid.highest());
  }

  /** Signal to noise of the worst output if some units are coded. */
  private double decibels(Set<String> coded) {
    Map<String, Tensor> positions = new LinkedHashMap<>();
    units.forEach((unit, names) -> {
      Tensor on = Tensor.zeros(DType.BOOL);
      on.setLong(0, coded.contains(unit) ? 1 : 0);
      names.forEach(name -> positions.put(switches.getOrDefault(name, name), on));
    });
    List<Map<String, Tensor>> results = new ArrayList<>();
    for (Map<String, Tensor> sample : samples) {
      Map<String, Tensor> call = new LinkedHashMap<>(sample);
      call.putAll(positions);
      results.add(switched.run(call));
    }
    return decibels(results);
  }

  private double decibels(List<Map<String, Tensor>> results) {
    Map<String, OutputNoise> noise = new LinkedHashMap<>();
    for (int i = 0; i < results.size(); i++) {
      Map<String, Tensor> got = results.get(i);
      exact
          .get(i)
          .forEach((name, tensor) -> {
            Tensor other = got.get(name);
            if (other != null && tensor.dtype().isFloat()) {
              noise.computeIfAbsent(name, n -> new OutputNoise()).power(tensor, other);
            }
          });
    }
    return noise.values().stream()
        .mapToDouble(OutputNoise::sqnr)
        .min()
        .orElse(Double.POSITIVE_INFINITY);
  }
}
