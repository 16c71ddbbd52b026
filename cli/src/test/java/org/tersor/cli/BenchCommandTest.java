package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Options of {@code bench} and their exit codes; no times. */
class BenchCommandTest {
  @TempDir Path folder;

  private final StringWriter err = new StringWriter();

  private int bench(String... options) {
    CommandLine line = Main.commandLine();
    line.setOut(new PrintWriter(new StringWriter()));
    line.setErr(new PrintWriter(err));
    String[] command = new String[options.length + 2];
    command[0] = "bench";
    command[1] = folder.resolve("digits.onnx").toString();
    System.arraycopy(options, 0, command, 2, options.length);
    return line.execute(command);
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
