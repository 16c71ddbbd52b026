package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.tersor.cli.Outcome.tersor;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.Program;
import org.tersor.passes.Compiler;

/** Factors rounded to bfloat16: only where a user asks for it, and told. */
class RoundedProductsTest {
  private static final String TARGET = "avx512bf16";

  @TempDir static Path folder;

  private static Path model() {
    return folder.resolve("m.onnx");
  }

  private static Backend.OfProgram backend() {
    return (Backend.OfProgram) Compiler.standard().registry().backend("native");
  }

  @BeforeAll
  static void make() {
    assertEquals(0, tersor("zoo", "matmul-31x96x70", "-o", model()).exit());
  }

  @Test
  void isNeverChosenByItself() {
    assertFalse(backend().artifactTargets().stream().anyMatch(t -> t.name().equals(TARGET)));
    assertFalse(backend().targets().getFirst().name().equals(TARGET));
  }

  @Test
  void verifyJudgesByItsRuleAndTellsTheError() throws IOException {
    assumeTrue(backend().unavailable().isEmpty(), () -> backend().unavailable().orElse(""));
    assumeTrue(
        backend().targets().stream().anyMatch(t -> t.name().equals(TARGET)),
        "this processor has no " + TARGET);
    Outcome plain = tersor("verify", model(), "--backend", "native", "--json");
    Outcome rounded =
        tersor("verify", model(), "--backend", "native", "--target", TARGET, "--json");
    assertEquals(0, plain.exit(), plain.err());
    assertEquals(0, rounded.exit(), rounded.err());
    double exact = plain.json().path("maxAbs").asDouble();
    double error = rounded.json().path("maxAbs").asDouble();
    assertTrue(error > 100 * exact && error > 1e-3, error + " and " + exact);
    Path library = folder.resolve("m.so");
    assertEquals(0, tersor("compile", model(), "-o", library, "--target", TARGET).exit());
    Outcome told = tersor("verify", library, "--reference", model(), "--json");
    assertEquals(0, told.exit(), told.err());
    assertEquals(error, told.json().path("maxAbs").asDouble());
    String description = new SoArtifact(library).describe();
    assertTrue(
        description.contains("\"" + Program.ROUNDED + "\":\"1 products of float32\""), description);
  }
}
