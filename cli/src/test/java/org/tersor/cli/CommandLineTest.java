package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.runtime.Npy;
import picocli.CommandLine;

/** Commands as a user types them, in this process, on the model that the project ships. */
class CommandLineTest {
  @TempDir static Path folder;

  /** Exit code and both streams. */
  private record Outcome(int exit, String out, String err) {
    JsonNode json() throws IOException {
      return new ObjectMapper().readTree(out);
    }
  }

  private static Outcome tersor(Object... arguments) {
    CommandLine line = Main.commandLine();
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    line.setOut(new PrintWriter(out));
    line.setErr(new PrintWriter(err));
    int exit = line.execute(Arrays.stream(arguments).map(Object::toString).toArray(String[]::new));
    return new Outcome(exit, out.toString(), err.toString());
  }

  @BeforeAll
  static void unpack() throws IOException {
    for (String file :
        new String[] {
          "digits.onnx", "digits-images-idx3-ubyte.gz", "digits-labels-idx1-ubyte.gz"
        }) {
      try (var in = CommandLineTest.class.getResourceAsStream("demo/" + file)) {
        Files.copy(in, folder.resolve(file));
      }
    }
  }

  private static Path model() {
    return folder.resolve("digits.onnx");
  }

  @Test
  void inspectTellsInputsAndOperators() throws IOException {
    JsonNode json = tersor("inspect", model(), "--json").json();
    assertEquals("f32[N, 1, 28, 28]", json.path("inputs").path(0).path("type").asText());
    assertEquals(2, json.path("operators").path("Conv").asInt());
    assertTrue(json.path("unsupported").isEmpty());
    assertTrue(json.path("nodesAfterFolding").asInt() < json.path("nodes").asInt());
  }

  @ParameterizedTest
  @CsvSource({"interpreter", "jvm"})
  void verifyPassesAgainstOnnxRuntime(String backend) throws IOException {
    Outcome outcome =
        tersor("verify", model(), "--backend", backend, "--dim", "N=2", "--seed", 3, "--json");
    assertEquals(0, outcome.exit, outcome.err);
    JsonNode json = outcome.json();
    assertTrue(json.path("passed").asBoolean());
    assertEquals(backend, json.path("backend").asText());
    assertEquals(2, json.path("inputs").path(0).path("shape").path(0).asInt());
    assertTrue(
        json.path("maxAbs").asDouble() < 1e-4
            && json.path("cosine").asDouble() > .999999
            && json.has("maxRel"));
  }

  @Test
  void accuracyOnJvmAndQuantizedInOnnxRuntime() throws IOException {
    JsonNode real =
        tersor("eval", model(), "--task", "mnist", "--data", folder, "--limit", 500, "--json")
            .json();
    assertEquals("top1", real.path("metric").asText());
    assertEquals(500, real.path("n").asInt());
    assertTrue(real.path("value").asDouble() > .97, real.toString());
    Path small = folder.resolve("int8.onnx");
    Outcome quantized =
        tersor(
            "quantize",
            model(),
            "-o",
            small,
            "--scheme",
            "int8",
            "--calibrate",
            folder,
            "--task",
            "mnist",
            "--json");
    assertEquals(0, quantized.exit, quantized.err);
    assertTrue(quantized.json().path("bytes").asLong() < Files.size(model()) / 2);
    JsonNode int8 =
        tersor(
                "eval",
                small,
                "--task",
                "mnist",
                "--data",
                folder,
                "--limit",
                500,
                "--backend",
                "ort",
                "--json")
            .json();
    assertEquals(real.path("value").asDouble(), int8.path("value").asDouble(), .01);
    assertEquals(
        0,
        tersor("verify", small).exit,
        "the exported model means the same to Tersor and ONNX Runtime");
  }

  /** Before the work begins, on the error stream, and in the result for scripts. */
  @Test
  void thatIntegersAreSlowerHereIsSaidBeforehand() throws IOException {
    Object[] quantize = {
      "quantize",
      model(),
      "-o",
      folder.resolve("slow.onnx"),
      "--calibrate",
      folder,
      "--task",
      "mnist",
      "--calibration-samples",
      4,
      "--json",
      "--scheme"
    };
    Outcome codes = tersor(with(quantize, "int8", "--backend", "jvm"));
    assertEquals(0, codes.exit, codes.err);
    assertTrue(codes.err.contains("int8 runs no faster than float32 on jvm"), codes.err);
    assertTrue(codes.json().path("notes").toString().contains("int8 runs no faster"), codes.out);
    Outcome weights = tersor(with(quantize, "q4_0", "--backend", "jvm"));
    assertEquals(0, weights.exit, weights.err);
    assertFalse(weights.err.contains("no faster"), "q4_0 multiplies floats: " + weights.err);
  }

  private static Object[] with(Object[] arguments, Object... more) {
    return Stream.concat(Arrays.stream(arguments), Arrays.stream(more)).toArray();
  }

  @Test
  void runWritesOutputsThatItCanReadAgain() throws IOException {
    Path out = folder.resolve("out.npz");
    assertEquals(0, tersor("run", model(), "--input", "image=random", "-o", out).exit);
    assertArrayEquals(
        new long[] {1, 10}, Npy.readAll(out).values().stream().findFirst().orElseThrow().shape());
    Outcome wrong = tersor("run", model(), "--input", "picture=random");
    assertEquals(Exit.RUN_FAILED, wrong.exit);
    assertTrue(wrong.err.contains("error[TSR-0702]") && wrong.err.contains("[image]"), wrong.err);
  }

  @Test
  void brokenFilesAreDiagnosticsWithoutStackTraces() throws IOException {
    byte[] good = Files.readAllBytes(model());
    Path broken = folder.resolve("broken.onnx");
    for (byte[] bytes :
        new byte[][] {{}, {1, 2, 3}, Arrays.copyOf(good, good.length / 2), new byte[5000]}) {
      Files.write(broken, bytes);
      Outcome outcome = tersor("verify", broken, "--backend", "interpreter");
      assertEquals(Exit.MODEL_REFUSED, outcome.exit, outcome.err);
      assertTrue(outcome.err.contains("error[TSR-0"), outcome.err);
      assertFalse(outcome.err.contains("\tat "), outcome.err);
    }
  }

  @Test
  void usageErrorsExitWithTwo() {
    assertEquals(Exit.USAGE, tersor("inspect", folder.resolve("none.onnx")).exit);
    assertEquals(Exit.USAGE, tersor("verfiy").exit);
    assertEquals(Exit.USAGE, tersor("conformance", folder.resolve("none")).exit);
    assertEquals(Exit.USAGE, tersor("zoo", "vgg", "-o", folder.resolve("v.onnx")).exit);
  }

  @Test
  void helpListsExitCodesAndCompletionIsAScript() {
    assertTrue(tersor("bench", "--help").out.contains("--min-ratio"));
    assertTrue(tersor("--help").out.contains("Exit codes:"));
    assertTrue(tersor("completion").out.contains("complete -F"));
  }
}
