package org.tersor.onnx;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** Files outside the repository; tests that need them are skipped where they are not there. */
final class TestData {
  private TestData() {}

  static Path root() {
    return Path.of(System.getProperty("tersor.testdata", "../../shared"));
  }

  /** All .onnx files below a folder of the test data, sorted. */
  static List<Path> models(String folder) throws IOException {
    Path start = root().resolve(folder);
    Assumptions.assumeTrue(Files.isDirectory(start), () -> "no test data at " + start);
    try (Stream<Path> files = Files.walk(start)) {
      return files
          .filter(f ->
              f.toString().endsWith(".onnx")
                  && !f.getFileName().toString().matches("(LICENSE|NOTICE).*"))
          .sorted()
          .toList();
    }
  }
}
