package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.tersor.conformance.Comparison.Rule;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

class ComparisonTest {
  private static Comparison compare(Rule rule, float[] actual, float... expected) {
    return Comparison.of(
        "y", Tensor.of(actual, actual.length), Tensor.of(expected, expected.length), rule);
  }

  @Test
  void theSuitesTolerance() {
    assertTrue(compare(Comparison.SUITE, new float[] {1.0009f, .9e-7f}, 1, 0).passed());
    assertFalse(compare(Comparison.SUITE, new float[] {1.0011f}, 1).passed());
    assertFalse(compare(Comparison.SUITE, new float[] {2e-7f}, 0).passed());
  }

  @Test
  void theWorstIsOneThatIsOutside() {
    // 15 is off by more, but within a thousandth of it.
    String note = compare(Comparison.SUITE, new float[] {15.01f, 3e-7f, 2e-7f}, 15, 0, 0).note();
    assertTrue(note.startsWith("2 of 3 values"), note);
    assertTrue(note.contains("element 1,"), note);
  }

  @Test
  void specialValues() {
    float nan = Float.NaN;
    float inf = Float.POSITIVE_INFINITY;
    assertTrue(compare(Comparison.SUITE, new float[] {nan, inf, -inf}, nan, inf, -inf).passed());
    assertFalse(compare(Comparison.SUITE, new float[] {inf}, -inf).passed());
    assertFalse(compare(Comparison.SUITE, new float[] {1}, inf).passed());
    assertFalse(compare(Comparison.SUITE, new float[] {1}, nan).passed());
    assertFalse(compare(Comparison.SUITE, new float[] {nan}, 1).passed());
    assertEquals(
        Double.POSITIVE_INFINITY, compare(Comparison.SUITE, new float[] {nan}, 1).maxAbs());
  }

  @Test
  void typesAndShapesCount() {
    Tensor floats = Tensor.of(new float[] {1, 2}, 2);
    assertFalse(Comparison.of("y", floats.reshaped(1, 2), floats, Comparison.SUITE).passed());
    assertFalse(
        Comparison.of("y", Tensor.of(new double[] {1, 2}, 2), floats, Comparison.SUITE).passed());
  }

  @Test
  void quantizationSteps() {
    Tensor a = new Tensor(DType.U8, new long[] {3}, new byte[] {(byte) 255, 7, 9});
    Tensor b = new Tensor(DType.U8, new long[] {3}, new byte[] {(byte) 254, 7, 9});
    Comparison one = Comparison.of("y", a, b, new Rule.Steps(1, 1));
    assertTrue(one.passed());
    assertEquals(1, one.differing());
    assertTrue(one.note().startsWith("1 of 3 values differ"), one.note());
    assertFalse(Comparison.of("y", a, b, new Rule.Exact()).passed());
    assertFalse(compare(new Rule.Steps(.5, 1), new float[] {1.1f}, .5f).passed());
  }

  @Test
  void halfPrecisionIsMeasuredAgainstFloat() {
    float[] exact = {5, 4, 3, 2, 1, 0};
    float[] theirs = {5.01f, 4, 3, 2, 1, 0};
    Rule half = new Rule.Half(Tensor.of(exact, 6));
    assertTrue(compare(half, new float[] {5, 4.015f, 3, 2, 1, 0}, theirs).passed());
    assertFalse(
        compare(half, new float[] {5, 4.03f, 3, 2, 1, 0}, theirs).passed(),
        "three times their error");
    assertFalse(compare(half, new float[] {4, 5, 3, 2, 1, 0}, theirs).passed(), "another order");
  }
}
