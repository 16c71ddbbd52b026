package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.eval.Ports;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * The jar of the demo's model: in this process, on the command line with every vector width, and
 * two of them at once.
 */
class JarArtifactTest {
  @TempDir static Path folder;

  private static Path model;
  private static Path jar;
  private static Path integers;
  private static Path integersJar;

  @BeforeAll
  static void compile() throws IOException {
    model = folder.resolve("digits.onnx");
    try (InputStream in = JarArtifactTest.class.getResourceAsStream("demo/digits.onnx")) {
      Files.copy(in, model);
    }
    jar = folder.resolve("digits.jar");
    write(model, jar);
    integers = integers();
    integersJar = folder.resolve("integers.jar");
    write(integers, integersJar);
  }

  /** u8 pixels, a convolution with requantization, and a product with s32 results. */
  private static Path integers() {
    Random random = new Random(11);
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.U8, new long[] {1, 3, 15, 17}));
    Tensor w = codes(DType.I8, random, 20, 3, 3, 3);
    Tensor scales = Tensor.zeros(DType.F32, 20);
    Tensor bias = Tensor.zeros(DType.I32, 20);
    for (int i = 0; i < 20; i++) {
      scales.setDouble(i, .001 + .001 * i);
      bias.setLong(i, 997L * i - 5000);
    }
    Value y =
        b.add(
            "QLinearConv",
            Map.of("pads", new Attribute.IntsAttr(List.of(1L, 1L, 1L, 1L))),
            x,
            b.scalar(.02f),
            b.constant(one(DType.U8, 119)),
            b.constant(w),
            b.constant(scales),
            b.constant(Tensor.zeros(DType.I8, 20)),
            b.scalar(.13f),
            b.constant(one(DType.U8, 131)),
            b.constant(bias));
    b.output(
        b.add(
            "MatMulInteger",
            y,
            b.constant(codes(DType.I8, random, 17, 37)),
            b.constant(one(DType.U8, 131)),
            b.constant(one(DType.I8, 3))));
    Path file = folder.resolve("integers.onnx");
    Compiler.standard().write(b.build("integers", Map.of()), file, Map.of());
    return file;
  }

  private static Tensor one(DType dtype, long value) {
    Tensor tensor = Tensor.zeros(dtype);
    tensor.setLong(0, value);
    return tensor;
  }

  private static Tensor codes(DType dtype, Random random, long... shape) {
    Tensor tensor = Tensor.zeros(dtype, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.setLong(i, random.nextInt(256) + dtype.minValue());
    }
    return tensor;
  }

  private static void write(Path from, Path file) {
    Compiler compiler = Compiler.standard();
    Graph graph = compiler.read(from, Map.of());
    CompileOptions options = CompileOptions.defaults();
    boolean free = Ports.inputs(graph).stream().anyMatch(p -> !p.shape().getFirst().isConst());
    compiler.artifact(
        graph, "jvm", List.of(), file, free ? options.withDims(Map.of("N", 1L)) : options);
  }

  private static Map<String, Tensor> input(Executable executable) {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    Random random = new Random(5);
    for (Executable.Port port : executable.inputs()) {
      Tensor tensor =
          Tensor.zeros(
              port.dtype(),
              port.shape().stream().mapToLong(d -> d.isConst() ? d.constValue() : 1).toArray());
      for (int i = 0; i < tensor.size(); i++) {
        tensor.setDouble(i, port.dtype().isFloat() ? random.nextFloat() : random.nextInt(256));
      }
      inputs.put(port.name(), tensor);
    }
    return inputs;
  }

  private static float[] reference() {
    Compiler compiler = Compiler.standard();
    Executable interpreter =
        compiler.executable(
            compiler.read(model, Map.of()),
            "interpreter",
            CompileOptions.defaults().withDims(Map.of("N", 1L)));
    return interpreter.run(input(interpreter)).values().iterator().next().floats();
  }

  @Test
  void equalsTheInterpreter() throws IOException {
    Executable executable = JarArtifact.open(jar, 1);
    assertArrayEquals(
        reference(), executable.run(input(executable)).values().iterator().next().floats(), 1e-4f);
  }

  @Test
  void aWrongShapeIsADiagnosticBeforeAnythingRuns() throws IOException {
    Executable executable = JarArtifact.open(jar, 1);
    String name = executable.inputs().getFirst().name();
    TersorException fault =
        assertThrows(
            TersorException.class, () -> executable.run(Map.of(name, Tensor.of(new float[3], 3))));
    assertTrue(fault.code().startsWith("TSR-07"), fault.code());
    assertTrue(
        String.valueOf(fault.getMessage()).contains(name), String.valueOf(fault.getMessage()));
  }

  @Test
  void twoJarsOfTwoBuildsLiveInOneApplication() throws IOException {
    Path other = folder.resolve("other.jar");
    write(model, other);
    Executable first = JarArtifact.open(jar, 1);
    Executable second = JarArtifact.open(other, 2);
    assertArrayEquals(
        first.run(input(first)).values().iterator().next().floats(),
        second.run(input(second)).values().iterator().next().floats());
  }

  @Test
  void equalInputsGiveEqualBytes() throws IOException {
    byte[] once = Files.readAllBytes(jar);
    write(model, jar);
    assertArrayEquals(once, Files.readAllBytes(jar));
  }

  @Test
  void weightsAreOneStoredEntryAndNothingIsNative() throws IOException {
    try (ZipFile zip = new ZipFile(jar.toFile())) {
      List<? extends ZipEntry> weights =
          zip.stream().filter(e -> e.getName().endsWith("weights.bin")).toList();
      assertEquals(1, weights.size());
      assertEquals(ZipEntry.STORED, weights.getFirst().getMethod());
      assertTrue(zip.stream().allMatch(e -> e.getName().matches(".*\\.(class|txt|bin|MF)")));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"-XX:UseAVX=3", "-XX:UseAVX=2", "-XX:UseAVX=1", "-Dtersor.plain=true"})
  void runsOnTheCommandLineWithEveryVectorWidth(String option)
      throws IOException, InterruptedException {
    assertArrayEquals(reference(), runs(jar, option).floats(), 1e-4f);
  }

  /** Sums of integers are exact, so that no width may change the last bit of a quantized model. */
  @ParameterizedTest
  @ValueSource(strings = {"-XX:UseAVX=3", "-XX:UseAVX=2", "-XX:UseAVX=1", "-Dtersor.plain=true"})
  void aQuantizedModelGivesTheSameIntegersWithEveryVectorWidth(String option)
      throws IOException, InterruptedException {
    Compiler compiler = Compiler.standard();
    Executable interpreter =
        compiler.executable(
            compiler.read(integers, Map.of()), "interpreter", CompileOptions.defaults());
    int[] expected = interpreter.run(input(interpreter)).values().iterator().next().ints();
    assertEquals(20 * 15 * 37, expected.length);
    assertTrue(Arrays.stream(expected).distinct().count() > 1000, "values of some variety");
    assertArrayEquals(expected, runs(integersJar, option).ints());
  }

  /** The first output of a jar in a JVM of its own, with an option of that JVM. */
  private static Tensor runs(Path jar, String option) throws IOException, InterruptedException {
    Executable here = JarArtifact.open(jar, 1);
    Map<String, Tensor> inputs = input(here);
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of("-XX:+IgnoreUnrecognizedVMOptions", option, "-jar", jar.toString(), "run"));
    int number = 0;
    for (Map.Entry<String, Tensor> entry : inputs.entrySet()) {
      Path file = folder.resolve("input" + number++ + ".npy");
      Npy.write(entry.getValue(), file);
      command.addAll(List.of("--input", entry.getKey() + "=" + file));
    }
    Path output = folder.resolve(jar.getFileName() + "-out" + option.hashCode());
    command.addAll(List.of("--output", output.toString()));
    Path log = folder.resolve("log.txt");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    assertTrue(process.waitFor(120, TimeUnit.SECONDS), "time limit");
    assertEquals(0, process.exitValue(), Files.readString(log));
    try (var files = Files.list(output)) {
      return Npy.read(files.findFirst().orElseThrow());
    }
  }
}
