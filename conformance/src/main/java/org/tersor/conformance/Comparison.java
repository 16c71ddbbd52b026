package org.tersor.conformance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiFunction;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/**
 * How two tensors differ, and whether a {@link Rule} lets it pass. Two NaN are equal, and so are
 * equal infinities.
 *
 * @param maxAbs largest absolute difference; infinite if one value is NaN or infinite and the other
 *     is not
 * @param maxRel largest difference relative to the expected value, of elements of at least a
 *     thousandth of the largest one
 * @param cosine of the angle between the two; 1 if both are zero
 * @param differing number of elements that are not equal
 * @param note why it does not pass, or what is worth knowing; may be empty
 */
public record Comparison(
    String name,
    DType dtype,
    long[] shape,
    double maxAbs,
    double maxRel,
    double cosine,
    long differing,
    boolean passed,
    String note) {

  /** What may differ. */
  public sealed interface Rule {
    /** |actual - expected| at most atol + rtol |expected|. */
    record Close(double rtol, double atol) implements Rule {}

    /** Equal. */
    record Exact() implements Rule {}

    /** At most so many quantization steps of that size apart. */
    record Steps(double step, double max) implements Rule {}

    /**
     * Half precision: the same five largest values, cosine at least 0.9999, and an error against a
     * float32 run of the same model at most twice that of the expected values.
     */
    record Half(Tensor float32) implements Rule {}
  }

  /** float32 models: rtol 1e-3, atol 1e-5. */
  public static final Rule.Close FLOAT32 = new Rule.Close(1e-3, 1e-5);

  /** What the ONNX backend suite allows. */
  public static final Rule SUITE = new Rule.Close(1e-3, 1e-7);

  /** Compares values of any kind: one comparison for each of their leaves. */
  public static List<Comparison> all(
      String name, Datum actual, Datum expected, BiFunction<String, Tensor, Rule> rules) {
    Map<String, Tensor> ours = Leaves.of(name, actual);
    Map<String, Tensor> theirs = Leaves.of(name, expected);
    if (!ours.keySet().equals(theirs.keySet())) {
      return List.of(wrong(name, DType.BOOL, new long[0], 1, actual, expected));
    }
    List<Comparison> comparisons = new ArrayList<>();
    theirs.forEach((leaf, tensor) -> {
      Tensor own = Objects.requireNonNull(ours.get(leaf));
      comparisons.add(of(leaf, own, tensor, rules.apply(leaf, tensor)));
    });
    return comparisons;
  }

  private static Comparison wrong(
      String name, DType dtype, long[] shape, long differing, Datum actual, Datum expected) {
    return new Comparison(
        name,
        dtype,
        shape,
        Double.POSITIVE_INFINITY,
        Double.POSITIVE_INFINITY,
        0,
        differing,
        false,
        "is " + actual + " but should be " + expected);
  }

  /** Compares; a wrong type or shape never passes. */
  public static Comparison of(String name, Tensor actual, Tensor expected, Rule rule) {
    if (actual.dtype() != expected.dtype() || !Arrays.equals(actual.shape(), expected.shape())) {
      return wrong(name, expected.dtype(), expected.shape(), expected.size(), actual, expected);
    }
    if (expected.dtype() == DType.STRING) {
      long differing = 0;
      for (int i = 0; i < expected.size(); i++) {
        differing += actual.strings()[i].equals(expected.strings()[i]) ? 0 : 1;
      }
      return new Comparison(
          name,
          expected.dtype(),
          expected.shape(),
          differing > 0 ? 1 : 0,
          differing > 0 ? 1 : 0,
          differing > 0 ? 0 : 1,
          differing,
          differing == 0,
          differing > 0 ? differing + " texts differ" : "");
    }
    return numbers(name, actual, expected, rule);
  }

  /** Largest absolute value of those that are finite. */
  static double largest(Tensor numbers) {
    return Arrays.stream(values(numbers)).filter(Double::isFinite).map(Math::abs).max().orElse(0);
  }

  private static Comparison numbers(String name, Tensor actual, Tensor expected, Rule rule) {
    double[] a = values(actual);
    double[] e = values(expected);
    double largest = largest(expected);
    double maxAbs = 0;
    double maxRel = 0;
    double dot = 0;
    double aa = 0;
    double ee = 0;
    long differing = 0;
    long outside = 0;
    int worst = -1;
    double mostBeyond = 0;
    for (int i = 0; i < e.length; i++) {
      if (a[i] == e[i] || (Double.isNaN(a[i]) && Double.isNaN(e[i]))) {
        if (Double.isFinite(e[i])) {
          dot += a[i] * e[i];
          aa += a[i] * a[i];
          ee += e[i] * e[i];
        }
        continue;
      }
      differing++;
      double difference = Math.abs(a[i] - e[i]);
      difference = Double.isNaN(difference) ? Double.POSITIVE_INFINITY : difference;
      if (Math.abs(e[i]) >= 1e-3 * largest && e[i] != 0) {
        maxRel = Math.max(maxRel, difference / Math.abs(e[i]));
      }
      maxAbs = Math.max(maxAbs, difference);
      dot += a[i] * e[i];
      aa += a[i] * a[i];
      ee += e[i] * e[i];
      double beyond = beyond(rule, difference, e[i]);
      outside += beyond > 0 ? 1 : 0;
      if (beyond > mostBeyond) {
        mostBeyond = beyond;
        worst = i;
      }
    }
    double cosine =
        aa == 0 && ee == 0
            ? 1
            : aa == 0 || ee == 0 ? 0 : Math.min(1, dot / Math.sqrt(aa) / Math.sqrt(ee));
    cosine = Double.isNaN(cosine) ? 0 : cosine;
    String note = outside == 0 ? "" : describe(outside, a, e, worst);
    if (rule instanceof Rule.Steps steps && differing > 0) {
      note =
          String.format(
              Locale.ROOT,
              "%d of %d values differ, by at most %.3g quantization steps",
              differing,
              e.length,
              maxAbs / steps.step());
    }
    if (rule instanceof Rule.Half half) {
      note = half(a, e, values(half.float32()), cosine);
    }
    boolean passed = rule instanceof Rule.Half ? note.isEmpty() : outside == 0;
    return new Comparison(
        name, expected.dtype(), expected.shape(), maxAbs, maxRel, cosine, differing, passed, note);
  }

  /** How far a difference is outside of what the rule allows; 0 or less if it is inside. */
  private static double beyond(Rule rule, double difference, double expected) {
    if (!Double.isFinite(difference) && !(rule instanceof Rule.Half)) {
      return Double.POSITIVE_INFINITY; // an infinite bound must not let an infinity pass
    }
    return switch (rule) {
      case Rule.Close close -> difference - (close.atol() + close.rtol() * Math.abs(expected));
      case Rule.Exact _ -> difference;
      case Rule.Steps steps -> difference - steps.max() * steps.step() * (1 + 1e-4);
      case Rule.Half _ -> 0; // judged as a whole
    };
  }

  private static String describe(long outside, double[] a, double[] e, int worst) {
    return String.format(
        Locale.ROOT,
        "%d of %d values are outside the tolerance; the worst, element %d, is %s but should be %s",
        outside,
        e.length,
        worst,
        a[worst],
        e[worst]);
  }

  /** What speaks against the half precision rule; empty if nothing does. */
  private static String half(double[] actual, double[] expected, double[] float32, double cosine) {
    List<String> faults = new ArrayList<>();
    if (cosine < .9999) {
      faults.add("cosine " + cosine + " is below 0.9999");
    }
    if (expected.length >= 5 && !sameTop(actual, expected, 5)) {
      faults.add("the five largest values are others");
    }
    double ours = error(actual, float32);
    double theirs = error(expected, float32);
    if (!(ours <= 2 * theirs)) {
      faults.add(
          String.format(
              Locale.ROOT,
              "error against float32 is %.3g, more than twice the reference's %.3g",
              ours,
              theirs));
    }
    return String.join("; ", faults);
  }

  private static double error(double[] values, double[] truth) {
    double sum = 0;
    for (int i = 0; i < values.length; i++) {
      sum += (values[i] - truth[i]) * (values[i] - truth[i]);
    }
    return Math.sqrt(sum / Math.max(1, values.length));
  }

  /**
   * Whether the k largest are the same elements in the same order; elements that the expected
   * values tie may swap.
   */
  static boolean sameTop(double[] actual, double[] expected, int k) {
    int[] a = top(actual, k);
    int[] e = top(expected, k);
    for (int i = 0; i < a.length; i++) {
      if (a[i] != e[i] && expected[a[i]] != expected[e[i]]) {
        return false;
      }
    }
    return true;
  }

  /** Indices of the k largest values, largest first, the lower index first among equals. */
  public static int[] top(double[] values, int k) {
    return java.util.stream.IntStream.range(0, values.length)
        .boxed()
        .sorted(Comparator.comparingDouble((Integer i) -> -values[i]).thenComparing(i -> i))
        .limit(k)
        .mapToInt(i -> i)
        .toArray();
  }

  /** All elements as doubles; a complex number as two. */
  public static double[] values(Tensor tensor) {
    double[] values = new double[Math.multiplyExact(tensor.size(), tensor.dtype().slots())];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          switch (tensor.dtype()) {
            case C64 -> tensor.floats()[i];
            case C128 -> tensor.doubles()[i];
            default -> tensor.getDouble(i);
          };
    }
    return values;
  }
}
