package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** Options of {@code bench} and their exit codes; no times. */
class BenchCommandTest {
  /** Of two convolutions and a product. */
  private static final double DIGITS_PRODUCTS = 28 * 28 * 8 * 9 + 14 * 14 * 16 * 72 + 784 * 10;

  @TempDir Path folder;

  private final StringWriter err = new StringWriter();
  private final StringWriter out = new StringWriter();

  private int bench(String... options) {
    CommandLine line = Main.commandLine();
    line.setOut(new PrintWriter(out));
    line.setErr(new PrintWriter(err));
    String[] command = new String[options.length + 2];
    command[0] = "bench";
    command[1] = folder.resolve("digits.onnx").toString();
    System.arraycopy(options, 0, command, 2, options.length);
    return line.execute(command);
  }

  /** Multiply-adds of the digits model's convolutions and products are most of what it computes. */
  @ParameterizedTest
  @ValueSource(strings = {"jvm", "native"})
  void aProfileCountsOperationsAndBytes(String backend) throws IOException {
    String[] profile = {
      "--profile", "--rounds", "3", "--warmup", "0.1", "--json", "--winograd", "off"
    };
    String[] all =
        Stream.concat(Stream.of(profile), Stream.of("--backend", backend)).toArray(String[]::new);
    assertEquals(Exit.OK, bench(all), err.toString());
    JsonNode json = new ObjectMapper().readTree(out.toString());
    double peak = json.get("peak").get("flopsPerSecond").asDouble();
    assertTrue(peak > 1e8, "a processor computes more than " + peak);
    double micros = 0;
    double flops = 0;
    for (JsonNode step : json.get("steps")) {
      double seconds = step.get("micros").asDouble() / step.get("runs").asDouble() / 1e6;
      double operations = step.get("flops").asDouble() + step.get("byteOperations").asDouble();
      assertTrue(step.get("exact").asBoolean(), step.toString());
      assertTrue(step.get("bytes").asLong() > 0, step.toString());
      assertEquals(
          step.get("bytes").asDouble() / seconds,
          step.get("bytesPerSecond").asDouble(),
          1e-6 * step.get("bytesPerSecond").asDouble());
      assertEquals(
          operations / seconds,
          step.get("operationsPerSecond").asDouble(),
          1e-6 * operations / seconds);
      assertEquals(
          step.get("flops").asDouble() / peak,
          step.get("ofPeak").asDouble() * seconds,
          1e-6 * seconds);
      micros += step.get("micros").asDouble();
      flops += step.get("flops").asDouble();
    }
    assertEquals(json.get("microsPerRun").asDouble(), micros, 1e-6 * micros);
    assertTrue(flops > 2 * DIGITS_PRODUCTS, flops + " operations");
    assertTrue(flops < 4 * DIGITS_PRODUCTS, flops + " operations");
  }

  @Test
  void theFirstResultAndTheSteadyStateAreTold() throws IOException {
    String[] alone = {"--rounds", "1", "--warmup", "0.1", "--json"};
    assertEquals(Exit.OK, bench(alone), err.toString());
    JsonNode json = new ObjectMapper().readTree(out.toString());
    assertTrue(json.get("loadMs").asDouble() > 0, json.toString());
    assertTrue(json.get("firstMs").asDouble() > 0, json.toString());
    assertTrue(json.get("warmupSeconds").asDouble() >= 0.1, json.toString());
  }

  @Test
  void anArtifactHasNoLoopsToCountIn() {
    Path jar = folder.resolve("digits.jar");
    CommandLine line = Main.commandLine();
    line.setOut(new PrintWriter(out));
    line.setErr(new PrintWriter(err));
    String model = folder.resolve("digits.onnx").toString();
    assertEquals(Exit.OK, line.execute("compile", model, "-o", jar.toString()), err.toString());
    assertEquals(
        Exit.OK,
        line.execute("bench", jar.toString(), "--profile", "--rounds", "1", "--warmup", "0.1"),
        err.toString());
    assertTrue(out.toString().contains("profile the model that it was compiled from"));
  }

  @BeforeEach
  void unpack() throws IOException {
    try (InputStream in = BenchCommandTest.class.getResourceAsStream("demo/digits.onnx")) {
      Files.copy(in, folder.resolve("digits.onnx"));
    }
  }

  @Test
  void aRatioThatNothingReachesExitsWithThree() {
    String[] duel = {"--against", "ort", "--rounds", "1", "--warmup", "0.1", "--min-ratio", "1e9"};
    assertEquals(Exit.TOO_SLOW, bench(duel), err.toString());
  }

  @Test
  void widthsAreThoseOfAJar() {
    assertEquals(Exit.USAGE, bench("--widths"));
    assertTrue(err.toString().contains("error[TSR-0906]"), err.toString());
  }
}
