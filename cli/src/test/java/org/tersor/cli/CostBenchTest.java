package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.tersor.conformance.CostBench;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.CostTable;
import org.tersor.passes.quant.LayerWork;

/** What is measured of a layer is what the table then says of it. */
class CostBenchTest {
  @Test
  void aMeasuredLayerIsPredictedAsItWasMeasured() {
    List<String> layers = List.of("matmul-1x64x64", "conv-3x8x8-4x3x3-p1");
    List<String> steps = new ArrayList<>();
    CostTable table =
        CostBench.measure(
            Compiler.standard(),
            "jvm",
            "jvm256",
            CompileOptions.defaults(),
            layers,
            () -> steps.add("one"));
    assertEquals(layers.size(), steps.size());
    assertEquals(layers, table.rows().stream().map(CostTable.Row::name).toList());
    assertEquals(CostBench.processor(), table.processor());
    // 64 times 64 products of a vector and a matrix; 4 filters of 27 taps at 64 positions.
    List<Double> products =
        table.rows().stream().map(CostTable.Row::work).map(LayerWork::products).toList();
    assertEquals(List.of(4096.0, 6912.0), products);
    assertEquals(table.text(), CostTable.parse(table.text()).text());
    for (CostTable.Row row : table.rows()) {
      assertTrue(row.floatNanos() > 0 && row.integerNanos() > 0, row::toString);
      CostTable.Layer told = table.predict("layer", row.work());
      // The nearest other row has a weight of a thousandth of its distance.
      assertEquals(1, told.floatNanos() / row.floatNanos(), .02);
      assertEquals(1, told.integerNanos() / row.integerNanos(), .02);
    }
  }
}
