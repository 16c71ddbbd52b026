package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ReferenceExecutable;
import org.tersor.conformance.ort.OrtWorker;
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
import org.tersor.passes.graph.IntegerKernels;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.Checksums;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/** Files with integer operators: the plan's codes, and what integer kernels here compute. */
class OperatorExportTest {
  private static final Reference ORT = new OrtWorker();

  private final Compiler compiler = Compiler.standard();
  private final Quantizer quantizer = new Quantizer(compiler);
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final CompileOptions operators = compile.withSetting(IntegerKernels.EXPORTED, "true");
  private final Random random = new Random(12);

  @TempDir Path folder = Path.of("");

  @AfterAll
  static void stop() {
    ORT.close();
  }

  private Tensor normal(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) (0.2 + random.nextGaussian());
    }
    return tensor;
  }

  private static Attribute integers(long... values) {
    return new Attribute.IntsAttr(java.util.Arrays.stream(values).boxed().toList());
  }

  private Value node(
      GraphBuilder b, String name, String type, Map<String, Attribute> how, Value... inputs) {
    Value y = b.value(name + ":0", ValueType.UNKNOWN);
    b.addNode(name, "", type, how, List.of(inputs), List.of(y));
    return y;
  }

  private Value weight(GraphBuilder b, String name, long... shape) {
    return b.constant(name, Constant.of(normal(shape)));
  }

  /** Layers of several kinds, and a transposed convolution, for which ONNX has no integer form. */
  private Graph graph() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 1, 3, 12, 12));
    Map<String, Attribute> padded = Map.of("pads", integers(1, 1, 1, 1));
    Value one = node(b, "one", "Conv", padded, x, weight(b, "w1", 8, 3, 3, 3), weight(b, "b1", 8));
    Value relu = node(b, "relu", "Relu", Map.of(), one);
    Value two =
        node(
            b,
            "two",
            "Conv",
            Map.of("pads", integers(1, 1, 1, 1), "group", new Attribute.IntAttr(8)),
            relu,
            weight(b, "w2", 8, 1, 3, 3));
    Value sum = node(b, "sum", "Add", Map.of(), relu, two);
    Value both = node(b, "both", "Concat", Map.of("axis", new Attribute.IntAttr(1)), sum, two);
    Value up = node(b, "up", "ConvTranspose", Map.of(), both, weight(b, "w3", 16, 5, 2, 2));
    Value three = node(b, "three", "Conv", Map.of(), up, weight(b, "w4", 6, 5, 1, 1));
    Value mean = node(b, "mean", "GlobalAveragePool", Map.of(), three);
    Value flat = node(b, "flat", "Flatten", Map.of(), mean);
    Value four =
        node(b, "four", "Gemm", Map.of(), flat, weight(b, "w5", 6, 20), weight(b, "b5", 20));
    b.output(node(b, "five", "MatMul", Map.of(), four, weight(b, "w6", 20, 4)));
    return quantizer.base(b.build("g", Map.of()), compile);
  }

  private static Tensor first(Executable executable, Tensor x) {
    return executable.run(Map.of("x", x)).values().iterator().next();
  }

  @ParameterizedTest
  @CsvSource({
    "s8_symmetric_channel_restricted, u8_affine_tensor",
    "s8_symmetric_channel_restricted, s8_symmetric_tensor",
    "u8_affine_tensor, u8_affine_tensor",
    "s4_symmetric_channel, u8_affine_tensor"
  })
  void onnxRuntimeComputesWhatIntegersHereDo(String weights, String activations) {
    Graph base = graph();
    List<Map<String, Tensor>> samples = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      samples.add(Map.of("x", normal(1, 3, 12, 12)));
    }
    Quantizer.Options options =
        new Quantizer.Options(
                weights,
                java.util.Optional.of(activations),
                new Calibrator.MinMax(),
                "interpreter",
                compile)
            .with(WeightMethod.parse("mse"), new ChannelFactors.None());
    Quantizer.Decisions decisions = quantizer.decide(base, samples, options);
    Graph coded = quantizer.apply(base, decisions, compile);
    Path file = folder.resolve("operators.onnx");
    compiler.write(compiler.exportable(coded, operators), file, Map.of());
    Graph read = compiler.read(file, Map.of());
    List<String> types = read.nodes().stream().map(n -> n.op().type()).toList();
    assertTrue(
        types.containsAll(
            List.of("QLinearConv", "QGemm", "QLinearAdd", "QLinearGlobalAveragePool")),
        types.toString());
    assertTrue(types.contains("ConvTranspose"), "it has no integer operator in ONNX");
    // A ReLU before signed codes is no saturation.
    assertEquals(activations.startsWith("s"), types.contains("Conv"), types.toString());
    assertEquals(codes(decisions), written(read, decisions), "codes are the plan's");
    Executable here = compiler.executable(coded, "interpreter", compile);
    Executable again = compiler.executable(read, "jvm", compile);
    try (Reference.Session session = ORT.open(file, Reference.Options.DEFAULT)) {
      Executable there = new ReferenceExecutable("reference", session);
      double largest = 0;
      double error = 0;
      double own = 0;
      for (int i = 0; i < 4; i++) {
        Tensor x = normal(1, 3, 12, 12);
        Tensor expected = first(here, x);
        Tensor got = first(there, x);
        Tensor read2 = first(again, x);
        for (int e = 0; e < expected.size(); e++) {
          largest = Math.max(largest, Math.abs(expected.getDouble(e)));
          error = Math.max(error, Math.abs(expected.getDouble(e) - got.getDouble(e)));
          own = Math.max(own, Math.abs(expected.getDouble(e) - read2.getDouble(e)));
        }
      }
      // One code at a tie moves what follows by a step.
      assertTrue(error <= largest / 50, "ONNX Runtime differs by " + error + " of " + largest);
      assertTrue(own <= largest / 50, "the file differs here by " + own + " of " + largest);
    }
  }

  private Value coded(GraphBuilder b, Value x, double scale, int zero) {
    Value s = b.constant("", Constant.of(Tensor.of(new float[] {(float) scale}, 1).reshaped()));
    Tensor point = Tensor.zeros(DType.U8);
    point.setLong(0, zero);
    Value z = b.constant("", Constant.of(point));
    return b.add("DequantizeLinear", b.add("QuantizeLinear", x, s, z), s, z);
  }

  /** Each operator without weights that has a form on codes, between quantizers of its own. */
  @Test
  void operatorsBetweenQuantizersAreThoseOnCodes() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = coded(b, b.input("x", TensorType.of(DType.F32, 1, 4, 6, 6)), .03, 120);
    Value gate = coded(b, b.add("Sigmoid", x), 1 / 255.0, 0);
    Value swish = coded(b, b.add("Mul", x, gate), .025, 40);
    Map<String, Attribute> slope = Map.of("alpha", new Attribute.FloatAttr(.1f));
    Value leaky = coded(b, node(b, "leaky", "LeakyRelu", slope, x), .02, 90);
    Value sum = coded(b, b.add("Add", swish, leaky), .04, 100);
    Map<String, Attribute> window =
        Map.of("kernel_shape", integers(2, 2), "strides", integers(2, 2));
    Value pooled = coded(b, node(b, "pooled", "AveragePool", window, sum), .03, 100);
    b.output(coded(b, b.add("GlobalAveragePool", pooled), .01, 110));
    Graph model = b.build("g", Map.of());
    Path file = folder.resolve("coded.onnx");
    compiler.write(
        compiler.exportable(compiler.prepare(model, compile), operators), file, Map.of());
    Graph read = compiler.read(file, Map.of());
    assertEquals(
        new TreeSet<>(
            List.of(
                "QuantizeLinear",
                "QLinearSigmoid",
                "QLinearMul",
                "QLinearLeakyRelu",
                "QLinearAdd",
                "QLinearAveragePool",
                "QLinearGlobalAveragePool",
                "DequantizeLinear")),
        new TreeSet<>(read.nodes().stream().map(n -> n.op().type()).toList()));
    Executable here = compiler.executable(model, "interpreter", compile);
    try (Reference.Session session = ORT.open(file, Reference.Options.DEFAULT)) {
      Executable there = new ReferenceExecutable("reference", session);
      for (int i = 0; i < 5; i++) {
        Tensor given = normal(1, 4, 6, 6);
        Tensor expected = first(here, given);
        Tensor got = first(there, given);
        for (int e = 0; e < expected.size(); e++) {
          assertEquals(expected.getDouble(e), got.getDouble(e), .0101, "one step is .01");
        }
      }
    }
  }

  private static TreeSet<String> codes(Quantizer.Decisions decisions) {
    TreeSet<String> sums = new TreeSet<>();
    decisions.plan().choices().values().forEach(choice -> sums.add(choice.sha256()));
    return sums;
  }

  /** Checksums over the codes, scales and zero points of all operators with weights. */
  private TreeSet<String> written(Graph read, Quantizer.Decisions decisions) {
    TreeSet<String> wanted = codes(decisions);
    TreeSet<String> sums = new TreeSet<>();
    for (Node node : read.nodes()) {
      int at =
          switch (node.op().type()) {
            case "QLinearConv", "QLinearMatMul" -> 3;
            case "QGemm" -> 3;
            case "DequantizeLinear" -> 0;
            default -> -1;
          };
      if (at >= 0) {
        tensor(read, node.input(at))
            .ifPresent(codes -> {
              Tensor scales = tensor(read, node.input(at + 1)).orElseThrow();
              Tensor zeros = tensor(read, node.input(at + 2)).orElseThrow();
              for (Tensor form : List.of(codes, rows(codes))) {
                String sum = Checksums.of(form, scales, zeros);
                if (wanted.contains(sum)) {
                  sums.add(sum);
                }
              }
            });
      }
    }
    return sums;
  }

  /** The first two axes exchanged: weights are coded by outputs, whatever axis holds them. */
  private static Tensor rows(Tensor codes) {
    int n = (int) codes.shape()[0];
    int m = codes.rank() < 2 ? 1 : (int) codes.shape()[1];
    int rest = codes.size() / n / m;
    Tensor turned = Tensor.zeros(codes.dtype(), codes.size());
    for (int i = 0; i < codes.size(); i++) {
      turned.setLong((i / rest % m * n + i / rest / m) * rest + i % rest, codes.getLong(i));
    }
    return turned;
  }

  private static java.util.Optional<Tensor> tensor(Graph graph, Value value) {
    return graph.constant(value).map(Constant::load);
  }

  /** Grids that are found when the model runs keep their quantizers. */
  @Test
  void dynamicGridsStay() {
    Graph base = graph();
    Quantizer.Options options =
        new Quantizer.Options(
            "s8_symmetric_channel",
            java.util.Optional.of("dynamic_u8_tensor"),
            new Calibrator.MinMax(),
            "interpreter",
            compile);
    Graph coded = quantizer.apply(base, quantizer.decide(base, List.of(), options), compile);
    Graph exported = compiler.exportable(coded, operators);
    assertTrue(exported.nodes().stream().anyMatch(n -> n.op().is("DynamicQuantizeLinear")));
    assertTrue(exported.nodes().stream().noneMatch(n -> n.op().type().startsWith("QLinear")));
  }
}
