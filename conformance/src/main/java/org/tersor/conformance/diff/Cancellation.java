package org.tersor.conformance.diff;

import java.util.List;
import java.util.stream.IntStream;
import org.tersor.ir.graph.Attribute;
import org.tersor.runtime.Tensor;

/**
 * How much of a normalisation's accuracy is lost where the variance is the mean of squares less the
 * squared mean.
 */
final class Cancellation {
  private Cancellation() {}

  /** Whether single elements are normalised, each by itself. */
  static boolean oneElement(Evidence e) {
    Tensor x = e.in(0);
    if (e.node().op().type().equals("MeanVarianceNormalization")) {
      long elements = 1;
      List<Long> axes = e.has("axes") ? e.numbers("axes") : List.of(0L, 2L, 3L);
      for (long axis : axes) {
        elements *= x.shape()[(int) (axis < 0 ? axis + x.rank() : axis)];
      }
      return elements == 1;
    }
    return group(e) == 1;
  }

  /** What a normalised number is multiplied with at most. */
  static double gain(Evidence e) {
    boolean scaled =
        List.of("LayerNormalization", "InstanceNormalization", "GroupNormalization")
            .contains(e.node().op().type());
    return scaled && e.hasInput(1) ? Math.max(1, Evidence.largest(e.in(1))) : 1;
  }

  /** The largest ratio of a group's mean square to its variance and epsilon. */
  static double ratio(Evidence e) {
    String operator = e.node().op().type();
    int group = Math.max(1, operator.equals("EmbedLayerNormalization") ? 1 : group(e));
    double epsilon = operator.startsWith("Skip") ? 1e-12 : 1e-5;
    epsilon =
        e.node().attributes().get("epsilon") instanceof Attribute.FloatAttr f ? f.value() : epsilon;
    double[] numbers = numbers(e);
    int[] groups =
        operator.equals("EmbedLayerNormalization")
            ? IntStream.range(0, numbers.length).map(i -> i / hidden(e)).toArray()
            : together(e, group);
    int count = IntStream.of(groups).max().orElse(-1) + 1;
    double[] sums = new double[count];
    double[] squares = new double[count];
    int[] sizes = new int[count];
    for (int i = 0; i < groups.length; i++) {
      double value = numbers[i];
      sums[groups[i]] += value;
      squares[groups[i]] += value * value;
      sizes[groups[i]]++;
    }
    double worst = 1;
    for (int g = 0; g < count; g++) {
      double mean = sums[g] / sizes[g];
      double square = squares[g] / sizes[g];
      worst = Math.max(worst, square / (Math.max(0, square - mean * mean) + epsilon));
    }
    return worst;
  }

  /** Elements that are normalised together; they lie in a row. */
  private static int group(Evidence e) {
    Tensor x = e.in(0);
    int axis =
        switch (e.node().op().type()) {
          case "InstanceNormalization" -> 2;
          case "GroupNormalization" -> 1;
          case "LayerNormalization" -> (int) e.number("axis", -1);
          default -> -1;
        };
    axis = axis < 0 ? axis + e.ours().rank() : axis;
    long[] shape = x.dtype().isFloat() ? x.shape() : e.ours().shape();
    int group = 1;
    for (int d = axis; d < shape.length; d++) {
      group *= (int) shape[d];
    }
    return group / (int) e.number("num_groups", 1);
  }

  /** Elements of a row of EmbedLayerNormalization. */
  private static int hidden(Evidence e) {
    return (int) e.in(2).shape()[1];
  }

  /** What is normalised. */
  private static double[] numbers(Evidence e) {
    Tensor x = e.in(0);
    String operator = e.node().op().type();
    if (operator.equals("EmbedLayerNormalization")) {
      int hidden = hidden(e);
      int length = (int) x.shape()[1];
      return IntStream.range(0, x.size() * hidden)
          .mapToDouble(i -> embedded(e, i / hidden, i / hidden % length, i % hidden))
          .toArray();
    }
    boolean skips = operator.startsWith("Skip");
    return IntStream.range(0, x.size())
        .mapToDouble(i -> x.getDouble(i) + (skips ? added(e, i) : 0))
        .toArray();
  }

  /** The sum of what a word, its position and its segment are embedded as. */
  private static double embedded(Evidence e, int word, int position, int d) {
    int hidden = hidden(e);
    double sum =
        e.in(2).getDouble((int) e.in(0).getLong(word) * hidden + d)
            + e.in(3).getDouble(position * hidden + d);
    return e.hasInput(1) && e.hasInput(4)
        ? sum + e.in(4).getDouble((int) e.in(1).getLong(word) * hidden + d)
        : sum;
  }

  /** The same number for elements that are normalised together, where they may lie apart. */
  private static int[] together(Evidence e, int group) {
    Tensor x = e.in(0);
    int[] groups = new int[x.size()];
    List<Long> axes =
        e.node().op().type().equals("MeanVarianceNormalization")
            ? e.has("axes") ? e.numbers("axes") : List.of(0L, 2L, 3L)
            : List.of();
    for (int i = 0; i < groups.length; i++) {
      int rest = i;
      int unit = 1;
      for (int d = x.rank() - 1; d >= 0; d--) {
        int extent = (int) x.shape()[d];
        if (!axes.contains((long) d) && !axes.contains((long) d - x.rank())) {
          groups[i] += rest % extent * unit;
          unit *= extent;
        }
        rest /= extent;
      }
      groups[i] = axes.isEmpty() ? i / group : groups[i];
    }
    return groups;
  }

  /** What a skip connection and a bias add. */
  private static double added(Evidence e, int i) {
    double skip = e.in(1).getDouble(i % e.in(1).size());
    return skip + e.input(4).map(bias -> bias.getDouble(i % bias.size())).orElse(0.0);
  }

  /** A bound of what BatchNormalization adds up: by its scale, bias, mean and variance. */
  static double addends(Evidence e) {
    Tensor variance = e.in(4);
    double epsilon =
        e.node().attributes().get("epsilon") instanceof Attribute.FloatAttr f ? f.value() : 1e-5;
    double least =
        IntStream.range(0, variance.size()).mapToDouble(variance::getDouble).min().orElse(0);
    double factor = Evidence.largest(e.in(1)) / Math.sqrt(Math.max(0, least) + epsilon);
    return factor * (Evidence.largest(e.in(0)) + Evidence.largest(e.in(3)))
        + Evidence.largest(e.in(2));
  }
}
