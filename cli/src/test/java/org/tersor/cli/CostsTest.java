package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tersor.passes.quant.CostTable;

/** What measured costs say before a model is quantized. */
class CostsTest {
  private static final CostTable.Layer FASTER = new CostTable.Layer("fast", 4e6, 1e6);
  private static final CostTable.Layer SLOWER = new CostTable.Layer("slow", 1e6, 2e6);
  private static final CostTable.Layer WORST = new CostTable.Layer("worst", 1e6, 9e6);

  @Test
  void nothingIsSaidWhereEveryLayerGains() {
    assertEquals(Optional.empty(), Costs.warning("t", List.of(FASTER)));
    assertEquals(Optional.empty(), Costs.warning("t", List.of()));
  }

  @Test
  void slowerLayersAreNamedWorstFirst() {
    String some = Costs.warning("jvm512", List.of(FASTER, SLOWER)).orElseThrow();
    assertTrue(some.startsWith("int8 will not make every layer faster on jvm512"), some);
    assertTrue(some.contains("1 of 2 become slower, most of all slow (x0.50)"), some);
    assertFalse(some.contains("fast ("), some);
    String all = Costs.warning("jvm512", List.of(FASTER, SLOWER, WORST)).orElseThrow();
    assertTrue(all.startsWith("int8 will be no faster on jvm512"), all);
    assertTrue(all.contains("worst (x0.11), slow (x0.50)"), all);
  }
}
