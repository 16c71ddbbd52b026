package org.tersor.passes.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class CostTableTest {
  private static final LayerWork VECTOR = new LayerWork(4096, 64, .97);
  private static final LayerWork SQUARE = new LayerWork(1 << 20, 128, 40);
  private static final CostTable TABLE =
      new CostTable(
          "target",
          "a processor",
          List.of(
              new CostTable.Row("vector", VECTOR, 1000, 900),
              new CostTable.Row("square", SQUARE, 20_000, 6_000)));

  @Test
  void whatWasMeasuredIsPredicted() {
    CostTable.Layer layer = TABLE.predict("x", SQUARE);
    assertEquals(20_000, layer.floatNanos(), 200);
    assertEquals(6_000, layer.integerNanos(), 100);
  }

  @Test
  void timesGrowWithTheWorkAndRatiosLieBetween() {
    CostTable.Layer twice = TABLE.predict("x", new LayerWork(2 << 20, 128, 40));
    assertTrue(twice.floatNanos() > 30_000 && twice.floatNanos() < 60_000, twice.toString());
    CostTable.Layer between = TABLE.predict("x", new LayerWork(65_536, 90, 6));
    assertTrue(
        between.speedup() > 1000.0 / 900 && between.speedup() < 20.0 / 6, between.toString());
  }

  @Test
  void textRoundTrips() {
    assertEquals(TABLE, CostTable.parse(TABLE.text()));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "x",
        "tersor-costs-1",
        "tersor-costs-1\na\t1\t1\t1\t1",
        "tersor-costs-1\na\t1\t1\t1\t0\t1",
        "tersor-costs-1\na\t1\t1\t1\tNaN\t1",
        "tersor-costs-1\na\tmuch\t1\t1\t1\t1"
      })
  void brokenTablesAreRefused(String text) {
    TersorException e = assertThrows(TersorException.class, () -> CostTable.parse(text));
    assertEquals("TSR-0425", e.code());
  }

  @Test
  void samplesAreKnownByTheirElementsHoweverTheyAreBatched() {
    SampleSet alone = new SampleSet();
    alone.add(Map.of("x", Tensor.of(new float[] {1, 2}, 1, 2)));
    alone.add(Map.of("x", Tensor.of(new float[] {3, 4}, 1, 2)));
    SampleSet batch = new SampleSet();
    batch.add(Map.of("x", Tensor.of(new float[] {3, 4, 1, 2}, 2, 2)), 2);
    assertEquals(alone.sha256(), batch.sha256());
    assertEquals(2, batch.sharedWith(alone.header()));
    SampleSet other = new SampleSet();
    other.add(Map.of("x", Tensor.of(new float[] {1, 2.5f}, 1, 2)));
    assertEquals(0, other.sharedWith(alone.header()));
    assertEquals(0, other.sharedWith(Map.of()));
  }
}
