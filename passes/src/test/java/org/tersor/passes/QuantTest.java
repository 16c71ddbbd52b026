package org.tersor.passes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.tersor.passes.quant.CalibrationCache;
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
    Calibrator.Range range = Calibrator.parse("percentile:98").range(histogram, CODES);
    assertEquals(1, range.min(), 0.02);
    assertEquals(99, range.max(), 0.02);
    assertEquals(
        new Calibrator.Range(0, 99.999f), Calibrator.parse("minmax").range(histogram, CODES));
    Histogram both = new Histogram();
    both.add(Tensor.of(new float[] {-4, 1, 2, 3}, 4));
    both.add(Tensor.of(new float[] {-1, 5}, 2));
    Calibrator.Range average = Calibrator.parse("average").range(both, CODES);
    assertEquals(-4 + 0.01 * 3, average.min(), 1e-12);
    assertEquals(3 + 0.01 * 2, average.max(), 1e-12);
  }

  private static final Calibrator.Codes CODES = codes(256);

  /** Codes from the least number to the largest. */
  private static Calibrator.Codes codes(int count) {
    return new Calibrator.Codes() {
      @Override
      public int count() {
        return count;
      }

      @Override
      public boolean symmetric() {
        return false;
      }

      @Override
      public java.util.function.DoubleUnaryOperator over(Calibrator.Range range) {
        double step = (range.max() - range.min()) / (count - 1);
        return x ->
            Math.clamp(Math.rint((x - range.min()) / step), 0.0, count - 1.0) * step + range.min();
      }
    };
  }

  /** A tail of few large numbers is clipped, as far as the cap allows. */
  @Test
  void searchedRangesClipTails() {
    Random random = new Random(8);
    Histogram histogram = new Histogram();
    float[] values = new float[200_000];
    for (int i = 0; i < values.length; i++) {
      double x = random.nextGaussian();
      // Half of all is one number, as after a ReLU.
      values[i] = i % 2 == 0 ? 0 : (float) (Math.abs(x) + (i % 50_001 == 0 ? 60 : 0));
    }
    histogram.add(Tensor.of(values, values.length));
    Calibrator.Codes few = codes(16);
    for (String calibrator : List.of("mse", "entropy", "entropy:0.01")) {
      Calibrator.Range range = Calibrator.parse(calibrator).range(histogram, few);
      assertTrue(range.max() > 2.5 && range.max() < 50, calibrator + " " + range);
    }
    double free = Calibrator.parse("entropy:100").range(histogram, CODES).max();
    double capped = Calibrator.parse("entropy").range(histogram, CODES).max();
    assertTrue(free <= capped, "the cap keeps the threshold from falling");
    double searched =
        histogram.squaredError(few.over(Calibrator.parse("mse").range(histogram, few)));
    double whole =
        histogram.squaredError(few.over(Calibrator.parse("minmax").range(histogram, few)));
    assertTrue(searched < whole, searched + " against " + whole);
  }

  @Test
  void calibrationJoinsFromFiles() {
    Random random = new Random(5);
    List<Tensor> batches = List.of(batch(random, 0.01), batch(random, 30), batch(random, 2));
    Histogram whole = new Histogram();
    batches.forEach(whole::add);
    CalibrationCache first =
        new CalibrationCache("m", new TreeSet<>(Set.of("a", "b")), new TreeMap<>());
    Histogram one = new Histogram();
    one.add(batches.get(0));
    one.add(batches.get(1));
    first.values().put("v \"x\"", one);
    CalibrationCache second =
        new CalibrationCache("m", new TreeSet<>(Set.of("c")), new TreeMap<>());
    Histogram two = new Histogram();
    two.add(batches.get(2));
    second.values().put("v \"x\"", two);
    CalibrationCache read = CalibrationCache.parse(first.text());
    assertEquals(first.text(), read.text());
    assertThrows(TersorException.class, () -> read.join(CalibrationCache.parse(first.text())));
    CalibrationCache joined = CalibrationCache.parse(first.text());
    joined.join(CalibrationCache.parse(second.text()));
    assertEquals(whole, joined.values().get("v \"x\""));
    assertEquals(Set.of("a", "b", "c"), joined.samples());
    for (String bad : List.of("", "value \"x\" 1 2", "value \"x", "sampel a")) {
      String text = bad.isEmpty() ? "" : "tersor calibration 1\n" + bad;
      assertEquals(
          "TSR-0421",
          assertThrows(TersorException.class, () -> CalibrationCache.parse(text), bad).code());
    }
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
