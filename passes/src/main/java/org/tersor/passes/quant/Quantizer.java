package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.Pipelines;
import org.tersor.passes.graph.DynamicGrid;
import org.tersor.passes.infer.TypeInference;
import org.tersor.passes.quant.method.Rounding;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Quantization after training: weights in any number format, activations calibrated in a format
 * that goes with it or left as floats, int32 biases where integers are multiplied.
 */
public final class Quantizer {
  /** Version of the recipe: counts up when the same plan would give other numbers. */
  public static final String RECIPE = "static-2";

  /**
   * How to quantize.
   *
   * @param weights id or alias of the number format of weights
   * @param activations id of the format of activations, or of a {@link DynamicGrid}; empty: they
   *     stay float
   * @param backend what runs the float model during calibration; must compile it (an evaluator
   *     would take days)
   * @param method chooses codes of weights
   * @param equalization chooses factors between channels before
   * @param keep what stays float
   */
  public record Options(
      String weights,
      Optional<String> activations,
      Calibrator calibrator,
      String backend,
      CompileOptions compile,
      WeightMethod method,
      ChannelFactors equalization,
      Keep keep) {
    /** Nothing is kept. */
    public Options(
        String weights,
        Optional<String> activations,
        Calibrator calibrator,
        String backend,
        CompileOptions compile,
        WeightMethod method,
        ChannelFactors equalization) {
      this(weights, activations, calibrator, backend, compile, method, equalization, Keep.NONE);
    }

    /** Weights are rounded to the nearest codes. */
    public Options(
        String weights,
        Optional<String> activations,
        Calibrator calibrator,
        String backend,
        CompileOptions compile) {
      this(
          weights,
          activations,
          calibrator,
          backend,
          compile,
          WeightMethod.parse("rtn"),
          new ChannelFactors.None());
    }

    /** The same with a method for the codes of weights and factors between channels. */
    public Options with(WeightMethod other, ChannelFactors factors) {
      return new Options(weights, activations, calibrator, backend, compile, other, factors, keep);
    }

    /** The same with other things that stay float. */
    public Options keeping(Keep other) {
      return new Options(
          weights, activations, calibrator, backend, compile, method, equalization, other);
    }

    /** Whether calibration data is needed. */
    public boolean needsData() {
      return activations.filter(id -> DynamicGrid.parse(id).isEmpty()).isPresent()
          || method.needsInputs()
          || equalization.needsInputs();
    }
  }

  /**
   * All decisions.
   *
   * @param codes buffers of the weights that a method chose, by name of the node; what a plan needs
   *     to be replayed beside itself
   * @param factors of the channels of a value, by its name
   * @param biases corrected ones, by name of the layer
   * @param reports what methods did, one sentence for each weight
   */
  public record Decisions(
      QuantPlan plan,
      Map<String, List<Tensor>> codes,
      Map<String, Tensor> factors,
      Map<String, Tensor> biases,
      List<String> reports) {
    /** Without corrected biases. */
    public Decisions(
        QuantPlan plan,
        Map<String, List<Tensor>> codes,
        Map<String, Tensor> factors,
        List<String> reports) {
      this(plan, codes, factors, Map.of(), reports);
    }

    /** The same with other biases of some layers. */
    Decisions with(
        Map<String, QuantPlan.Choice> choices, Map<String, Tensor> moved, List<String> told) {
      Map<String, Tensor> all = new TreeMap<>(biases);
      all.putAll(moved);
      return new Decisions(plan.withBiases(choices), codes, factors, all, told);
    }
  }

  /**
   * The float graph with the factors and corrected biases of a plan: what its weights and
   * activations are those of. But for the biases it computes the same.
   */
  public Graph equalized(Graph base, Decisions decisions) {
    QuantPlan plan = decisions.plan();
    Graph equal = FactorSearch.apply(base, kept("factors", plan.scales(), decisions.factors()));
    return BiasCorrection.apply(equal, kept("bias", plan.biases(), decisions.biases()));
  }

  /** What a plan names, from the file beside it. */
  private static Map<String, Tensor> kept(
      String what, Map<String, QuantPlan.Choice> named, Map<String, Tensor> found) {
    Map<String, Tensor> kept = new TreeMap<>();
    named.forEach((name, choice) -> {
      Tensor tensor = found.get(name);
      if (tensor == null || !Checksums.of(tensor).equals(choice.sha256())) {
        throw new TersorException(
            "TSR-0420",
            "the "
                + what
                + " of '"
                + name
                + "' are kept in the file beside the plan: it is missing, or of another plan");
      }
      kept.put(name, tensor);
    });
    return kept;
  }

