package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
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
import org.tersor.ir.graph.RawData;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.LowerDecode;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/** Constants of less than a byte for each element are as small in artifacts as in the file. */
class PackedCodesTest {
  private final Compiler compiler = Compiler.standard();
  private final Quantizer quantizer = new Quantizer(compiler);
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final Random random = new Random(4);
  private int jars;

  @TempDir Path folder = Path.of("");

  private Tensor normal(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return tensor;
  }

  private Value layer(
      GraphBuilder b, String type, Map<String, Attribute> attributes, Value x, long... shape) {
    Value y = b.value(type + ":0", ValueType.UNKNOWN);
    Value w = b.constant(type + ".w", Constant.of(normal(shape)));
    b.addNode(type, "", type, attributes, List.of(x, w), List.of(y));
    return y;
  }

  /** Weights whose rows are the first dimension, the last, and some of a group. */
  private Graph layers() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 1, 24, 5, 5));
    Value y = layer(b, "Conv", Map.of(), x, 60, 24, 3, 3);
    y = layer(b, "Gemm", Map.of("transB", new Attribute.IntAttr(1)), b.add("Flatten", y), 75, 540);
    b.output(layer(b, "MatMul", Map.of(), y, 75, 96));
    return quantizer.base(b.build("g", Map.of()), compile);
  }

  private record Both(Graph direct, Graph read) {}

  /** A model in codes, and the same read from the .onnx that is made of it. */
  private Both both(String format, Optional<String> activations) {
    Graph base = layers();
    Quantizer.Options options =
        new Quantizer.Options(format, activations, new Calibrator.MinMax(), "interpreter", compile);
    List<Map<String, Tensor>> samples =
        activations.isEmpty() ? List.of() : List.of(Map.of("x", normal(1, 24, 5, 5)));
    Graph coded = quantizer.quantize(base, samples, options).graph();
    Path file = folder.resolve("codes.onnx");
    compiler.write(
        compiler.exportable(coded, compile.withSetting(LowerDecode.INT2, "true")), file, Map.of());
    return new Both(coded, compiler.read(file, Map.of()));
  }

  private static Tensor first(Executable executable, Map<String, Tensor> inputs) {
    return executable.run(inputs).values().iterator().next();
  }

  private static long bytes(List<Tensor> constants) {
    return constants.stream().mapToLong(c -> (long) c.size() * c.dtype().memoryBytes()).sum();
  }

  private Path jar(Graph graph, CompileOptions options) {
    Path file = folder.resolve("m" + jars++ + ".jar");
    compiler.artifact(graph, "jvm", List.of("jvm-plain"), file, options);
    return file;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "s4_symmetric_channel_restricted",
        "u4_affine_channel",
        "u4_affine_g32",
        "s4_symmetric_tensor",
        "s2_symmetric_channel",
        "u2_affine_g16",
      })
  void aFileGivesTheArtifactsOfTheModelThatItWasMadeOf(String format) throws IOException {
    Both both = both(format, Optional.empty());
    Map<String, Tensor> x = Map.of("x", normal(1, 24, 5, 5));
    for (String memory : List.of("fast", "small")) {
      CompileOptions options = compile.withSetting(Compiler.MEMORY, memory);
      Path direct = jar(both.direct, options);
      Path read = jar(both.read, options);
      // Zero points are bytes in the blocks of a format, and codes here.
      assertTrue(bytes(JarKit.constants(read)) <= bytes(JarKit.constants(direct)) + 16, memory);
      assertTrue(Files.size(read) <= 1.03 * Files.size(direct), memory);
      assertArrayEquals(
          first(JarArtifact.open(direct, 1), x).floats(),
          first(JarArtifact.open(read, 1), x).floats(),
          memory);
    }
  }

  /** Codes that integer kernels multiply become bytes at load, of a format's node as of a file. */
  @Test
  void codesForIntegerKernelsArePacked() throws IOException {
    Both both = both("s4_symmetric_channel_restricted", Optional.of("u8_affine_tensor"));
    long codes = 60 * 24 * 9 + 75 * 540 + 75 * 96;
    Map<String, Tensor> x = Map.of("x", normal(1, 24, 5, 5));
    List<float[]> results = new ArrayList<>();
    for (Graph graph : List.of(both.direct, both.read)) {
      Path file = jar(graph, compile);
      long bytes = bytes(JarKit.constants(file));
      assertTrue(bytes >= codes / 2 && bytes < codes / 2 + 8000, "" + bytes);
      results.add(first(JarArtifact.open(file, 1), x).floats());
    }
    assertArrayEquals(results.getFirst(), results.getLast());
  }

  @Test
  void aLibraryIsAsSmall() throws IOException {
    assumeTrue(compiler.registry().backend("native").unavailable().isEmpty(), "no C compiler");
    Both both = both("s4_symmetric_channel_restricted", Optional.empty());
    Map<String, Tensor> x = Map.of("x", normal(1, 24, 5, 5));
    Map<Graph, Path> files = new LinkedHashMap<>();
    for (Graph graph : List.of(both.direct, both.read)) {
      Path file = folder.resolve("m" + files.size() + ".so");
      compiler.artifact(graph, "native", List.of("scalar"), file, compile);
      files.put(graph, file);
    }
    List<Path> written = List.copyOf(files.values());
    assertTrue(Files.size(written.getLast()) <= 1.1 * Files.size(written.getFirst()));
    assertArrayEquals(
        first(new SoArtifact(written.getFirst()), x).floats(),
        first(new SoArtifact(written.getLast()), x).floats());
  }

  /** What reads codes need not be a DequantizeLinear, and codes may be results. */
  @ParameterizedTest
  @ValueSource(strings = {"I4", "U4", "I2", "U2", "F4E2M1"})
  void everyTypeAndUse(String name) throws IOException {
    DType dtype = DType.valueOf(name);
    long rows = 203;
    long columns = 33;
    Tensor table = Tensor.zeros(dtype, rows, columns);
    byte[] raw = new byte[Math.toIntExact(RawData.byteSize(dtype, table.size()))];
    random.nextBytes(raw);
    table =
        RawData.decode(
            dtype, new long[] {rows, columns}, java.lang.foreign.MemorySegment.ofArray(raw));
    GraphBuilder b = new GraphBuilder(Map.of("", 25), 0);
    Value indices = b.input("indices", TensorType.of(DType.I64, 4));
    Value codes = b.constant("table", Constant.of(table));
    b.output(b.add("Gather", codes, indices));
    b.output(
        b.add("Cast", Map.of("to", new Attribute.IntAttr(1)), b.add("Gather", codes, indices)));
    Value scales = b.constant("scales", Constant.of(normal(columns)));
    Value numbers =
        b.add("DequantizeLinear", Map.of("axis", new Attribute.IntAttr(1)), codes, scales);
    b.output(b.add("Gather", numbers, indices));
    b.output(b.add("Identity", codes));
    Graph graph = b.build("uses", Map.of());
    Map<String, Tensor> inputs = Map.of("indices", Tensor.of(new long[] {0, 202, 17, 101}, 4));
    Map<String, Tensor> expected = compiler.executable(graph, "interpreter", compile).run(inputs);
    Path file = jar(graph, compile);
    assertTrue(
        JarKit.constants(file).stream()
            .noneMatch(c -> c.size() > 1024 && c.dtype().bits() < Byte.SIZE),
        "packed");
    assertEquals(
        raw.length,
        JarKit.constants(file).stream()
            .mapToInt(c -> c.dtype() == DType.U8 ? c.size() : 0)
            .max()
            .orElse(0));
    Map<String, Tensor> got = JarArtifact.open(file, 1).run(inputs);
    assertEquals(expected.keySet(), got.keySet());
    expected.forEach((output, tensor) -> {
      Tensor found = Optional.ofNullable(got.get(output)).orElseThrow();
      assertEquals(tensor.dtype(), found.dtype());
      for (int i = 0; i < tensor.size(); i++) {
        assertEquals(tensor.getDouble(i), found.getDouble(i), output + " " + i);
      }
    });
  }
}
