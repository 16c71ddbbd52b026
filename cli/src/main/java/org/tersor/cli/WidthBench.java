package org.tersor.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.runtime.JarMain;
import org.tersor.runtime.TersorException;

/**
 * {@code bench X.jar --widths}: one JVM per vector width and one, before and after them, without
 * the vector module, where the jar runs its plain loops.
 */
final class WidthBench {
  /** Begins the line of a description that says which code a jar chose. */
  static final String VARIANT = "variant: ";

  private static final List<String> PLAIN = List.of();

  private WidthBench() {}

  /** One measurement; {@code ratio} is the plain loops' time by this one's. */
  private record Row(String jvm, String variant, double ms) {}

  /** Measures, prints, and returns the exit code. */
  static int run(ModelOptions options, int rounds, double warmup, double minRatio)
      throws IOException {
    if (!options.isArtifact() || !options.model.toString().endsWith(".jar")) {
      throw new TersorException(
          "TSR-0906", "--widths measures a compiled .jar; make it with `tersor compile`");
    }
    Row before = measure(options, "plain", PLAIN, rounds, warmup);
    List<Row> rows = new ArrayList<>();
    for (String avx : List.of("3", "2", "1")) {
      rows.add(
          measure(
              options,
              "UseAVX=" + avx,
              List.of(
                  "-XX:+IgnoreUnrecognizedVMOptions",
                  "-XX:UseAVX=" + avx,
                  "--add-modules",
                  "jdk.incubator.vector"),
              rounds,
              warmup));
    }
    Row after = measure(options, "plain", PLAIN, rounds, warmup);
    double plain = Math.min(before.ms(), after.ms());
    List<Map<String, Object>> json = new ArrayList<>();
    boolean slow = false;
    options.common.say(
        "plain loops: %s (again: %s)", Common.millis(before.ms()), Common.millis(after.ms()));
    for (Row row : rows) {
      double ratio = plain / row.ms();
      slow |= !(ratio >= minRatio);
      options.common.say(
          "%s, %s: %s, %.2f times as fast as the plain loops%s",
          row.jvm(),
          row.variant(),
          Common.millis(row.ms()),
          ratio,
          ratio >= minRatio ? "" : " TOO SLOW");
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("jvm", row.jvm());
      entry.put("variant", row.variant());
      entry.put("ms", row.ms());
      entry.put("ratio", ratio);
      json.add(entry);
    }
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("plainMs", plain);
    all.put("minRatio", minRatio);
    all.put("passed", !slow);
    all.put("widths", json);
    options.common.sayJson(all);
    return slow ? Exit.TOO_SLOW : Exit.OK;
  }

  private static Row measure(
      ModelOptions options, String name, List<String> jvm, int rounds, double warmup)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(JarMain.HOTSPOT);
    command.addAll(jvm);
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("java.class.path"),
            Main.class.getName(),
            "bench",
            options.model.toString(),
            "--json",
            "--rounds",
            Integer.toString(rounds),
            "--warmup",
            Double.toString(warmup),
            "--threads",
            Integer.toString(options.threads),
            "--seed",
            Long.toString(options.seed)));
    options.dims.forEach((dim, value) -> command.addAll(List.of("--dim", dim + "=" + value)));
    options.inputs.forEach((input, file) -> command.addAll(List.of("--input", input + "=" + file)));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String out = new String(process.getInputStream().readAllBytes(), UTF_8);
    try {
      int exit = process.waitFor();
      if (exit != 0) {
        throw new TersorException(
            "TSR-0708", "the JVM for " + name + " ended with exit status " + exit);
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
      throw new TersorException("TSR-0708", "interrupted while measuring " + name, e);
    }
    JsonNode result = new ObjectMapper().readTree(out);
    return new Row(
        name, result.path("variant").asText("?"), result.path("tersorMs").asDouble(Double.NaN));
  }
}