  /**
   * Moves the biases of coded layers by their mean errors on samples, where that makes the error of
   * the layer and of the model no larger; reports say what was done and what stayed.
   *
   * @param way {@code fast} (each layer alone) or {@code full} (in the coded model, in order)
   */
  public Decisions corrected(
      Graph base,
      Decisions decisions,
      Iterable<Map<String, Tensor>> samples,
      String way,
      Options options) {
    BiasCorrection.Way parsed = BiasCorrection.Way.parse(way);
    BiasCorrection correction =
        new BiasCorrection(compiler, options, equalized(base, decisions), decisions, samples);
    Map<String, Tensor> biases = correction.find(parsed);
    Map<String, QuantPlan.Choice> choices = new TreeMap<>();
    biases.forEach((name, bias) ->
        choices.put(
            name,
            new QuantPlan.Choice(
                parsed.name().toLowerCase(java.util.Locale.ROOT), Checksums.of(bias))));
    List<String> reports = new ArrayList<>(decisions.reports());
    reports.addAll(correction.reports());
    return decisions.with(choices, biases, reports);
  }

  /**
   * Takes the codes of the activations that cost the most away, until the outputs are as near to
   * the float model's on samples as asked for; reports say which and what was measured.
   *
   * @param base with the factors of the decisions, as {@link #equalized} gives it
   * @param step called for each activation
   */
  public Decisions repaired(
      Graph base,
      Decisions decisions,
      List<Map<String, Tensor>> samples,
      RepairGoal goal,
      Options options,
      Runnable step) {
    return new ActivationRepair(
            compiler,
            options,
            base,
            decisions,
            samples,
            goal.format().map(compiler.registry()::format))
        .repaired(goal.decibels(), step);
  }

  /** Weights in a format, activations in the one that goes with it. */
  public Options options(
      String scheme, Calibrator calibrator, String backend, CompileOptions compile) {
    NumberFormat format = compiler.registry().format(scheme);
    return new Options(format.id(), format.activation(), calibrator, backend, compile);
  }

  /**
   * The result.
   *
   * @param graph with fq nodes and decoded weights
   * @param base the float graph that the plan speaks of
   */
  public record Quantized(Graph graph, Graph base, QuantPlan plan) {
    /** The graph's metadata tells the plan: its hash and its header. */
    public Quantized {
      Map<String, String> made = new TreeMap<>();
      plan.header().forEach((key, value) -> made.put(ModelMetadata.TERSOR + key, value));
      made.put(ModelMetadata.TERSOR + "plan.sha256", plan.hash());
      graph = ModelMetadata.with(graph, made);
    }
  }

  /**
   * What became of a layer that has weights.
   *
   * @param node its name in plans
   * @param format of its weights; empty: they are floats
   * @param kernel the integer operator that computes it; empty: it computes in float
   * @param why the reason for float weights or arithmetic; empty for an integer kernel
   */
  public record Layer(
      String node, String operator, Optional<String> format, Optional<String> kernel, String why) {}

  /**
   * Signal to quantization noise in dB of what a layer gives to others in the graph that is
   * executed, its quantizer included; infinite if nothing differs.
   */
  public record LayerError(String value, String node, double sqnr) {}

  /** Why a layer with coded weights computes in float where nothing else was asked for. */
  public static final String FLOAT_ACTIVATIONS = "activations are floats";

  private final Compiler compiler;

  public Quantizer(Compiler compiler) {
    this.compiler = compiler;
  }

  /** The float graph that is quantized: prepared, half precision widened to single, opset 13 on. */
  public Graph base(Graph model, CompileOptions options) {
    return compiler.run(Pipelines.quantizable(), compiler.prepare(model, options), options);
  }

  /** Calibrates, makes a plan and applies it. */
  public Quantized quantize(Graph model, Iterable<Map<String, Tensor>> samples, Options options) {
    Graph base = base(model, options.compile());
    Decisions decisions = decide(base, samples, options);
    Graph equal = equalized(base, decisions);
    return new Quantized(apply(equal, decisions, options.compile()), equal, decisions.plan());
  }

  /**
   * Decides from calibration data; each sample is one call of the model. Without a format of
   * activations no data is needed.
   */
  public QuantPlan plan(Graph base, Iterable<Map<String, Tensor>> samples, Options options) {
    return decide(base, samples, options).plan();
  }

  /** As {@link #plan}, with what methods chose. */
  public Decisions decide(Graph given, Iterable<Map<String, Tensor>> samples, Options options) {
    return decide(given, samples, options, Optional.empty(), cache -> {});
  }

