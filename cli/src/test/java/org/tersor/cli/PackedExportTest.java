package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ReferenceExecutable;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.dsl.AffineDecode;
import org.tersor.ir.dsl.FormatDef;
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
import org.tersor.passes.graph.LowerDecode;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.Checksums;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Codes that a method chose are the same in the plan, in packed .onnx files and in a jar. */
class PackedExportTest {
  private static final Reference ORT = new OrtWorker();

  private final Compiler compiler = Compiler.standard();
  private final Quantizer quantizer = new Quantizer(compiler);
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final Random random = new Random(8);

  @TempDir Path folder = Path.of("");

  @AfterAll
  static void stop() {
    ORT.close();
  }

  private Tensor normal(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return tensor;
  }

  private Value layer(
      GraphBuilder b,
      String name,
      String type,
      Map<String, Attribute> attributes,
      Value x,
      long... shape) {
    List<Value> inputs = new ArrayList<>(List.of(x));
    inputs.add(b.constant(name + ".w", Constant.of(normal(shape))));
    if (type.equals("Gemm")) {
      inputs.add(b.constant(name + ".b", Constant.of(normal(48))));
    }
    Value y = b.value(name + ":0", ValueType.UNKNOWN);
    b.addNode(name, "", type, attributes, inputs, List.of(y));
    return y;
  }

