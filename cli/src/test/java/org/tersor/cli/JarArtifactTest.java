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
import org.tersor.ir.graph.Graph;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
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

  @BeforeAll
  static void compile() throws IOException {
    model = folder.resolve("digits.onnx");
    try (InputStream in = JarArtifactTest.class.getResourceAsStream("demo/digits.onnx")) {
      Files.copy(in, model);
    }
    jar = folder.resolve("digits.jar");
    write(jar);
  }

  private static void write(Path file) {
    Compiler compiler = Compiler.standard();
    Graph graph = compiler.read(model, Map.of());
    compiler.artifact(
        graph, "jvm", List.of(), file, CompileOptions.defaults().withDims(Map.of("N", 1L)));
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
        tensor.setDouble(i, random.nextFloat());
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
    write(other);
    Executable first = JarArtifact.open(jar, 1);
    Executable second = JarArtifact.open(other, 2);
    assertArrayEquals(
        first.run(input(first)).values().iterator().next().floats(),
        second.run(input(second)).values().iterator().next().floats());
  }

  @Test
  void equalInputsGiveEqualBytes() throws IOException {
    byte[] once = Files.readAllBytes(jar);
    write(jar);
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
    Path output = folder.resolve("out" + option.hashCode());
    command.addAll(List.of("--output", output.toString()));
    Path log = folder.resolve("log.txt");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    assertTrue(process.waitFor(120, TimeUnit.SECONDS), "time limit");
    assertEquals(0, process.exitValue(), Files.readString(log));
    try (var files = Files.list(output)) {
      Tensor result = Npy.read(files.findFirst().orElseThrow());
      assertArrayEquals(reference(), result.floats(), 1e-4f);
    }
  }
}