  /**
   * As {@link #decide(Graph, Iterable, Options)}, going on from calibration that was done before.
   *
   * @param before what was seen; its samples are not run again
   * @param keep takes what has been seen in the end
   */
  public Decisions decide(
      Graph given,
      Iterable<Map<String, Tensor>> data,
      Options options,
      Optional<CalibrationCache> before,
      Consumer<CalibrationCache> keep) {
    if (options.equalization() instanceof ChannelFactors.CrossLayer cross && cross.absorbs()) {
      Options without = options.with(options.method(), new ChannelFactors.CrossLayer(false));
      return new Absorption(compiler, options, data)
          .decided(given, decide(given, data, without, before, keep));
    }
    options.keep().check(given);
    SampleSet used = new SampleSet();
    Iterable<Map<String, Tensor>> samples = used.watching(data);
    NumberFormat weightFormat = compiler.registry().format(options.weights());
    Optional<DynamicGrid> dynamic = options.activations().flatMap(DynamicGrid::parse);
    Optional<NumberFormat> activationFormat =
        options.activations().filter(id -> dynamic.isEmpty()).map(compiler.registry()::format);
    Selection selection =
        Selection.of(
            given,
            compiler.registry().operators(),
            weightFormat.definition(),
            options.activations().isPresent(),
            options.keep());
    if (selection.weights().isEmpty()) {
      throw new TersorException(
          "TSR-0412",
          "'"
              + given.name()
              + "' has no layer whose weights could be in format '"
              + weightFormat.id()
              + "': "
              + (selection.left().isEmpty()
                  ? "none of its operators has weights"
                  : String.join("; ", reasons(given, selection.left()))));
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
    }
    Graph base = FactorSearch.apply(given, factors);
    if (!scales.isEmpty()) {
      selection =
          Selection.of(
              base,
              compiler.registry().operators(),
              weightFormat.definition(),
              options.activations().isPresent(),
              options.keep());
      reports.add(FactorSearch.unchanged(compiler, given, base, samples, options));
    }
    Names names = new Names(base);
    Map<String, String> header = new TreeMap<>();
    header.put("recipe", RECIPE);
    Map<String, QuantPlan.Activation> activations =
        activationFormat.isPresent()
            ? new Calibration(compiler, base, selection, options, reports)
                .run(activationFormat.get(), samples, before, keep, header, used)
            : whenRun(dynamic, selection.integer(), names);
    Map<String, String> weights = new TreeMap<>();
    selection.weights().keySet().forEach(node -> weights.put(names.of(node), weightFormat.id()));
    if (options.method() instanceof Rounding rounding && !rounding.search()) {
      header.putAll(used.header());
      return new Decisions(
          new QuantPlan(header, activations, weights, Map.of(), scales),
          Map.of(),
          factors,
          reports);
    }
    Map<Node, NumberFormat> formats = new LinkedHashMap<>();
    Map<Node, Double> inputScales = new LinkedHashMap<>();
    for (Node node : selection.weights().keySet()) {
      formats.put(node, weightFormat);
      QuantPlan.Activation input = activations.get(names.of(node.input(0)));
      if (input != null && dynamic.isEmpty()) {
        NumberFormat format = compiler.registry().format(input.format());
        inputScales.put(node, (double) ActivationGrid.of(format, input).scale());
      }
    }
    WeightTuner tuner = new WeightTuner(compiler, base, options, options.method(), samples);
    WeightTuner.Tuned tuned = tuner.tune(selection.weights(), formats, inputScales);
    reports.addAll(tuned.reports());
    header.putAll(used.header());
    return new Decisions(
        new QuantPlan(header, activations, weights, tuned.choices(), scales),
        tuned.codes(),
        factors,
        reports);
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

  private static List<String> reasons(Graph base, Map<Node, String> left) {
    Names names = new Names(base);
    return left.entrySet().stream()
        .limit(5)
        .map(e -> names.of(e.getKey()) + ": " + e.getValue())
        .toList();
  }

  /** The name of a value in plans. */
  public static String name(Graph base, Value value) {
    return new Names(base).of(value);
  }

  /** The name of a layer in plans. */
  public static String name(Graph base, Node node) {
    return new Names(base).of(node);
  }

  /** Replays a plan. */
  public Graph apply(Graph base, QuantPlan plan, CompileOptions options) {
    return apply(base, new Decisions(plan, Map.of(), Map.of(), List.of()), options);
  }

  /** Replays a plan with the codes that methods chose. */
  public Graph apply(Graph base, Decisions decisions, CompileOptions options) {
    return compiler.run(
        List.of(
            new TypeInference(),
            new Materialize(decisions.plan(), compiler.registry()::format, decisions.codes()),
            new TypeInference()),
        base,
        options);
  }

  static CompileOptions quiet(Options options) {
    return quiet(options.compile());
  }

  static CompileOptions quiet(CompileOptions options) {
    return options.withNote(note -> {});
  }

  /** What became of every layer that has weights, in order of the graph. */
  public List<Layer> layers(Quantized quantized, CompileOptions options) {
    return new LayerReport(compiler, quantized, options).layers();
  }

  /**
   * Error of every quantized layer, worst first, over some samples. It is measured in the graph
   * that is executed, integer kernels included: where the layer's result is quantized, after its
   * quantizer, because what is before it does not exist outside of the kernel.
   */
  public List<LayerError> errors(
      Quantized quantized, Iterable<Map<String, Tensor>> samples, Options options) {
    return new LayerReport(compiler, quantized, options.compile())
        .errors(samples, options.backend());
  }
}