  /** Products of both layouts, with a bias and without, the last block of K short. */
  private Graph graph() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 3, 72));
    Value one = layer(b, "one", "MatMul", Map.of(), x, 72, 64);
    Value two = layer(b, "two", "Gemm", Map.of("transB", new Attribute.IntAttr(1)), one, 48, 64);
    b.output(layer(b, "three", "Gemm", Map.of(), two, 48, 48));
    return quantizer.base(b.build("g", Map.of()), compile);
  }

  private Quantizer.Decisions decide(Graph base, String format) {
    Quantizer.Options options =
        new Quantizer.Options(
                format, Optional.empty(), new Calibrator.MinMax(), "interpreter", compile)
            .with(WeightMethod.parse("mse"), new ChannelFactors.None());
    return quantizer.decide(base, List.of(), options);
  }

  private Tensor run(Graph graph, Tensor x) {
    return compiler
        .executable(graph, "interpreter", compile)
        .run(Map.of("x", x))
        .values()
        .iterator()
        .next();
  }

  private static void close(Tensor expected, Tensor got) {
    double largest = 0;
    double error = 0;
    for (int i = 0; i < expected.size(); i++) {
      largest = Math.max(largest, Math.abs(expected.getDouble(i)));
      error = Math.max(error, Math.abs(expected.getDouble(i) - got.getDouble(i)));
    }
    assertTrue(error <= 1e-5 * largest, error + " of " + largest);
  }

  @ParameterizedTest
  @CsvSource({
    "s4_symmetric_g32_restricted, 4",
    "u4_affine_g16, 4",
    "u4_affine_g64, 4",
    "s3_symmetric_g32, 4",
    "u3_affine_g128, 4",
    "u2_affine_g32, 2",
    "s2_symmetric_g16, 2",
    "u8_affine_g64, 8",
    "s4_symmetric_g256, 4",
    "u6_affine_g32, 8",
    "s5_symmetric_g32, 8",
    "s4_symmetric_channel_restricted, 4",
    "u4_affine_channel, 4",
    "u4_float_g32, 4",
  })
  void packedProductsKeepCodesAndResults(String format, int bits) throws IOException {
    Graph base = graph();
    Quantizer.Decisions decisions = decide(base, format);
    Graph coded = quantizer.apply(base, decisions, compile);
    Path file = folder.resolve("packed.onnx");
    compiler.write(
        compiler.exportable(coded, compile.withSetting(LowerDecode.PACKED, "true")),
        file,
        Map.of());
    Graph read = compiler.read(file, Map.of());
    assertEquals(17, read.opset(""), "no newer standard operators are needed");
    Map<String, String> planned = new LinkedHashMap<>();
    decisions.plan().choices().forEach((node, choice) -> planned.put(node, choice.sha256()));
    Map<String, String> found = new java.util.TreeMap<>();
    boolean wholeZeros = !format.contains("float");
    for (Node node : read.nodes()) {
      if (node.op().is("com.microsoft", "MatMulNBits")) {
        assertEquals(new Attribute.IntAttr(bits), node.attributes().get("bits"));
        found.put(node.name(), checksum(read, node, format.startsWith("s")));
      }
    }
    assertEquals(planned.keySet(), found.keySet());
    if (wholeZeros) {
      assertEquals(planned, found);
    }
    Tensor x = normal(3, 72);
    Tensor expected = run(coded, x);
    close(expected, run(read, x));
    try (Reference.Session session = ORT.open(file, Reference.Options.DEFAULT)) {
      Tensor theirs =
          new ReferenceExecutable("ort", session).run(Map.of("x", x)).values().iterator().next();
      close(expected, theirs);
    }
  }

  /** As the plan has it: codes in rows of outputs, without the padding of the last block. */
  private static String checksum(Graph graph, Node node, boolean signed) {
    int bits = (int) integer(node, "bits");
    int k = (int) integer(node, "K");
    int n = (int) integer(node, "N");
    int block = (int) integer(node, "block_size");
    int blocks = Math.ceilDiv(k, block);
    int half = 1 << (bits - 1);
    Tensor bytes = graph.constant(node.input(1)).orElseThrow().load();
    Tensor codes = Tensor.zeros(DType.I32, n, k);
    for (int r = 0; r < n; r++) {
      for (int c = 0; c < k; c++) {
        codes.setLong(r * k + c, code(bytes, r * blocks * block + c, bits) - (signed ? half : 0));
      }
    }
    Tensor zeros = Tensor.zeros(DType.I32, (long) n * blocks);
    boolean given = node.inputs().size() > 3 && node.input(3).isPresent();
    for (int r = 0; r < n && given; r++) {
      Tensor packed = graph.constant(node.input(3)).orElseThrow().load();
      for (int b = 0; b < blocks && packed.dtype() == DType.U8; b++) {
        int row = Math.ceilDiv(blocks * bits, 8) * 8 / bits;
        zeros.setLong(r * blocks + b, code(packed, r * row + b, bits) - (signed ? half : 0));
      }
    }
    assertTrue(given || signed, "without zero points codes are around half of the range");
    return Checksums.of(codes, graph.constant(node.input(2)).orElseThrow().load(), zeros);
  }

  private static long code(Tensor bytes, int at, int bits) {
    int perByte = 8 / bits;
    return bytes.getLong(at / perByte) >> (at % perByte * bits) & ((1 << bits) - 1);
  }

  private static long integer(Node node, String name) {
    return ((Attribute.IntAttr) java.util.Objects.requireNonNull(node.attributes().get(name)))
        .value();
  }

  @Test
  void whatDoesNotFitIsSaidAndWrittenOtherwise() {
    Graph base = graph();
    List<String> notes = new ArrayList<>();
    CompileOptions packed = compile.withSetting(LowerDecode.PACKED, "true").withNote(notes::add);
    Graph tensor = quantizer.apply(base, decide(base, "s4_symmetric_tensor"), compile);
    Graph exported = compiler.exportable(tensor, packed);
    assertTrue(exported.nodes().stream().noneMatch(n -> n.op().is("com.microsoft", "MatMulNBits")));
    assertTrue(notes.stream().anyMatch(n -> n.contains("one scale of all rows")), notes.toString());
    // Neither form can say this grid.
    Graph unknown = quantizer.apply(base, decide(base, "q4_0"), compile);
    assertFalse(compiler.exportable(unknown, packed).nodes().isEmpty());
    Graph floating = quantizer.apply(base, decide(base, "u4_float_g32"), compile);
    assertEquals(
        "TSR-0417",
        assertThrows(TersorException.class, () -> compiler.exportable(floating, compile)).code());
  }

  /** ONNX Runtime does not know opset 25 yet: our reader and the rules of the operators do. */
  @ParameterizedTest
  @ValueSource(strings = {"u2_affine_g32", "s2_symmetric_channel", "s2_symmetric_g16"})
  void codesOfTwoBitsAsSuch(String format) {
    Graph base = graph();
    Quantizer.Decisions decisions = decide(base, format);
    Graph coded = quantizer.apply(base, decisions, compile);
    Path file = folder.resolve("int2.onnx");
    compiler.write(
        compiler.exportable(coded, compile.withSetting(LowerDecode.INT2, "true")), file, Map.of());
    Graph read = compiler.read(file, Map.of());
    assertEquals(25, read.opset(""));
    DType type = format.startsWith("s") ? DType.I2 : DType.U2;
    List<Node> nodes = read.nodes().stream().filter(n -> n.op().is("DequantizeLinear")).toList();
    assertEquals(3, nodes.size());
    for (Node node : nodes) {
      assertEquals(type, read.constant(node.input(0)).orElseThrow().dtype());
      assertEquals(type, read.constant(node.input(2)).orElseThrow().dtype());
    }
    Tensor x = normal(3, 72);
    close(run(coded, x), run(read, x));
  }

  /** What a jar stores of a large weight are the buffers of the plan; small ones are decoded. */
  @ParameterizedTest
  @ValueSource(
      strings = {"u4_affine_g16", "s4_symmetric_g32", "u2_affine_g64", "s8_symmetric_g32", "q4_0"})
  void aJarHoldsTheSameCodes(String format) throws IOException {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 3, 200));
    b.output(layer(b, "one", "MatMul", Map.of(), x, 200, 160));
    Graph base = quantizer.base(b.build("g", Map.of()), compile);
    Quantizer.Decisions decisions = decide(base, format);
    Path jar = folder.resolve("model.jar");
    compiler.artifact(
        quantizer.apply(base, decisions, compile), "jvm", List.of("jvm-plain"), jar, compile);
    FormatDef definition = compiler.registry().format(format).definition();
    AffineDecode affine = AffineDecode.of(definition).orElseThrow();
    long[] shape = {160, 200};
    List<Tensor> constants = JarKit.constants(jar);
    List<Tensor> buffers = constants.stream().filter(c -> c.dtype() == DType.U8).toList();
    assertEquals(1, buffers.size(), constants.toString());
    assertEquals(
        Map.of(
            "one",
            new QuantPlan.Choice(
                "mse",
                Checksums.of(
                    affine.codes(buffers, shape),
                    affine.scales(buffers, shape),
                    affine.zeros(buffers, shape)))),
        decisions.plan().choices());
  }
}
