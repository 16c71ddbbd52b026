package org.tersor.conformance.diff;

import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleSupplier;
import org.tersor.conformance.SeededRandom;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Random elements of a tensor. */
final class Elements {
  /** Ranges that samples name. */
  static final List<String> RANGES =
      List.of("nonzero", "positive", "unit", "prob", "small", "boxes");

  private Elements() {}

  /** Elements of any kind that the type has, or of a range. */
  static Tensor of(DType dtype, long[] shape, String range, SeededRandom random) {
    Tensor tensor = Tensor.zeros(dtype, shape);
    boolean extreme = range.isEmpty() && random.nextDouble() < .1;
    for (int i = 0; i < tensor.size(); i++) {
      if (dtype == DType.STRING) {
        tensor.strings()[i] = text(random);
      } else if (dtype == DType.BOOL) {
        tensor.setLong(i, random.between(0, 1));
      } else if (dtype.isFloat()) {
        tensor.setDouble(i, real(range, random));
      } else if (extreme) {
        tensor.setLong(i, random.nextLong());
      } else {
        tensor.setLong(i, whole(dtype, range, random));
      }
    }
    if (range.equals("boxes")) {
      for (int i = 0; i + 3 < tensor.size(); i += 4) {
        for (int corner = i; corner < i + 2; corner++) {
          double start = random.uniform(0, 2);
          tensor.setDouble(corner, start);
          tensor.setDouble(corner + 2, start + random.uniform(.5, 3));
        }
      }
    }
    return tensor;
  }

  /** Numbers from somewhere. */
  static Tensor of(DType dtype, long[] shape, DoubleSupplier numbers) {
    Tensor tensor = Tensor.zeros(dtype, shape);
    for (int i = 0; i < tensor.size(); i++) {
      double value = numbers.getAsDouble();
      if (dtype.isFloat()) {
        tensor.setDouble(i, value);
      } else {
        tensor.setLong(i, (long) value);
      }
    }
    return tensor;
  }

  private static String text(SeededRandom random) {
    List<String> words = List.of("", "a", "B", "abc", "Ünïcode", "x y", "ß", "0", "-1.5", "zebra");
    return words.get((int) random.between(0, words.size() - 1));
  }

  private static double real(String range, SeededRandom random) {
    return switch (range) {
      case "nonzero" -> (random.between(0, 1) == 0 ? -1 : 1) * random.uniform(.25, 4);
      case "positive" -> random.uniform(.0625, 4);
      case "unit" -> random.uniform(-.98, .98);
      case "prob" -> random.uniform(.01, .99);
      case "small" -> random.nextGaussian() / 4;
      default -> random.nextGaussian() * 2;
    };
  }

  private static long whole(DType dtype, String range, SeededRandom random) {
    long low = Math.max(dtype.minValue(), -6);
    long high = dtype.bits() < 8 ? dtype.maxValue() : 9;
    return switch (range) {
      case "nonzero" -> {
        long value = random.between(1, Math.min(high, 9));
        yield dtype.isSigned() && random.between(0, 2) == 0 ? -value : value;
      }
      case "positive", "prob" -> random.between(1, Math.max(1, high));
      case "unit" -> random.between(Math.max(low, -1), 1);
      default -> random.between(low, high);
    };
  }

  /** A list of whole numbers as a tensor. */
  static Tensor list(DType dtype, long[] values) {
    Tensor tensor = Tensor.zeros(dtype, values.length);
    Arrays.setAll(
        new long[values.length],
        i -> {
          tensor.setLong(i, values[i]);
          return 0;
        });
    return tensor;
  }
}
