package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.spi.Pass;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.Pipelines;
import org.tersor.passes.graph.Bodies;
import org.tersor.passes.graph.DynamicGrid;
import org.tersor.passes.graph.Names;
import org.tersor.passes.infer.TypeInference;
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

    /** What can be done without data: weights alone are rounded to the nearest codes. */
    Options withoutData() {
      return new Options(
          weights,
          activations.filter(id -> DynamicGrid.parse(id).isPresent()),
          calibrator,
          backend,
          compile,
          method.needsInputs() ? WeightMethod.parse("rtn") : method,
          equalization.needsInputs() ? new ChannelFactors.None() : equalization,
          keep);
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

    /** No decision. */
    static final Decisions NONE =
        new Decisions(new QuantPlan(Map.of(), Map.of(), Map.of()), Map.of(), Map.of(), List.of());

    /** These and those of another graph of the model. */
    Decisions and(Decisions other) {
      return new Decisions(
          plan.and(other.plan),
          QuantPlan.both(codes, other.codes),
          QuantPlan.both(factors, other.factors),
          QuantPlan.both(biases, other.biases),
          Stream.concat(reports.stream(), other.reports.stream()).toList());
    }

    /** The same with more reports. */
    Decisions telling(List<String> told) {
      return new Decisions(
          plan, codes, factors, biases, Stream.concat(told.stream(), reports.stream()).toList());
    }

    /** The same with more facts. */
    Decisions saying(Map<String, String> facts) {
      return new Decisions(plan.withHeader(facts), codes, factors, biases, reports);
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
    if (plan.scales().isEmpty() && plan.biases().isEmpty()) {
      return base;
    }
    Names names = new Names(base);
    Map<String, Tensor> factors =
        kept("factors", names.own(plan.scales()), names.own(decisions.factors()));
    Map<String, Tensor> biases =
        kept("bias", names.own(plan.biases()), names.own(decisions.biases()));
    Graph inside = Bodies.map(base, body -> equalized(body, decisions));
    return BiasCorrection.apply(
        FactorSearch.apply(typed(base, inside, CompileOptions.defaults()), factors),
        biases,
        compiler.registry().operators());
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
    Graph equal = equalized(base, decisions);
    Names names = new Names(base);
    Decisions corrected = decisions;
    if (!names.own(decisions.plan().weights()).isEmpty()) {
      BiasCorrection correction = new BiasCorrection(compiler, options, equal, decisions, samples);
      Map<String, Tensor> biases = correction.find(parsed);
      Map<String, QuantPlan.Choice> choices = new TreeMap<>();
      biases.forEach((name, bias) ->
          choices.put(
              name,
              new QuantPlan.Choice(
                  parsed.name().toLowerCase(java.util.Locale.ROOT), Checksums.of(bias))));
      List<String> reports = new ArrayList<>(decisions.reports());
      reports.addAll(correction.reports());
      corrected = decisions.with(choices, biases, reports);
    }
    for (Bodies.Body body : Bodies.of(base)) {
      Optional<Iterable<Map<String, Tensor>>> calls =
          decisions.plan().isWithin(body.closed())
              ? BodySamples.of(compiler, options.backend(), quiet(options), base, body, samples)
                  .filter(c -> c.iterator().hasNext())
              : Optional.empty();
      if (calls.isPresent()) {
        corrected = corrected(body.closed(), corrected, calls.get(), way, options);
      }
    }
    return corrected;
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

    /** The bodies that the plan has something in, each as a model of its own. */
    Map<Bodies.Body, Quantized> inside(Compiler compiler) {
      Map<String, Graph> coded = new TreeMap<>();
      Bodies.of(graph).forEach(body -> coded.put(body.path(), body.closed()));
      Map<Bodies.Body, Quantized> inside = new LinkedHashMap<>();
      for (Bodies.Body body : Bodies.of(base)) {
        Graph other = coded.get(body.path());
        if (other != null && TypeInference.holds(body.closed(), compiler.registry().operators())) {
          inside.put(body, new Quantized(other, body.closed(), plan));
        }
      }
      return inside;
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
    return withBodies(
        compiler.run(Pipelines.quantizable(), compiler.prepare(model, options), options), options);
  }

  /** Bodies are prepared as models are; one that no call can take stays as it is. */
  private Graph withBodies(Graph graph, CompileOptions options) {
    List<Pass> passes = new ArrayList<>(compiler.canonicalise(Map.of()));
    passes.addAll(Pipelines.quantizable());
    return typed(
        graph,
        Bodies.map(
            graph,
            body -> {
              if (!TypeInference.holds(body, compiler.registry().operators())) {
                return body;
              }
              Graph prepared = compiler.run(passes, body, options);
              return withBodies(prepared, options);
            }),
        options);
  }

  /** Other bodies have no types yet. */
  private Graph typed(Graph before, Graph graph, CompileOptions options) {
    return graph.equals(before)
        ? graph
        : compiler.run(List.of(new TypeInference()), graph, quiet(options));
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
    options.keep().check(given);
    SampleSet used = new SampleSet();
    Decider decider = new Decider(compiler, before, used);
    Decisions decided = decider.decide(given, used.watching(data), options);
    if (decided.plan().weights().isEmpty()) {
      throw decider.nothing(given, options);
    }
    decider.cache(given).ifPresent(keep);
    return decided.saying(used.header());
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
    Graph inside =
        Bodies.map(
            base, body -> decisions.plan().isWithin(body) ? apply(body, decisions, options) : body);
    return compiler.run(
        List.of(
            new TypeInference(),
            new Materialize(decisions.plan(), compiler.registry()::format, decisions.codes()),
            new TypeInference()),
        inside,
        options);
  }

  static CompileOptions quiet(Options options) {
    return quiet(options.compile());
  }

  static CompileOptions quiet(CompileOptions options) {
    return options.withNote(note -> {});
  }

  /** What became of every layer that has weights, in order of the graph, then inside of bodies. */
  public List<Layer> layers(Quantized quantized, CompileOptions options) {
    List<Layer> layers = new ArrayList<>(new LayerReport(compiler, quantized, options).layers());
    quantized.inside(compiler).forEach((body, inside) -> layers.addAll(layers(inside, options)));
    return layers;
  }

  /**
   * Error of every quantized layer, worst first, over some samples. It is measured in the graph
   * that is executed, integer kernels included: where the layer's result is quantized, after its
   * quantizer, because what is before it does not exist outside of the kernel. In bodies it is that
   * of calls with the float model's values.
   */
  public List<LayerError> errors(
      Quantized quantized, Iterable<Map<String, Tensor>> samples, Options options) {
    List<LayerError> errors = new ArrayList<>(within(quantized, samples, options));
    errors.sort(java.util.Comparator.comparingDouble(LayerError::sqnr));
    return errors;
  }

  private List<LayerError> within(
      Quantized quantized, Iterable<Map<String, Tensor>> samples, Options options) {
    List<LayerError> errors =
        new ArrayList<>(
            new LayerReport(compiler, quantized, options.compile())
                .errors(samples, options.backend()));
    quantized
        .inside(compiler)
        .forEach((body, inside) ->
            BodySamples.of(
                    compiler, options.backend(), quiet(options), quantized.base(), body, samples)
                .ifPresent(calls -> errors.addAll(within(inside, calls, options))));
    return errors;
  }
}
