package org.tersor.passes;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.DType;

/** Derivatives of windows and groups of random shapes and attributes against finite differences. */
class WindowGradientTest {
  private static final int ROUNDS = 8;

  private final Random random = new Random(11);

  private long between(int least, int most) {
    return (long) least + random.nextInt(most - least + 1);
  }

  private List<Long> each(int rank, int least, int most) {
    List<Long> list = new ArrayList<>();
    for (int d = 0; d < rank; d++) {
      list.add(between(least, most));
    }
    return list;
  }

  private static Attribute list(List<Long> values) {
    return new Attribute.IntsAttr(values);
  }

  private static Attribute whole(long value) {
    return new Attribute.IntAttr(value);
  }

  private static long[] shape(long first, long second, List<Long> spatial) {
    long[] shape = new long[2 + spatial.size()];
    shape[0] = first;
    shape[1] = second;
    for (int d = 0; d < spatial.size(); d++) {
      shape[2 + d] = spatial.get(d);
    }
    return shape;
  }

  /** Squares, so that the gradient is not the same everywhere. */
  private static void check(
      String type, int opset, Map<String, Attribute> attributes, long[]... shapes) {
    try {
      GradientTest.check(
          (b, x) -> {
            b.pin("", opset);
            Value y = b.add("", type, attributes, x.toArray(Value[]::new));
            b.pin("", 17);
            return b.add("Mul", y, y);
          },
          shapes);
    } catch (AssertionError | RuntimeException e) {
      throw new AssertionError(type + " " + attributes + " " + Arrays.deepToString(shapes), e);
    }
  }

  @Test
  void transposedConvolutions() {
    for (int round = 0; round < ROUNDS; round++) {
      int rank = 1 + round % 2;
      long groups = between(1, 2);
      List<Long> strides = each(rank, 1, 3);
      List<Long> dilations = each(rank, 1, 2);
      Map<String, Attribute> attributes = new TreeMap<>();
      attributes.put("strides", list(strides));
      attributes.put("dilations", list(dilations));
      attributes.put("group", whole(groups));
      if (round % 3 == 2) {
        attributes.put("auto_pad", new Attribute.StringAttr("SAME_UPPER"));
      } else {
        attributes.put("pads", list(each(2 * rank, 0, 1)));
        attributes.put(
            "output_padding",
            list(strides.stream().map(stride -> between(0, (int) (stride - 1))).toList()));
      }
      long[] w = shape(2 * groups, 2, each(rank, 2, 3));
      check(
          "ConvTranspose",
          17,
          attributes,
          shape(2, 2 * groups, each(rank, 2, 4)),
          w,
          new long[] {2 * groups});
    }
  }

  /** A result larger than what the windows reach: its margin depends on the bias alone. */
  @Test
  void transposedConvolutionOfAGivenShape() {
    for (long extent : new long[] {5, 7, 9}) {
      check(
          "ConvTranspose",
          17,
          Map.of("strides", list(List.of(2L)), "output_shape", list(List.of(extent))),
          new long[] {1, 2, 3},
          new long[] {2, 1, 3},
          new long[] {1});
    }
  }

  @Test
  void averages() {
    for (int round = 0; round < 2 * ROUNDS; round++) {
      int rank = 1 + round % 2;
      List<Long> kernel = each(rank, 2, 3);
      Map<String, Attribute> attributes = new TreeMap<>();
      attributes.put("kernel_shape", list(kernel));
      attributes.put("strides", list(each(rank, 1, 3)));
      attributes.put("count_include_pad", whole(between(0, 1)));
      if (round % 4 == 3) {
        attributes.put("auto_pad", new Attribute.StringAttr("SAME_LOWER"));
      } else {
        attributes.put("dilations", list(each(rank, 1, 2)));
        attributes.put("pads", list(each(2 * rank, 0, 1)));
        attributes.put("ceil_mode", whole(between(0, 1)));
      }
      check("AveragePool", 19, attributes, shape(2, 2, each(rank, 5, 7)));
    }
    check("GlobalAveragePool", 17, Map.of(), new long[] {2, 3, 2, 3});
    check("GlobalAveragePool", 17, Map.of(), new long[] {2, 3, 4});
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void norms(int exponent) {
    for (int round = 0; round < ROUNDS; round++) {
      int rank = 1 + round % 2;
      Map<String, Attribute> attributes = new TreeMap<>();
      attributes.put("p", whole(exponent));
      attributes.put("kernel_shape", list(each(rank, 2, 3)));
      attributes.put("strides", list(each(rank, 1, 3)));
      attributes.put("dilations", list(each(rank, 1, 2)));
      attributes.put("pads", list(each(2 * rank, 0, 1)));
      attributes.put("ceil_mode", whole(between(0, 1)));
      check("LpPool", 18, attributes, shape(2, 2, each(rank, 5, 7)));
    }
    Map<String, Attribute> power = Map.of("p", whole(exponent));
    check("GlobalLpPool", 17, power, new long[] {2, 3, 2, 3});
    check("GlobalLpPool", 17, power, new long[] {2, 3, 4});
  }

  @Test
  void largest() {
    check("GlobalMaxPool", 17, Map.of(), new long[] {2, 3, 2, 3});
    check("GlobalMaxPool", 17, Map.of(), new long[] {2, 1, 4});
    check("GlobalMaxPool", 17, Map.of(), new long[] {2, 3});
  }

  @ParameterizedTest
  @ValueSource(ints = {18, 21})
  void groups(int opset) {
    for (int round = 0; round < ROUNDS; round++) {
      long groups = between(1, 3);
      long channels = groups * between(1, 2);
      long[] vector = {opset < 21 ? groups : channels};
      Map<String, Attribute> attributes = new TreeMap<>();
      attributes.put("num_groups", whole(groups));
      attributes.put("epsilon", new Attribute.FloatAttr(.01f));
      if (opset >= 21) { // else it rounds to float32, which differences of small steps show
        attributes.put("stash_type", whole(TypeNumbers.number(DType.F64)));
      }
      check(
          "GroupNormalization",
          opset,
          attributes,
          shape(2, channels, each(1 + round % 2, 2, 3)),
          vector,
          vector);
    }
  }

  @Test
  void layers() {
    for (int round = 0; round < ROUNDS; round++) {
      List<Long> spatial = each(1 + round % 2, 2, 3);
      long[] x = shape(2, between(2, 3), spatial);
      int axis = (int) between(1, x.length - 1);
      long[] scale = Arrays.copyOfRange(x, axis, x.length);
      Map<String, Attribute> attributes =
          Map.of("axis", whole(axis - x.length), "epsilon", new Attribute.FloatAttr(.01f));
      check("LayerNormalization", 17, attributes, x, scale, scale);
    }
  }
}
