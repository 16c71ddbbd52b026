package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.CalibrationCache;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.Checksums;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Methods in the whole chain: plan, files beside it, exported model. */
class QuantizationMethodsTest {
  private static final String S4 = "s4_symmetric_channel_restricted";

  private final Compiler compiler = Compiler.standard();
  private final Quantizer quantizer = new Quantizer(compiler);
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final Random random = new Random(21);

  @TempDir Path folder = Path.of("");

  private Tensor normal(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return tensor;
  }

  /** x -> MatMul -> Add -> Relu -> MatMul, channels of very different sizes in between. */
  private Graph graph() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 4, 24));
    Tensor first = normal(24, 32);
    for (int i = 0; i < first.size(); i++) {
      first.floats()[i] *= i % 32 < 4 ? 30 : 1;
    }
    Value h = b.value("h", ValueType.UNKNOWN);
    b.addNode(
        "one",
        "",
        "MatMul",
        Map.of(),
        List.of(x, b.constant("w1", Constant.of(first))),
        List.of(h));
    Value s = b.value("s", ValueType.UNKNOWN);
    b.addNode(
        "bias",
        "",
        "Add",
        Map.of(),
        List.of(h, b.constant("b", Constant.of(normal(32)))),
        List.of(s));
    Value r = b.value("r", ValueType.UNKNOWN);
    b.addNode("relu", "", "Relu", Map.of(), List.of(s), List.of(r));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode(
        "two",
        "",
        "MatMul",
        Map.of(),
        List.of(r, b.constant("w2", Constant.of(normal(32, 16)))),
        List.of(y));
    b.output(y);
    return b.build("g", Map.of());
  }

  private List<Map<String, Tensor>> samples() {
    List<Map<String, Tensor>> samples = new ArrayList<>();
    Tensor mix = normal(6, 24);
    for (int n = 0; n < 40; n++) {
      Tensor x = normal(4, 24);
      for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 6; k++) {
          float shared = (float) random.nextGaussian();
          for (int c = 0; c < 24; c++) {
            x.floats()[i * 24 + c] += shared * mix.floats()[k * 24 + c];
          }
        }
      }
      samples.add(Map.of("x", x));
    }
    return samples;
  }

  private Quantizer.Options options(String format, String method, String factors) {
    return new Quantizer.Options(
            format, Optional.empty(), new Calibrator.MinMax(), "interpreter", compile)
        .with(WeightMethod.parse(method), ChannelFactors.parse(factors));
  }

  /** Mean squared difference of the results to those of the float graph. */
  private double error(Graph exact, Graph coded, List<Map<String, Tensor>> samples) {
    var reference = compiler.executable(exact, "interpreter", compile);
    var executable = compiler.executable(coded, "interpreter", compile);
    double sum = 0;
    for (Map<String, Tensor> sample : samples) {
      Tensor a = reference.run(sample).values().iterator().next();
      Tensor b = executable.run(sample).values().iterator().next();
      for (int i = 0; i < a.size(); i++) {
        sum += Math.pow(a.getDouble(i) - b.getDouble(i), 2) / a.size() / samples.size();
      }
    }
    return sum;
  }

  @Test
  void methodsLowerTheErrorOfTheModel() {
    List<Map<String, Tensor>> samples = samples();
    Graph base = quantizer.base(graph(), compile);
    double rounded =
        error(
            base,
            quantizer.quantize(graph(), samples, options(S4, "rtn", "none")).graph(),
            samples);
    for (String method : List.of("gptq", "clip", "adaround:iterations=300,grid=mse", "seqmse")) {
      double now =
          error(
              base,
              quantizer.quantize(graph(), samples, options(S4, method, "none")).graph(),
              samples);
      assertTrue(now < 0.95 * rounded, method + ": " + now + " against " + rounded);
    }
  }

  /** Factors leave the float model as it is, and what they are for gets better. */
  @Test
  void factorsKeepTheFunction() {
    List<Map<String, Tensor>> samples = samples();
    Graph base = quantizer.base(graph(), compile);
    for (String how : List.of("cle", "awq", "smooth:0.5", "smooth:search")) {
      Quantizer.Decisions decisions = quantizer.decide(base, samples, options(S4, "rtn", how));
      assertEquals(java.util.Set.of("r"), decisions.plan().scales().keySet(), how);
      Graph equal = quantizer.equalized(base, decisions);
      double change = error(base, equal, samples);
      Tensor y =
          compiler
              .executable(base, "interpreter", compile)
              .run(samples.getFirst())
              .values()
              .iterator()
              .next();
      double size = 0;
      for (int i = 0; i < y.size(); i++) {
        size = Math.max(size, Math.abs(y.getDouble(i)));
      }
      assertTrue(Math.sqrt(change) <= 1e-5 * size, how + " changes results by " + change);
    }
    // One scale for all channels of both layers: only equal ranges use all codes.
    Quantizer.Options plain = options("s4_symmetric_tensor", "rtn", "none");
    Quantizer.Options equalised = options("s4_symmetric_tensor", "rtn", "cle");
    double before = error(base, quantizer.quantize(graph(), samples, plain).graph(), samples);
    double after = error(base, quantizer.quantize(graph(), samples, equalised).graph(), samples);
    assertTrue(after < 0.8 * before, "cle: " + after + " against " + before);
  }

  /** Two layers that read what a norm gives, some channels of it thirty times larger. */
  private Graph normalized(boolean operator) {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 4, 24));
    Tensor gains = normal(24);
    for (int i = 0; i < 24; i += 6) {
      gains.floats()[i] = 30;
    }
    Value gain = b.constant("gain", Constant.of(gains));
    Value bias = b.constant("shift", Constant.of(normal(24)));
    Value s = b.value("s", ValueType.UNKNOWN);
    if (operator) {
      b.addNode("norm", "", "LayerNormalization", Map.of(), List.of(x, gain, bias), List.of(s));
    } else {
      Value scaled = b.add("Mul", b.add("Softmax", x), gain);
      b.addNode("norm", "", "Add", Map.of(), List.of(bias, scaled), List.of(s));
    }
    Value one = b.add("MatMul", s, b.constant("w1", Constant.of(normal(24, 16))));
    Value two = b.add("MatMul", s, b.constant("w2", Constant.of(normal(24, 16))));
    b.output(b.add("Concat", Map.of("axis", new Attribute.IntAttr(1)), one, two));
    return b.build("g", Map.of());
  }

  /** Gain and bias of a norm take the factors of all layers that read it. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void normsTakeFactors(boolean operator) {
    List<Map<String, Tensor>> samples = samples();
    Graph graph = normalized(operator);
    Graph base = quantizer.base(graph, compile);
    Quantizer.Decisions decisions =
        quantizer.decide(base, samples, options(S4, "rtn", "smooth:0.5"));
    assertEquals(java.util.Set.of("s"), decisions.plan().scales().keySet());
    Graph equal = quantizer.equalized(base, decisions);
    assertEquals(base.nodes().size(), equal.nodes().size(), "nothing is added to the graph");
    assertTrue(Math.sqrt(error(base, equal, samples)) <= 1e-4);
    double[] errors = new double[2];
    for (int i = 0; i < 2; i++) {
      Quantizer.Options eight =
          new Quantizer.Options(
                  "s8_symmetric_channel",
                  Optional.of("u8_affine_tensor"),
                  new Calibrator.MinMax(),
                  "interpreter",
                  compile)
              .with(
                  WeightMethod.parse("rtn"), ChannelFactors.parse(i == 0 ? "none" : "smooth:0.5"));
      errors[i] = error(base, quantizer.quantize(graph, samples, eight).graph(), samples);
    }
    assertTrue(errors[1] < 0.8 * errors[0], errors[1] + " against " + errors[0]);
  }

  /** Codes are the same in the plan, after replay from files, and in the exported model. */
  @Test
  void codesArriveUnchanged() throws IOException {
    List<Map<String, Tensor>> samples = samples();
    Graph base = quantizer.base(graph(), compile);
    for (String format :
        List.of(S4, "u4_affine_g16", "s3_symmetric_channel", "u8_affine_channel")) {
      Quantizer.Decisions decisions =
          quantizer.decide(base, samples, options(format, "gptq:order=act", "awq"));
      Path file = folder.resolve(format + ".plan");
      PlanFiles.write(decisions, file);
      Quantizer.Decisions read = PlanFiles.read(file);
      assertEquals(decisions.plan(), read.plan());
      Graph replayed = quantizer.apply(quantizer.equalized(base, read), read, compile);
      Graph exported = compiler.exportable(replayed, compile);
      List<String> found = new ArrayList<>();
      for (Node node : exported.nodes()) {
        if (node.op().is("DequantizeLinear")) {
          found.add(checksum(exported, node));
        }
      }
      List<String> planned =
          decisions.plan().choices().values().stream().map(QuantPlan.Choice::sha256).toList();
      assertEquals(planned.stream().sorted().toList(), found.stream().sorted().toList(), format);
    }
  }

  /** Codes of W [in, out] in rows of outputs, then scales and zero points likewise. */
  static String checksum(Graph graph, Node node) {
    Tensor[] parts = new Tensor[3];
    for (int i = 0; i < 3; i++) {
      Tensor t = graph.constant(node.input(i)).orElseThrow().load();
      boolean matrix = t.rank() == 2;
      Tensor moved =
          Tensor.zeros(i == 1 ? DType.F32 : DType.I32, matrix ? new long[] {t.size()} : t.shape());
      for (int e = 0; e < t.size(); e++) {
        int rows = matrix ? (int) t.shape()[0] : 1;
        int columns = matrix ? (int) t.shape()[1] : t.size();
        int to = e % columns * rows + e / columns;
        if (i == 1) {
          moved.setDouble(to, t.getDouble(e));
        } else {
          moved.setLong(to, t.getLong(e));
        }
      }
      parts[i] = moved;
    }
    return Checksums.of(parts);
  }

  /**
   * Shards that are calibrated apart and joined give the plan of one go; resuming repeats nothing.
   */
  @Test
  void calibrationGoesOnFromFiles() {
    List<Map<String, Tensor>> samples = samples();
    Graph base = quantizer.base(graph(), compile);
    Quantizer.Options options =
        quantizer.options("int8", Calibrator.parse("mse"), "interpreter", compile);
    QuantPlan whole = quantizer.decide(base, samples, options).plan();
    List<CalibrationCache> seen = new ArrayList<>();
    for (List<Map<String, Tensor>> shard :
        List.of(samples.subList(0, 15), samples.subList(15, 40))) {
      quantizer.decide(
          base,
          shard,
          options,
          Optional.empty(),
          cache -> seen.add(CalibrationCache.parse(cache.text())));
    }
    CalibrationCache joined = CalibrationCache.parse(seen.get(0).text());
    joined.join(seen.get(1));
    assertEquals(
        whole, quantizer.decide(base, List.of(), options, Optional.of(joined), cache -> {}).plan());
    assertEquals(
        whole,
        quantizer.decide(base, samples, options, Optional.of(seen.get(0)), cache -> {}).plan());
    Graph other = quantizer.base(graph(), compile);
    TersorException e =
        assertThrows(
            TersorException.class,
            () -> quantizer.decide(other, samples, options, Optional.of(joined), cache -> {}));
    assertEquals("TSR-0421", e.code());
  }

  @Test
  void plansOfOtherCodesAreRefused() throws IOException {
    List<Map<String, Tensor>> samples = samples();
    Graph base = quantizer.base(graph(), compile);
    Quantizer.Decisions decisions = quantizer.decide(base, samples, options(S4, "gptq", "none"));
    Path file = folder.resolve("p.plan");
    PlanFiles.write(decisions, file);
    Files.delete(folder.resolve("p.plan.codes.npz"));
    Quantizer.Decisions without = PlanFiles.read(file);
    TersorException missing =
        assertThrows(TersorException.class, () -> quantizer.apply(base, without, compile));
    assertEquals("TSR-0420", missing.code());
    Quantizer.Decisions other = quantizer.decide(base, samples, options(S4, "mse", "none"));
    Quantizer.Decisions mixed =
        new Quantizer.Decisions(decisions.plan(), other.codes(), Map.of(), List.of());
    TersorException changed =
        assertThrows(TersorException.class, () -> quantizer.apply(base, mixed, compile));
    assertEquals("TSR-0420", changed.code());
  }

  /** A grid that ONNX cannot say is refused, not changed. */
  @Test
  void gridsThatOnnxCannotSayAreRefused() {
    Quantizer.Quantized quantized =
        quantizer.quantize(graph(), samples(), options("u4_float_g16", "hqq", "none"));
    TersorException e =
        assertThrows(TersorException.class, () -> compiler.exportable(quantized.graph(), compile));
    assertEquals("TSR-0417", e.code());
  }

  /** Fewer codes than the type has: results behind a Clip, the same in both forms. */
  @Test
  void sixBitActivationsHaveSixtyFourValues() {
    List<Map<String, Tensor>> samples = samples();
    Quantizer.Options options =
        new Quantizer.Options(
            "s6_symmetric_channel_restricted",
            Optional.of("u6_affine_tensor"),
            new Calibrator.Percentile(99),
            "interpreter",
            compile);
    Quantizer.Quantized quantized = quantizer.quantize(graph(), samples, options);
    Graph exported = compiler.exportable(quantized.graph(), compile);
    assertTrue(exported.nodes().stream().anyMatch(n -> n.op().is("Clip")));
    for (Map<String, Tensor> sample : samples.subList(0, 5)) {
      Tensor a =
          compiler
              .executable(quantized.graph(), "interpreter", compile)
              .run(sample)
              .values()
              .iterator()
              .next();
      Tensor b =
          compiler
              .executable(exported, "interpreter", compile)
              .run(sample)
              .values()
              .iterator()
              .next();
      for (int i = 0; i < a.size(); i++) {
        assertEquals(a.getDouble(i), b.getDouble(i), 1e-4 * Math.abs(a.getDouble(i)) + 1e-4);
      }
    }
  }

  @Test
  void unknownMethodsAndOptionsAreNamed() {
    for (String bad : List.of("gptx", "gptq:damp=1", "gptq:damping=x", "gptq:order=up", "rtn:a")) {
      assertEquals(
          "TSR-0419",
          assertThrows(TersorException.class, () -> WeightMethod.parse(bad), bad).code());
    }
    for (String text : List.of("rtn", "mse", "gptq", "hqq", "seqmse", "clip", "adaround")) {
      WeightMethod method = WeightMethod.parse(text);
      assertEquals(method, WeightMethod.parse(method.text()));
    }
    assertEquals(
        "TSR-0422",
        assertThrows(TersorException.class, () -> ChannelFactors.parse("smooth:2")).code());
  }
}
