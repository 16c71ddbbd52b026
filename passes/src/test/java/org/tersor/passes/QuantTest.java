package org.tersor.passes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.Histogram;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class QuantTest {
  private static Tensor batch(Random random, double spread) {
    float[] values = new float[500];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * spread);
    }
    return Tensor.of(values, values.length);
  }

  @Test
  void histogramsDoNotDependOnOrderOrDivision() {
    Random random = new Random(5);
    List<Tensor> batches = new ArrayList<>();
    for (double spread : new double[] {0.001, 3, 1e-20, 250, 0}) {
      batches.add(batch(random, spread));
    }
    Histogram forward = new Histogram();
    batches.forEach(forward::add);
    Histogram backward = new Histogram();
    batches.reversed().forEach(backward::add);
    assertEquals(forward, backward);
    Histogram left = new Histogram();
    left.add(batches.get(0));
    left.add(batches.get(3));
    Histogram right = new Histogram();
    right.add(batches.get(4));
    right.add(batches.get(1));
    right.add(batches.get(2));
    right.merge(left);
    assertEquals(forward, right);
    assertEquals(2500, forward.total());
  }

  @Test
  void quantilesAreThoseOfTheNumbers() {
    float[] values = new float[100_000];
    for (int i = 0; i < values.length; i++) {
      values[i] = i / 1000f;
    }
    Histogram histogram = new Histogram();
    histogram.add(Tensor.of(values, values.length));
    histogram.add(Tensor.of(new float[] {Float.NaN, Float.POSITIVE_INFINITY}, 2));
    assertEquals(2, histogram.notFinite());
    assertEquals(99.99, histogram.quantile(0.9999), 0.02);
    assertEquals(50, histogram.quantile(0.5), 0.02);
    Calibrator.Range range = Calibrator.parse("percentile:98").range(histogram);
    assertEquals(1, range.min(), 0.02);
    assertEquals(99, range.max(), 0.02);
    assertEquals(new Calibrator.Range(0, 99.999f), Calibrator.parse("minmax").range(histogram));
  }

  @Test
  void numbersOfOneSignFarFromZeroHaveBins() {
    for (float sign : new float[] {1, -1}) {
      Histogram histogram = new Histogram();
      histogram.add(Tensor.of(new float[] {sign * 5}, 1));
      assertEquals(sign * 5, histogram.quantile(0.5), 1e-6);
      histogram.add(Tensor.of(new float[] {sign * 6, sign * 7, sign * 3e30f}, 3));
      histogram.add(Tensor.of(new float[] {sign * 8}, 1));
      assertEquals(5, histogram.total());
      assertEquals(sign * 3e30f, sign > 0 ? histogram.max() : histogram.min());
    }
  }

  @Test
  void plansAreTextThatReadsBack() {
    QuantPlan plan =
        new QuantPlan(
            Map.of("calibrator", "minmax", "calibration.samples", "100"),
            Map.of(
                "a \"quoted\" \\ name\n",
                new QuantPlan.Activation("grid", Map.of("scale", 0.1, "zero", 3.0)),
                "b",
                new QuantPlan.Activation("grid", Map.of("scale", (double) 1e-7f, "zero", -255.0))),
            Map.of("conv1", "four_bits", "fc", "q8"));
    assertEquals(plan, QuantPlan.parse(plan.text()));
    assertEquals(plan.text(), QuantPlan.parse(plan.text()).text());
    assertEquals(plan.hash(), QuantPlan.parse(plan.text()).hash());
    assertTrue(plan.text().lines().anyMatch("weight \"conv1\" four_bits"::equals), plan.text());
    assertTrue(
        plan.text().lines().anyMatch(l -> l.startsWith("activation \"b\" grid ")), plan.text());
    for (String bad :
        new String[] {
          "",
          "weight",
          "weight \"x",
          "weight \"x\" four_bits axis 0",
          "weight \"x\" a\nweight \"x\" b",
          "weights \"x\" a",
          "activation \"x\" grid scale",
          "activation \"x\" grid scale NaN",
          "activation \"x\" grid scale 1 scale 2",
          "activation \"x\" grid scale one",
          "weight \"x\\u12\" a"
        }) {
      String text = bad.isEmpty() ? "" : "tersor quantization plan 2\n" + bad;
      assertEquals(
          "TSR-0411", assertThrows(TersorException.class, () -> QuantPlan.parse(text), bad).code());
    }
  }
}
