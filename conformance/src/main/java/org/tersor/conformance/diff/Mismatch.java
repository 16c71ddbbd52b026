package org.tersor.conformance.diff;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tersor.conformance.diff.Finding.Kind;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * How two results differ.
 *
 * @param output index of the output
 * @param elements which elements differ by more than they may
 */
record Mismatch(
    Kind kind,
    String text,
    double difference,
    int output,
    Tensor ours,
    Tensor theirs,
    List<Integer> elements) {
  /**
   * @param tolerance of each element; none if they must be equal
   */
  static Optional<Mismatch> of(
      int output, Tensor ours, Tensor theirs, double @Nullable [] tolerance) {
    if (ours.dtype() != theirs.dtype() || !Arrays.equals(ours.shape(), theirs.shape())) {
      Kind kind = ours.dtype() != theirs.dtype() ? Kind.TYPE : Kind.SHAPE;
      String text = ours + " but the reference has " + theirs;
      return Optional.of(new Mismatch(kind, text, 0, output, ours, theirs, List.of()));
    }
    List<Integer> elements = new ArrayList<>();
    int worst = -1;
    double largest = -1;
    for (int i = 0; i < ours.size(); i++) {
      double excess = excess(ours, theirs, i, tolerance == null ? 0 : tolerance[i]);
      if (excess > 0) {
        elements.add(i);
        if (excess > largest) {
          largest = excess;
          worst = i;
        }
      }
    }
    return elements.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new Mismatch(
                Kind.VALUES,
                String.format(
                    Locale.ROOT,
                    "%d of %d values of %s; element %d is %s, the reference has %s, allowed %s",
                    elements.size(),
                    ours.size(),
                    ours,
                    worst,
                    text(ours, worst),
                    text(theirs, worst),
                    tolerance == null ? "0" : Double.toString(tolerance[worst])),
                largest + (tolerance == null ? 0 : tolerance[worst]),
                output,
                ours,
                theirs,
                List.copyOf(elements)));
  }

  private static double excess(Tensor ours, Tensor theirs, int i, double tolerance) {
    DType type = ours.dtype();
    if (type == DType.STRING) {
      return ours.strings()[i].equals(theirs.strings()[i]) ? 0 : 1;
    }
    if (!type.isFloat()) {
      return ours.getLong(i) == theirs.getLong(i)
          ? 0
          : Math.max(1, Math.abs(ours.getDouble(i) - theirs.getDouble(i)));
    }
    double a = ours.getDouble(i);
    double b = theirs.getDouble(i);
    if (a == b || (Double.isNaN(a) && Double.isNaN(b))) {
      return 0;
    }
    double difference = Math.abs(a - b);
    return Double.isFinite(difference)
        ? Math.max(0, difference - tolerance)
        : Double.POSITIVE_INFINITY;
  }

  private static String text(Tensor tensor, int i) {
    return tensor.dtype() == DType.STRING
        ? '"' + tensor.strings()[i] + '"'
        : tensor.dtype().isFloat()
            ? Double.toString(tensor.getDouble(i))
            : Long.toString(tensor.getLong(i));
  }
}
