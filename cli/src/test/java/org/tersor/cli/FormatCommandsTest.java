package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.codegen.c.NativeBackend;
import picocli.CommandLine;

/**
 * Number formats through the commands: the project's 4-bit format and one from an outside jar, on a
 * trained model, in every kind of artifact. What a format loses is the same everywhere.
 */
class FormatCommandsTest {
  @TempDir static Path folder;
  private static Path plugin;

  @BeforeAll
  static void unpack() throws IOException {
    for (String file :
        new String[] {
          "digits.onnx", "digits-images-idx3-ubyte.gz", "digits-labels-idx1-ubyte.gz"
        }) {
      try (var in = FormatCommandsTest.class.getResourceAsStream("demo/" + file)) {
        Files.copy(in, folder.resolve(file));
      }
    }
    plugin = OutsidePlugin.build(folder);
  }

  private static JsonNode tersor(int exit, Object... arguments) throws IOException {
    CommandLine line = Main.commandLine();
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    line.setOut(new PrintWriter(out));
    line.setErr(new PrintWriter(err));
    List<String> all = new ArrayList<>(Arrays.stream(arguments).map(Object::toString).toList());
    all.add("--json");
    assertEquals(exit, line.execute(all.toArray(String[]::new)), () -> all + "\n" + err);
    ObjectMapper mapper = new ObjectMapper();
    return exit == 0 ? mapper.readTree(out.toString()) : mapper.valueToTree(err.toString());
  }

  private static Path digits() {
    return folder.resolve("digits.onnx");
  }

  private static Path compile(String name, Object... options) throws IOException {
    Path file = folder.resolve(name);
    List<Object> arguments =
        new ArrayList<>(List.of("compile", digits(), "-o", file, "--plugins", plugin));
    arguments.addAll(List.of(options));
    JsonNode json = tersor(0, arguments.toArray());
    assertEquals(file.toString(), json.path("file").asText());
    return file;
  }

  /** Classes of the first {@code n} images. */
  private static List<String> classes(Path model, int n, Object... options) throws IOException {
    Path predictions = folder.resolve("predictions.txt");
    List<Object> arguments =
        new ArrayList<>(List.of("eval", model, "--task", "mnist", "--data", folder, "--limit", n));
    arguments.addAll(List.of("--predictions", predictions));
    arguments.addAll(List.of(options));
    JsonNode json = tersor(0, arguments.toArray());
    assertTrue(json.path("value").asDouble() >= .95, model + " " + json);
    return Files.readAllLines(predictions);
  }

  @Test
  void fourBitBlocksAreOneModelEverywhere() throws IOException {
    Path onnx = compile("q4.onnx", "--scheme", "q4_0");
    assertTrue(Files.size(onnx) < .35 * Files.size(digits()), "codes are in the file");
    List<String> wanted = classes(onnx, 60, "--backend", "ort");
    assertEquals(wanted, classes(onnx, 60, "--backend", "jvm"));
    JsonNode cosine =
        tersor(
            0,
            "eval",
            onnx,
            "--task",
            "cosine",
            "--reference",
            digits(),
            "--data",
            folder,
            "--limit",
            10);
    assertEquals(10, cosine.path("perSample").size());
    double least = cosine.path("value").asDouble();
    assertTrue(least > .97 && least < .99999, "rounded, but alike: " + cosine);
    assertEquals(wanted.subList(0, 20), classes(onnx, 20, "--backend", "loop-interpreter"));
    assertEquals(wanted, classes(compile("q4.jar", "--scheme", "q4_0"), 60));
    Assumptions.assumeTrue(new NativeBackend().unavailable().isEmpty(), "no C compiler");
    assertEquals(wanted, classes(onnx, 60, "--backend", "native"));
    Path library = compile("q4.so", "--weights", "q4_0", "--activations", "none");
    assertEquals(wanted, classes(library, 60));
  }

  @Test
  void aFormatFromAnOutsideJarIsOneModelEverywhere() throws IOException {
    Path jar = compile("five-model.jar", "--scheme", "five");
    List<String> wanted = classes(jar, 60);
    Path floats = folder.resolve("five-floats.onnx");
    Object[] quantize = {
      "quantize", digits(), "-o", floats, "--scheme", "five", "--plugins", plugin
    };
    String error = tersor(Exit.MODEL_REFUSED, quantize).asText();
    assertTrue(error.contains("error[TSR-0417]") && error.contains("'five'"), error);
    Object[] asFloats = Arrays.copyOf(quantize, quantize.length + 1);
    asFloats[quantize.length] = "--decode-floats";
    JsonNode json = tersor(0, asFloats);
    assertTrue(json.path("notes").toString().contains("written as floats"), json.toString());
    assertEquals(wanted, classes(floats, 60, "--backend", "ort"));
    assertEquals(wanted.subList(0, 20), classes(floats, 20, "--backend", "loop-interpreter"));
    Assumptions.assumeTrue(new NativeBackend().unavailable().isEmpty(), "no C compiler");
    assertEquals(wanted, classes(compile("five-model.so", "--scheme", "five"), 60));
  }

  @Test
  void aPlanReplaysToEqualBytes() throws IOException {
    Path plan = folder.resolve("digits.plan");
    Path first = folder.resolve("first.onnx");
    Path second = folder.resolve("second.onnx");
    Path replayed = folder.resolve("replayed.onnx");
    for (Path file : List.of(first, second)) {
      JsonNode json =
          tersor(
              0,
              "quantize",
              digits(),
              "-o",
              file,
              "--scheme",
              "int8",
              "--calibrate",
              folder,
              "--task",
              "mnist",
              "--calibration-samples",
              20,
              "--save-plan",
              plan);
      for (JsonNode layer : json.path("layers")) {
        boolean integer = layer.path("computes").asText().equals("integer");
        assertEquals(integer, layer.has("kernel"), layer.toString());
        assertEquals(!integer, layer.has("why"), layer.toString());
        assertTrue(layer.path("sqnrDb").asDouble() > 15, layer.toString());
      }
      assertTrue(json.path("layers").toString().contains("QLinearConv"), json.toString());
    }
    tersor(0, "quantize", digits(), "-o", replayed, "--plan", plan);
    assertArrayEquals(Files.readAllBytes(first), Files.readAllBytes(second));
    assertArrayEquals(Files.readAllBytes(first), Files.readAllBytes(replayed));
    String text = Files.readString(plan);
    String edited = text.replaceFirst("(activation .* scale )\\S+", "$10.5");
    assertNotEquals(text, edited);
    Files.writeString(plan, edited);
    tersor(0, "quantize", digits(), "-o", replayed, "--plan", plan);
    assertTrue(
        !Arrays.equals(Files.readAllBytes(first), Files.readAllBytes(replayed)),
        "an edited plan has its effect");
    Files.writeString(plan, text.replaceFirst(" \\S+_channel_restricted\n", " int3\n"));
    String error =
        tersor(Exit.ENVIRONMENT, "quantize", digits(), "-o", replayed, "--plan", plan).asText();
    assertTrue(error.contains("error[TSR-0105]"), error);
  }
}
