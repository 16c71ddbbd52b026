package org.tersor.passes.quant;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.Pipelines;
import org.tersor.passes.graph.IntegerKernels;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
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
   * @param activations id of the format of activations; empty: they stay float
   * @param backend what runs the float model during calibration; must compile it (an evaluator
   *     would take days)
   */
  public record Options(
      String weights,
      Optional<String> activations,
      Calibrator calibrator,
      String backend,
      CompileOptions compile) {}

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
    QuantPlan plan = plan(base, samples, options);
    return new Quantized(apply(base, plan, options.compile()), base, plan);
  }

  /**
   * Decides from calibration data; each sample is one call of the model. Without a format of
   * activations no data is needed.
   */
  public QuantPlan plan(Graph base, Iterable<Map<String, Tensor>> samples, Options options) {
    NumberFormat weightFormat = compiler.registry().format(options.weights());
    Optional<NumberFormat> activationFormat =
        options.activations().map(compiler.registry()::format);
    Selection selection =
        Selection.of(
            base,
            compiler.registry().operators(),
            weightFormat.definition(),
            activationFormat.isPresent());
    if (selection.weights().isEmpty()) {
      throw new TersorException(
          "TSR-0412",
          "'"
              + base.name()
              + "' has no layer whose weights could be in format '"
              + weightFormat.id()
              + "': "
              + (selection.left().isEmpty()
                  ? "none of its operators has weights"
                  : String.join("; ", reasons(base, selection.left()))));
    }
    Names names = new Names(base);
    Map<String, String> header = new TreeMap<>();
    header.put("recipe", RECIPE);
    Map<String, QuantPlan.Activation> activations =
        activationFormat.isPresent()
            ? calibrate(base, selection, activationFormat.get(), samples, options, header)
            : Map.of();
    Map<String, String> weights = new TreeMap<>();
    selection.weights().keySet().forEach(node -> weights.put(names.of(node), weightFormat.id()));
    return new QuantPlan(header, activations, weights);
  }

  private static List<String> reasons(Graph base, Map<Node, String> left) {
    Names names = new Names(base);
    return left.entrySet().stream()
        .limit(5)
        .map(e -> names.of(e.getKey()) + ": " + e.getValue())
        .toList();
  }

  private Map<String, QuantPlan.Activation> calibrate(
      Graph base,
      Selection selection,
      NumberFormat format,
      Iterable<Map<String, Tensor>> samples,
      Options options,
      Map<String, String> header) {
    List<Value> observed =
        selection.activations().stream().filter(v -> !selection.sharing().containsKey(v)).toList();
    Map<Value, Histogram> histograms = new LinkedHashMap<>();
    observed.forEach(value -> histograms.put(value, new Histogram()));
    Observed executable =
        new Observed(compiler, base, observed, options.backend(), quiet(options.compile()));
    MessageDigest digest = sha256();
    int count = 0;
    for (Map<String, Tensor> sample : samples) {
      hash(digest, sample);
      executable
          .run(sample)
          .forEach((value, tensor) ->
              histograms.computeIfAbsent(value, v -> new Histogram()).add(tensor));
      count++;
    }
    if (count == 0) {
      throw new TersorException(
          "TSR-0413", "calibration needs at least one sample; none was given");
    }
    Names names = new Names(base);
    Map<String, QuantPlan.Activation> activations = new TreeMap<>();
    for (Value value : selection.activations()) {
      Value source = value;
      while (selection.sharing().containsKey(source)) {
        source = selection.sharing().get(source);
      }
      Histogram histogram = histograms.get(source);
      if (histogram == null) {
        continue;
      }
      if (histogram.notFinite() > 0 && source.equals(value)) {
        options
            .compile()
            .note()
            .accept(
                "calibration: "
                    + histogram.notFinite()
                    + " infinities or NaNs in '"
                    + names.of(value)
                    + "' are left out of its range");
      }
      Calibrator.Range range = options.calibrator().range(histogram);
      activations.put(names.of(value), ActivationGrid.fit(format, range.min(), range.max()));
    }
    header.put("calibrator", options.calibrator().text());
    header.put("calibration.samples", Integer.toString(count));
    header.put("calibration.sha256", HexFormat.of().formatHex(digest.digest()));
    return activations;
  }

  /** The name of a value in plans. */
  public static String name(Graph base, Value value) {
    return new Names(base).of(value);
  }

  /** Replays a plan. */
  public Graph apply(Graph base, QuantPlan plan, CompileOptions options) {
    return compiler.run(
        List.of(
            new TypeInference(),
            new Materialize(plan, compiler.registry()::format),
            new TypeInference()),
        base,
        options);
  }

  private static CompileOptions quiet(CompileOptions options) {
    return options.withNote(note -> {});
  }

  /** What became of every layer that has weights, in order of the graph. */
  public List<Layer> layers(Quantized quantized, CompileOptions options) {
    Graph base = quantized.base();
    Graph lowered = compiler.run(Pipelines.beforeKernels(), quantized.graph(), quiet(options));
    Map<Integer, IntegerKernels.Choice> choices = new HashMap<>();
    PassContext context =
        new PassContext(compiler.registry().operators(), options.settings(), note -> {});
    for (IntegerKernels.Choice choice : IntegerKernels.choices(lowered, context)) {
      choices.put(choice.layer().id(), choice);
    }
    TypeInference.Inferred inferred = TypeInference.infer(base, context.operators(), note -> {});
    Names names = new Names(base);
    List<Layer> layers = new ArrayList<>();
    for (Node node : base.nodes()) {
      String name = names.of(node);
      boolean weighted =
          context
              .operators()
              .find(node.op())
              .flatMap(o -> o.weights(inferred.scope().context(node)))
              .filter(l -> base.constant(node.input(l.input())).isPresent())
              .isPresent();
      IntegerKernels.Choice choice = choices.get(node.id());
      if (choice != null && quantized.plan().weights().containsKey(name)) {
        Optional<String> format = Optional.ofNullable(quantized.plan().weights().get(name));
        boolean coded = !quantized.plan().activations().isEmpty();
        layers.add(
            new Layer(
                name,
                node.op().type(),
                format,
                choice.kernel(),
                choice.kernel().isPresent() || coded ? choice.why() : FLOAT_ACTIVATIONS));
      } else if (weighted) {
        String why = left(base, node, quantized.plan());
        layers.add(new Layer(name, node.op().type(), Optional.empty(), Optional.empty(), why));
      }
    }
    return layers;
  }

  /** Why a weight has no line in a plan. */
  private String left(Graph base, Node node, QuantPlan plan) {
    return plan.weights().values().stream()
        .distinct()
        .flatMap(format ->
            Optional.ofNullable(
                Selection.of(
                        base,
                        compiler.registry().operators(),
                        compiler.registry().format(format).definition(),
                        !plan.activations().isEmpty())
                    .left()
                    .get(node))
                .stream())
        .findFirst()
        .orElse("the plan leaves it out");
  }

  /**
   * Error of every quantized layer, worst first, over some samples. It is measured in the graph
   * that is executed, integer kernels included: where the layer's result is quantized, after its
   * quantizer, because what is before it does not exist outside of the kernel.
   */
  public List<LayerError> errors(
      Quantized quantized, Iterable<Map<String, Tensor>> samples, Options options) {
    Graph base = quantized.base();
    Names names = new Names(base);
    Map<Value, Value> executed = new LinkedHashMap<>();
    Map<Value, String> layers = new LinkedHashMap<>();
    for (Node node : base.nodes()) {
      if (!quantized.plan().weights().containsKey(names.of(node))) {
        continue;
      }
      Value result = Selection.tail(base, node);
      Optional<Value> quantizer =
          Shadows.quantizer(quantized.graph(), result).map(n -> n.output(0));
      Value output = quantizer.isPresent() ? result : node.output(0);
      if (base.type(output) instanceof TensorType type && type.dtype() == DType.F32) {
        layers.put(output, names.of(node));
        executed.put(output, quantizer.orElse(output));
      }
    }
    CompileOptions compile = quiet(options.compile());
    Observed exact = new Observed(compiler, base, layers.keySet(), options.backend(), compile);
    Observed coded =
        new Observed(compiler, quantized.graph(), executed.values(), options.backend(), compile);
    Map<Value, double[]> sums = new LinkedHashMap<>();
    for (Map<String, Tensor> sample : samples) {
      Map<Value, Tensor> results = coded.run(sample);
      exact
          .run(sample)
          .forEach((value, tensor) -> {
            Tensor actual = results.getOrDefault(executed.getOrDefault(value, value), tensor);
            double[] sum = sums.computeIfAbsent(value, v -> new double[2]);
            for (int i = 0; i < tensor.size(); i++) {
              double x = tensor.getDouble(i);
              double e = x - actual.getDouble(i);
              sum[0] += x * x;
              sum[1] += e * e;
            }
          });
    }
    List<LayerError> errors = new ArrayList<>();
    sums.forEach((value, sum) ->
        errors.add(
            new LayerError(
                names.of(value),
                layers.getOrDefault(value, ""),
                10 * Math.log10(sum[0] / sum[1]))));
    errors.sort(java.util.Comparator.comparingDouble(LayerError::sqnr));
    return errors;
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void hash(MessageDigest digest, Map<String, Tensor> sample) {
    new TreeMap<>(sample)
        .forEach((name, tensor) -> {
          digest.update(name.getBytes(java.nio.charset.StandardCharsets.UTF_8));
          ByteBuffer buffer =
              ByteBuffer.allocate(8 * Math.max(1, tensor.size())).order(ByteOrder.LITTLE_ENDIAN);
          for (int i = 0; i < tensor.size(); i++) {
            buffer.putDouble(tensor.getDouble(i));
          }
          digest.update(buffer.flip());
        });
  }
}
