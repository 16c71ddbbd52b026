package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.tersor.conformance.ConformanceDocument;
import org.tersor.conformance.OperatorsDocument;
import org.tersor.passes.Registry;

/** Documents that are made from the code say what the code says. */
class DocumentsTest {
  private static final Path DOCS = Path.of("..", "docs");

  @Test
  void operators() throws IOException {
    String wanted = OperatorsDocument.of(Registry.builtIn().operators().all());
    Path file = DOCS.resolve("operators.md");
    if (Boolean.getBoolean("golden.update")) {
      Files.writeString(file, wanted);
    }
    assertEquals(
        wanted, Files.readString(file), "stale; dev/test cli DocumentsTest -Dgolden.update=true");
  }

  @Test
  void reasonsArePatterns() throws IOException {
    ConformanceDocument document =
        new ConformanceDocument(Files.readString(DOCS.resolve("conformance-reasons.txt")));
    assertEquals("", document.reason("node/test_abs"));
    assertEquals(
        document.reason("node/test_bernoulli"), document.reason("node/test_bernoulli_seed"));
  }
}
