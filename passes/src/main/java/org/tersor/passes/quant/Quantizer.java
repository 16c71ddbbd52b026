package org.tersor.passes.quant;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.Pipelines;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Static int8 quantization after training: u8 affine activations per tensor, s8 symmetric weights
 * per channel, int32 biases.
 */
public final class Quantizer {
  /** Version of the recipe: counts up when the same plan would give other numbers. */
  public static final String RECIPE = "int8-static-1";

  /**
   * How to quantize.
   *
   * @param backend what runs the float model during calibration; must compile it (an evaluator
   *     would take days)
   */
  public record Options(Calibrator calibrator, String backend, CompileOptions compile) {}

  /**
   * The result.
   *
   * @param graph with fq nodes and decoded weights
   * @param base the float graph that the plan speaks of
   */
  public record Quantized(Graph graph, Graph base, QuantPlan plan) {}

  /** Signal to quantization noise of one value, in dB; infinite if nothing differs. */
  public record LayerError(String value, String node, double sqnr) {}

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

  /** Decides from calibration data; each sample is one call of the model. */
  public QuantPlan plan(Graph base, Iterable<Map<String, Tensor>> samples, Options options) {
    Selection selection = Selection.of(base);
    if (selection.linear().isEmpty()) {
      throw new TersorException(
          "TSR-0412",
          "'"
              + base.name()
              + "' has no Conv, Gemm or MatMul with constant float32 weights: there is nothing to quantize");
    }
    List<Value> observed =
        selection.activations().stream().filter(v -> !selection.sharing().containsKey(v)).toList();
    Map<Value, Histogram> histograms = new LinkedHashMap<>();
    observed.forEach(value -> histograms.put(value, new Histogram()));
    Observed executable =
        new Observed(compiler, base, observed, options.backend(), options.compile());
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
    Map<String, Affine> activations = new TreeMap<>();
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
      activations.put(names.of(value), Affine.asymmetric(DType.U8, range.min(), range.max()));
    }
    Map<String, QuantPlan.WeightScheme> weights = new TreeMap<>();
    selection
        .linear()
        .forEach((node, axis) ->
            weights.put(names.of(node), new QuantPlan.WeightScheme(DType.I8, axis)));
    Map<String, String> header = new TreeMap<>();
    header.put("recipe", RECIPE);
    header.put("calibrator", options.calibrator().text());
    header.put("calibration.samples", Integer.toString(count));
    header.put("calibration.sha256", HexFormat.of().formatHex(digest.digest()));
    return new QuantPlan(header, activations, weights);
  }

  /** Replays a plan. */
  public Graph apply(Graph base, QuantPlan plan, CompileOptions options) {
    return compiler.run(
        List.of(new TypeInference(), new Materialize(plan), new TypeInference()), base, options);
  }

  /** Error of every quantized layer's result, worst first, over some samples. */
  public List<LayerError> errors(
      Quantized quantized, Iterable<Map<String, Tensor>> samples, Options options) {
    Names names = new Names(quantized.base());
    Map<Value, String> layers = new LinkedHashMap<>();
    for (Node node : quantized.base().nodes()) {
      Value output = node.output(0);
      boolean planned =
          quantized.plan().weights().containsKey(names.of(node))
              || quantized.plan().activations().containsKey(names.of(output));
      if (planned
          && quantized.base().type(output) instanceof TensorType type
          && type.dtype() == DType.F32) {
        layers.put(output, names.of(node));
      }
    }
    Observed exact =
        new Observed(
            compiler, quantized.base(), layers.keySet(), options.backend(), options.compile());
    Observed coded =
        new Observed(
            compiler, quantized.graph(), layers.keySet(), options.backend(), options.compile());
    Map<Value, double[]> sums = new LinkedHashMap<>();
    for (Map<String, Tensor> sample : samples) {
      Map<Value, Tensor> results = coded.run(sample);
      exact
          .run(sample)
          .forEach((value, tensor) -> {
            Tensor actual = results.getOrDefault(value, tensor);
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
