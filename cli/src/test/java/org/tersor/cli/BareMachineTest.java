package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A machine without cc, nvcc and GPU: the JVM backend works, the others say what they lack. */
class BareMachineTest {
  @TempDir static Path folder;

  private record Outcome(int exit, String text) {}

  @BeforeAll
  static void unpack() throws IOException {
    try (var in = BareMachineTest.class.getResourceAsStream("demo/digits.onnx")) {
      Files.copy(in, folder.resolve("digits.onnx"));
    }
  }

  /** Runs a command with nothing on the path. */
  private static Outcome tersor(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "--add-modules",
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-Dtersor.cuda.library=/nowhere/libcuda.so.1",
            "-cp",
            System.getProperty("java.class.path"),
            "org.tersor.cli.Main"));
    command.addAll(List.of(arguments));
    Path log = Files.createTempFile(folder, "log", ".txt");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
    builder.environment().put("PATH", folder.toString());
    builder.environment().remove("CC");
    builder.environment().put("CUDA_HOME", "/nowhere");
    Process process = builder.start();
    assertTrue(process.waitFor(5, TimeUnit.MINUTES), "still running");
    return new Outcome(process.exitValue(), Files.readString(log, StandardCharsets.UTF_8));
  }

  private static Outcome run(String backend) throws IOException, InterruptedException {
    String model = folder.resolve("digits.onnx").toString();
    return tersor("run", model, "--backend", backend, "--dim", "N=1");
  }

  @Test
  void theJvmBackendNeedsNoTools() throws IOException, InterruptedException {
    Outcome outcome = run("jvm");
    assertEquals(0, outcome.exit, outcome.text);
  }

  @Test
  void othersSayWhatTheyLack() throws IOException, InterruptedException {
    for (String backend : List.of("native", "cuda-emulated")) {
      Outcome outcome = run(backend);
      assertEquals(Exit.ENVIRONMENT, outcome.exit, outcome.text);
      assertTrue(outcome.text.contains("error[TSR-0601]"), outcome.text);
      assertTrue(outcome.text.contains("'cc' is not on the path; install gcc"), outcome.text);
    }
    Outcome cuda = run("cuda");
    assertEquals(Exit.ENVIRONMENT, cuda.exit, cuda.text);
    assertTrue(cuda.text.contains("error[TSR-0601]"), cuda.text);
    // A toolkit in its default folder is found without a path.
    boolean toolkit = Files.isExecutable(Path.of("/usr/local/cuda/bin/nvcc"));
    String lacks = toolkit ? "no CUDA driver" : "nvcc is not on the path";
    assertTrue(cuda.text.contains(lacks), cuda.text);
    assertTrue(cuda.text.contains("cuda-emulated"), cuda.text);
    assertFalse(cuda.text.contains("at org.tersor"), cuda.text);
  }
}
