package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.tersor.cli.Outcome.tersor;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.conformance.CostBench;
import org.tersor.ir.schedule.Target;
import org.tersor.passes.quant.CostTable;
import org.tersor.passes.quant.LayerWork;
import org.tersor.runtime.Npy;

/** Commands as a user types them, in this process, on the model that the project ships. */
class CommandLineTest {
  @TempDir static Path folder;

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
  void notesOfAPassAreShortened() {
    assertEquals(
        List.of("fold: a", "fold: b", "fold: c", "fold: 2 more; --json lists all", "cse: x", "y"),
        Common.shortened(
            List.of("fold: a", "fold: b", "cse: x", "fold: c", "fold: d", "y", "fold: e")));
    List<String> four = List.of("p: 1", "p: 2", "p: 3", "p: 4");
    assertEquals(four, Common.shortened(four));
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
    assertEquals(0, outcome.exit(), outcome.err());
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
            "--data",
            folder,
            "--limit",
            200,
            "--backend",
            "native",
            "--json");
    assertEquals(0, quantized.exit(), quantized.err());
    assertTrue(quantized.json().path("bytes").asLong() < Files.size(model()) / 2);
    JsonNode summary = quantized.json().path("summary");
    for (String side : List.of("float", "quantized")) {
      assertTrue(summary.path(side).path("measuredMs").asDouble() > 0, quantized.out());
      assertTrue(summary.path(side).path("ortMs").asDouble() > 0, quantized.out());
    }
    JsonNode answers = summary.path("answers");
    assertEquals("top1", answers.path("metric").asText(), quantized.out());
    assertEquals(200, answers.path("samples").asInt());
    assertEquals(
        answers.path("float").asDouble(),
        answers.path("quantized").asDouble()
            + (answers.path("paired").path("goodToBad").asInt()
                    - answers.path("paired").path("badToGood").asInt())
                / 200.0,
        1e-9);
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
        tersor("verify", small).exit(),
        "the exported model means the same to Tersor and ONNX Runtime");
  }

  /** Calibrated with the last 100, judged by all: the model's file remembers. */
  @Test
  void judgingByCalibrationSamplesIsWarnedAbout() throws IOException {
    Path coded = folder.resolve("marked.onnx");
    Outcome made =
        tersor(
            "quantize",
            model(),
            "-o",
            coded,
            "--scheme",
            "int8",
            "--calibrate",
            folder,
            "--task",
            "mnist",
            "--calibration-samples",
            10,
            "--data",
            folder,
            "--limit",
            5000,
            "--no-timing",
            "--json");
    assertEquals(0, made.exit(), made.err());
    assertTrue(made.err().contains("10 of the"), made.err());
    JsonNode answers = made.json().path("summary").path("answers");
    assertEquals(10, answers.path("sharedWithCalibration").asInt(), made.out());
    assertFalse(made.json().path("summary").path("float").has("measuredMs"), made.out());
    Outcome some =
        tersor("eval", coded, "--task", "mnist", "--data", folder, "--limit", 100, "--json");
    assertFalse(some.err().contains("calibrated with"), some.err());
    assertEquals(0, some.json().path("samples").path("sharedWithCalibration").asInt());
    Outcome all = tersor("eval", coded, "--task", "mnist", "--data", folder, "--json");
    assertTrue(all.err().contains("calibrated with at least 10 of these"), all.err());
    assertEquals(
        answers.path("sha256").asText(), all.json().path("samples").path("sha256").asText());
  }

  @Test
  void measuredCostsPredictAndWarn(@TempDir Path cache) throws IOException {
    String before = System.setProperty("tersor.cache", cache.toString());
    try {
      Target target =
          Costs.here(
                  new org.tersor.passes.Compiler(org.tersor.passes.Registry.builtIn()),
                  "jvm",
                  org.tersor.passes.CompileOptions.defaults())
              .getFirst();
      LayerWork small = new LayerWork(1000, 10, 1);
      LayerWork large = new LayerWork(1e9, 1000, 100);
      CostTable table =
          new CostTable(
              target.name(),
              CostBench.processor(),
              List.of(
                  new CostTable.Row("small", small, 1000, 2000),
                  new CostTable.Row("large", large, 1e8, 2e8)));
      Files.createDirectories(Costs.file(target).getParent());
      Files.writeString(Costs.file(target), table.text());
      Outcome codes =
          tersor(
              "quantize",
              model(),
              "-o",
              folder.resolve("costs.onnx"),
              "--calibrate",
              folder,
              "--task",
              "mnist",
              "--calibration-samples",
              4,
              "--no-timing",
              "--json",
              "--scheme",
              "int8");
      assertEquals(0, codes.exit(), codes.err());
      assertTrue(codes.err().contains("int8 will be no faster on " + target.name()), codes.err());
      assertFalse(
          codes.err().contains("int8 runs no faster"), "measured, not guessed: " + codes.err());
      JsonNode summary = codes.json().path("summary");
      double plain = summary.path("float").path("layersPredictedMs").asDouble();
      assertTrue(plain > 0, codes.out());
      double ratio = summary.path("quantized").path("layersPredictedMs").asDouble() / plain;
      assertTrue(ratio > 1.5 && ratio < 2, "the last layer gives floats: " + ratio);
      Files.writeString(Costs.file(target), "broken");
      assertTrue(Costs.kept(target).isEmpty());
    } finally {
      if (before == null) {
        System.clearProperty("tersor.cache");
      } else {
        System.setProperty("tersor.cache", before);
      }
    }
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
      "--no-timing",
      "--json",
      "--scheme"
    };
    Outcome codes = tersor(with(quantize, "int8", "--backend", "jvm", "--target", "jvm-plain"));
    assertEquals(0, codes.exit(), codes.err());
    assertTrue(codes.err().contains("int8 runs no faster than float32 on jvm"), codes.err());
    assertTrue(codes.err().contains("not measured here"), codes.err());
    assertTrue(codes.json().path("notes").toString().contains("int8 runs no faster"), codes.out());
    Outcome weights = tersor(with(quantize, "q4_0", "--backend", "jvm"));
    assertEquals(0, weights.exit(), weights.err());
    assertFalse(weights.err().contains("no faster"), "q4_0 multiplies floats: " + weights.err());
  }

  private static Object[] with(Object[] arguments, Object... more) {
    return Stream.concat(Arrays.stream(arguments), Arrays.stream(more)).toArray();
  }

  @Test
  void runWritesOutputsThatItCanReadAgain() throws IOException {
    Path out = folder.resolve("out.npz");
    assertEquals(0, tersor("run", model(), "--input", "image=random", "-o", out).exit());
    assertArrayEquals(
        new long[] {1, 10}, Npy.readAll(out).values().stream().findFirst().orElseThrow().shape());
    Outcome wrong = tersor("run", model(), "--input", "picture=random");
    assertEquals(Exit.RUN_FAILED, wrong.exit());
    assertTrue(
        wrong.err().contains("error[TSR-0702]") && wrong.err().contains("[image]"), wrong.err());
  }

  @Test
  void brokenFilesAreDiagnosticsWithoutStackTraces() throws IOException {
    byte[] good = Files.readAllBytes(model());
    Path broken = folder.resolve("broken.onnx");
    for (byte[] bytes :
        new byte[][] {{}, {1, 2, 3}, Arrays.copyOf(good, good.length / 2), new byte[5000]}) {
      Files.write(broken, bytes);
      Outcome outcome = tersor("verify", broken, "--backend", "interpreter");
      assertEquals(Exit.MODEL_REFUSED, outcome.exit(), outcome.err());
      assertTrue(outcome.err().contains("error[TSR-0"), outcome.err());
      assertFalse(outcome.err().contains("\tat "), outcome.err());
    }
  }

  @Test
  void usageErrorsExitWithTwo() {
    assertEquals(Exit.USAGE, tersor("inspect", folder.resolve("none.onnx")).exit());
    assertEquals(Exit.USAGE, tersor("verfiy").exit());
    assertEquals(Exit.USAGE, tersor("conformance", folder.resolve("none")).exit());
    assertEquals(Exit.USAGE, tersor("zoo", "vgg", "-o", folder.resolve("v.onnx")).exit());
  }

  @Test
  void helpListsExitCodesAndCompletionIsAScript() {
    assertTrue(tersor("bench", "--help").out().contains("--min-ratio"));
    assertTrue(tersor("--help").out().contains("Exit codes:"));
    assertTrue(tersor("completion").out().contains("complete -F"));
  }
}
