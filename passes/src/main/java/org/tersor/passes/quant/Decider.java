package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.Bodies;
import org.tersor.passes.graph.DynamicGrid;
import org.tersor.passes.graph.Names;
import org.tersor.passes.infer.TypeInference;
import org.tersor.passes.quant.method.Rounding;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Decides about the layers of a graph, and then about those of each body in it as about a model of
 * its own, on the calls that reach the body.
 */
final class Decider {
  private final Compiler compiler;
  private final Optional<CalibrationCache> before;
  private final SampleSet used;
  private final Map<String, CalibrationCache> seen = new TreeMap<>();
  private final List<String> left = new ArrayList<>();

  /**
   * @param before what was seen; its samples are not run again
   * @param used takes the model's samples
   */
  Decider(Compiler compiler, Optional<CalibrationCache> before, SampleSet used) {
    this.compiler = compiler;
    this.before = before;
    this.used = used;
    before.ifPresent(cache -> used.addAll(cache.samples()));
  }

  /** What calibration has seen in the end; empty if there was none. */
  Optional<CalibrationCache> cache(Graph model) {
    if (seen.isEmpty()) {
      return Optional.empty();
    }
    CalibrationCache all = seen.get("");
    if (all == null) {
      all = CalibrationCache.of(Calibration.hash(model));
      all.samples().addAll(used.hashes());
    }
    for (Map.Entry<String, CalibrationCache> body : seen.entrySet()) {
      if (!body.getKey().isEmpty()) {
        all.bodies().put(body.getKey(), body.getValue());
      }
    }
    return Optional.of(all);
  }

  /** Why layers stay float, of the first few. */
  List<String> left() {
    return left;
  }

  /** All decisions of a graph and of the bodies in it. */
  Quantizer.Decisions decide(
      Graph given, Iterable<Map<String, Tensor>> samples, Quantizer.Options options) {
    Quantizer.Decisions all = own(given, samples, options);
    for (Bodies.Body body : Bodies.of(given)) {
      all = all.and(inside(given, body, samples, options));
    }
    return all;
  }

  private Quantizer.Decisions inside(
      Graph around,
      Bodies.Body body,
      Iterable<Map<String, Tensor>> samples,
      Quantizer.Options options) {
    if (!TypeInference.holds(body.closed(), compiler.registry().operators())) {
      return Quantizer.Decisions.NONE.telling(
          List.of(body.path() + " is left as it is: no call can take it with these types"));
    }
    boolean data = options.needsData();
    Optional<Iterable<Map<String, Tensor>>> calls =
        BodySamples.of(
            compiler, options.backend(), Quantizer.quiet(options), around, body, samples);
    boolean reached =
        !data
            || calls.filter(c -> c.iterator().hasNext()).isPresent()
            || before.flatMap(cache -> cache.within(body.path())).isPresent();
    if (reached) {
      return decide(body.closed(), calls.orElse(List.of()), options);
    }
    Quantizer.Decisions decided = decide(body.closed(), List.of(), options.withoutData());
    return decided.plan().weights().isEmpty()
        ? decided
        : decided.telling(
            List.of(
                body.path()
                    + ": "
                    + (calls.isEmpty()
                        ? "what reaches it cannot be told"
                        : "no calibration sample reaches it")
                    + ": its weights are rounded, its activations stay float"));
  }

