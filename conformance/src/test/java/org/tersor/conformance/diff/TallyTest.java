package org.tersor.conformance.diff;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.op.OpRegistry;
import org.tersor.runtime.TersorException;

/** Counts of several runs. */
class TallyTest {
  @TempDir Path folder;

  private static Tally run(long seed, int graphs, String known) {
    return Tally.of(
        seed,
        new Differential.Summary(
            graphs,
            3 * graphs,
            Map.of("AGREES", graphs - 1, "VALUES", 1),
            Map.of(),
            Map.of(),
            Map.of("some-rule", 2),
            Map.of("Abs-13", 4),
            known.isEmpty() ? 1 : 0,
            List.of(
                new Differential.Group("VALUES", "jvm", "Abs", "f32", 1, known, seed, "", ""))));
  }

  @Test
  void runsAddUpThroughFiles() {
    Path file = folder.resolve("tally");
    assertEquals(Tally.none(), Tally.read(file));
    run(5, 10, "some-rule").write(file);
    Tally sum = Tally.read(file).plus(run(15, 20, ""));
    assertEquals(30, sum.graphs());
    assertEquals(90, sum.nodes());
    assertEquals(Map.of("AGREES", 28L, "VALUES", 2L), sum.outcomes());
    assertEquals(Map.of("some-rule", 4L), sum.known());
    assertEquals(Map.of("VALUES Abs", 15L), sum.unexplained());
    sum.write(file);
    assertEquals(sum, Tally.read(file));
    String document = VersionsDocument.markdown(OpRegistry.standard(), sum, seed -> "now");
    assertTrue(document.contains("13 (8)"), document);
    assertTrue(document.contains("30 graphs of 90 nodes"), document);
    assertTrue(document.contains("| VALUES Abs | 15 | now |"), document);
  }

  @Test
  void aGraphCountsOnce() throws IOException {
    assertThrows(TersorException.class, () -> run(5, 10, "").plus(run(14, 3, "")));
    Path file = folder.resolve("broken");
    Files.writeString(file, "outcome\tAGREES\tmany\n");
    assertEquals("TSR-0906", assertThrows(TersorException.class, () -> Tally.read(file)).code());
  }
}
