package org.tersor.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.tersor.runtime.CompiledModel;
import org.tersor.runtime.Tensor;

/** What tests ask of compiled jars. */
final class JarKit {
  private JarKit() {}

  /** The constants that a jar holds. */
  static List<Tensor> constants(Path file) throws IOException {
    try (JarFile jar = new JarFile(file.toFile())) {
      List<JarEntry> entries = jar.stream().toList();
      try (InputStream model = jar.getInputStream(entry(entries, "model.txt"));
          InputStream weights = jar.getInputStream(entry(entries, "weights.bin"))) {
        return CompiledModel.constants(model, weights);
      }
    }
  }

  private static JarEntry entry(List<JarEntry> entries, String name) {
    return entries.stream().filter(e -> e.getName().endsWith(name)).findFirst().orElseThrow();
  }

  /** What {@code java -jar FILE run} says, with {@code x} from a file and results in a folder. */
  static String run(Path jar, Path x, Path output) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-jar",
                jar.toString(),
                "run",
                "--input",
                "x=" + x,
                "--output",
                output.toString())
            .redirectErrorStream(true)
            .start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertEquals(0, process.waitFor(), said);
    return said;
  }
}
