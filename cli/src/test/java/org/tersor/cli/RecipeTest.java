package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.runtime.Executable;
import picocli.CommandLine;

/** What an artifact tells about how it was made, and that quantizing again gives the same file. */
class RecipeTest {
  @TempDir static Path folder;

  private static final Compiler COMPILER = Compiler.standard();
  private static Path model;
  private static Path quantized;

  @BeforeAll
  static void quantize() throws IOException {
    for (String file :
        List.of("digits.onnx", "digits-images-idx3-ubyte.gz", "digits-labels-idx1-ubyte.gz")) {
      try (InputStream in = RecipeTest.class.getResourceAsStream("demo/" + file)) {
        Files.copy(in, folder.resolve(file));
      }
    }
    Graph digits = COMPILER.read(folder.resolve("digits.onnx"), Map.of());
    model = folder.resolve("documented.onnx");
    COMPILER.write(
        ModelMetadata.with(
            digits, Map.of(ModelMetadata.DOC, "reads digits\nslowly", "author", "some one")),
        model,
        Map.of());
    quantized = quantize("int8.onnx");
  }

  private static Path quantize(String name) {
    Path to = folder.resolve(name);
    tersor(
        "quantize",
        model,
        "-o",
        to,
        "--scheme",
        "int8",
        "--calibrate",
        folder,
        "--task",
        "mnist",
        "--calibration-samples",
        10,
        "--no-timing",
        "--save-plan",
        folder.resolve("plan.txt"));
    return to;
  }

  private static void tersor(Object... arguments) {
    CommandLine line = Main.commandLine();
    StringWriter err = new StringWriter();
    line.setOut(new PrintWriter(new StringWriter()));
    line.setErr(new PrintWriter(err));
    String[] texts = Arrays.stream(arguments).map(Object::toString).toArray(String[]::new);
    assertEquals(0, line.execute(texts), err.toString());
  }

  private static Map<String, String> recipe() throws IOException {
    QuantPlan plan = QuantPlan.parse(Files.readString(folder.resolve("plan.txt")));
    return Map.of(
        "version", Compiler.version(),
        "plan.sha256", plan.hash(),
        "calibration.sha256", plan.header().getOrDefault("calibration.sha256", "missing"));
  }

  @Test
  void aQuantizedModelKeepsItsNotesAndTellsItsRecipe() throws IOException {
    Map<String, String> metadata = COMPILER.read(quantized, Map.of()).metadata();
    assertEquals("reads digits\nslowly", metadata.get(ModelMetadata.DOC));
    assertEquals("some one", metadata.get("author"));
    for (Map.Entry<String, String> entry : recipe().entrySet()) {
      assertEquals(entry.getValue(), metadata.get(ModelMetadata.TERSOR + entry.getKey()));
    }
  }

  @Test
  void artifactsDescribeTheRecipe() throws IOException {
    for (String suffix : suffixes()) {
      Path file = folder.resolve("described." + suffix);
      tersor("compile", quantized, "-o", file, "--dim", "N=1");
      Executable artifact = suffix.equals("jar") ? JarArtifact.open(file, 1) : new SoArtifact(file);
      String description = artifact.describe();
      for (String fact : recipe().values()) {
        assertTrue(description.contains(fact), description);
      }
      assertTrue(description.contains("reads digits slowly"), description);
      assertTrue(description.contains("some one"), description);
    }
  }

  @Test
  void quantizingTwiceGivesTheSameBytes() throws IOException {
    assertArrayEquals(Files.readAllBytes(quantized), Files.readAllBytes(quantize("again.onnx")));
  }

  /** Kinds of artifacts that can be made here. */
  private static List<String> suffixes() {
    return Stream.of("jar", "so")
        .filter(suffix ->
            COMPILER.registry().backends().stream()
                .anyMatch(b ->
                    b.provider() instanceof Backend.OfProgram p
                        && p.artifacts().contains(suffix)
                        && p.unavailable().isEmpty()))
        .toList();
  }
}
