package org.tersor.conformance;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;

/** Models and data sets beside the repository. */
public final class TestData {
  private TestData() {}

  /** A file or folder of the test data; skips the test where it is absent. */
  public static Path path(String name) {
    Path path = Path.of(System.getProperty("tersor.testdata", "../../shared")).resolve(name);
    Assumptions.assumeTrue(
        Files.exists(path), () -> "test data is not present: " + name + " (set -Dtersor.testdata)");
    return path;
  }
}
