package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** {@code eval --task vad} of a compiled model that gets its state in place. */
class VoiceActivityTest {
  private static final Path DATA = Path.of(System.getProperty("tersor.testdata", "../../shared"));

  @TempDir Path folder;

  private static JsonNode run(List<?> first, List<?> more) throws IOException {
    List<String> arguments =
        Stream.concat(first.stream(), more.stream()).map(Object::toString).toList();
    CommandLine line = Main.commandLine();
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    line.setOut(new PrintWriter(out));
    line.setErr(new PrintWriter(err));
    assertEquals(0, line.execute(arguments.toArray(String[]::new)), err::toString);
    return new ObjectMapper().readTree(out.toString());
  }

  @Test
  void aCompiledModelTellsSpeech() throws Exception {
    Path model = DATA.resolve("models/silero-vad/silero_vad.onnx");
    Path recordings = DATA.resolve("data/tenvad/testset");
    assumeTrue(Files.exists(model), "test data is not present: models/silero-vad");
    assumeTrue(Files.exists(recordings), "test data is not present: data/tenvad");
    Path jar = folder.resolve("vad.jar");
    JsonNode compiled =
        run(
            List.of("compile", model, "-o", jar, "--json", "--state", "stateN=state"),
            List.of("--dim", "d0=1", "--dim", "d1=576", "--dim", "d2=1"));
    assertTrue(compiled.path("bytes").asLong() > 100_000, compiled::toString);
    JsonNode json =
        run(
            List.of("eval", jar, "--task", "vad", "--data", recordings),
            List.of("--limit", "2", "--json"));
    assertTrue(json.path("n").asInt() > 200, json::toString);
    // A guess has 0.5.
    assertTrue(json.path("value").asDouble() > 0.9, json::toString);
  }
}