  /** Decisions of a graph, those of the bodies in it not. */
  Quantizer.Decisions own(
      Graph given, Iterable<Map<String, Tensor>> samples, Quantizer.Options options) {
    if (options.equalization() instanceof ChannelFactors.CrossLayer cross && cross.absorbs()) {
      Quantizer.Options without =
          options.with(options.method(), new ChannelFactors.CrossLayer(false));
      return new Absorption(compiler, options, samples)
          .decided(given, own(given, samples, without));
    }
    NumberFormat weightFormat = compiler.registry().format(options.weights());
    Optional<DynamicGrid> dynamic = options.activations().flatMap(DynamicGrid::parse);
    Optional<NumberFormat> activationFormat =
        options.activations().filter(id -> dynamic.isEmpty()).map(compiler.registry()::format);
    Selection selection = selection(given, weightFormat, options);
    Names plain = new Names(given);
    selection.left().forEach((node, why) -> left.add(plain.of(node) + ": " + why));
    if (selection.operands().isEmpty()) {
      return Quantizer.Decisions.NONE;
    }
    List<String> reports = new ArrayList<>();
    Map<String, Tensor> factors = Map.of();
    Map<String, QuantPlan.Choice> scales = new TreeMap<>();
    if (!(options.equalization() instanceof ChannelFactors.None)) {
      FactorSearch search = new FactorSearch(given);
      factors =
          search.find(
              options.equalization(),
              weightFormat,
              selection.weights(),
              new WeightTuner(compiler, given, options, WeightMethod.parse("rtn"), samples));
      factors.forEach((name, f) ->
          scales.put(name, new QuantPlan.Choice(options.equalization().text(), Checksums.of(f))));
      reports.addAll(search.reports());
      selection.operands().stream()
          .filter(Operand::stored)
          .forEach(o ->
              reports.add(
                  o.name() + ": " + options.equalization().text() + ": factors do not enter it"));
    }
    Graph base = FactorSearch.apply(given, factors);
    if (!scales.isEmpty()) {
      selection = selection(base, weightFormat, options);
      reports.add(FactorSearch.unchanged(compiler, given, base, samples, options));
    }
    Names names = new Names(base);
    Map<String, String> header = new TreeMap<>();
    header.put("recipe", Quantizer.RECIPE);
    Map<String, QuantPlan.Activation> activations =
        activationFormat.isPresent() && !selection.weights().isEmpty()
            ? new Calibration(compiler, base, selection, options, reports)
                .run(
                    activationFormat.get(),
                    samples,
                    before.flatMap(cache -> cache.within(names.path())),
                    cache -> seen.put(names.path(), cache),
                    header)
            : whenRun(dynamic, selection.integer(), names);
    Map<String, String> weights = new TreeMap<>();
    selection.operands().forEach(operand -> weights.put(operand.name(), weightFormat.id()));
    if (options.method() instanceof Rounding rounding && !rounding.search()) {
      return new Quantizer.Decisions(
          new QuantPlan(header, activations, weights, Map.of(), scales),
          Map.of(),
          factors,
          reports);
    }
    Map<Node, Double> inputScales = new LinkedHashMap<>();
    for (Node node : selection.weights().keySet()) {
      QuantPlan.Activation input = activations.get(names.of(node.input(0)));
      if (input != null && dynamic.isEmpty()) {
        NumberFormat format = compiler.registry().format(input.format());
        inputScales.put(node, (double) ActivationGrid.of(format, input).scale());
      }
    }
    WeightTuner tuner = new WeightTuner(compiler, base, options, options.method(), samples);
    WeightTuner.Tuned tuned = tuner.tune(selection.operands(), weightFormat, inputScales);
    reports.addAll(tuned.reports());
    return new Quantizer.Decisions(
        new QuantPlan(header, activations, weights, tuned.choices(), scales),
        tuned.codes(),
        factors,
        reports);
  }

  private Selection selection(Graph graph, NumberFormat format, Quantizer.Options options) {
    return Selection.of(
        graph,
        compiler.registry().operators(),
        format.definition(),
        options.activations().isPresent(),
        options.keep());
  }

  /** Lines of what layers read, where its grid is chosen when the model runs. */
  private static Map<String, QuantPlan.Activation> whenRun(
      Optional<DynamicGrid> grid, Iterable<Node> layers, Names names) {
    Map<String, QuantPlan.Activation> activations = new TreeMap<>();
    for (Node layer : layers) {
      grid.filter(g -> g.fits(layer))
          .ifPresent(g ->
              activations.put(
                  names.of(layer.input(0)), new QuantPlan.Activation(g.id(), Map.of())));
    }
    return activations;
  }

  /** That no layer of a model can be quantized. */
  TersorException nothing(Graph model, Quantizer.Options options) {
    return new TersorException(
        "TSR-0412",
        "'"
            + model.name()
            + "' has no layer whose weights could be in format '"
            + compiler.registry().format(options.weights()).id()
            + "': "
            + (left.isEmpty()
                ? holdsCodes(model)
                    ? "its weights are codes already; compile it as it is, or quantize the float"
                        + " model that it was made from"
                    : "none of its operators has weights"
                : String.join("; ", left.stream().limit(5).toList())));
  }

  /** Whether operators read constant matrices of bytes. */
  private static boolean holdsCodes(Graph model) {
    return model.nodes().stream()
        .flatMap(node -> node.inputs().stream())
        .flatMap(value -> model.constant(value).stream())
        .anyMatch(constant ->
            constant.shape().length > 1
                && (constant.dtype() == DType.I8 || constant.dtype() == DType.U8));
  }
}
