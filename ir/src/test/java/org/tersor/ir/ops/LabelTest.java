package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** LabelEncoder, CategoryMapper, Unique on strings, NonMaxSuppression. */
class LabelTest {
  private static Tensor s(String... values) {
    return new Tensor(DType.STRING, new long[] {values.length}, values);
  }

  private static Tensor i(long... values) {
    return Tensor.of(values, values.length);
  }

  private static Tensor f(float... values) {
    return Tensor.of(values, values.length);
  }

  private static Attribute texts(String... values) {
    return new Attribute.StringsAttr(List.of(values));
  }

  private static Attribute ints(Long... values) {
    return new Attribute.IntsAttr(List.of(values));
  }

  private static Datum ml(String type, int version, Map<String, Attribute> attrs, Tensor x) {
    NodeEval.Results results =
        NodeEval.run("ai.onnx.ml", type, version, attrs, 1, List.of(Optional.of(x)));
    assertEquals(Optional.of(results.direct()), results.byParts(), "by its parts");
    return results.direct().getFirst();
  }

  @Test
  void labels() {
    Map<String, Attribute> classes = Map.of("classes_strings", texts("a", "b", "a"));
    assertEquals(i(0, 1, -1), ml("LabelEncoder", 1, classes, s("a", "b", "c")));
    assertEquals(s("b", "_Unused", "_Unused"), ml("LabelEncoder", 1, classes, i(1, 3, -1)));
    assertEquals(
        f(2, .5f, 1),
        ml(
            "LabelEncoder",
            2,
            Map.of(
                "keys_strings", texts("x", "y"),
                "values_floats", new Attribute.FloatsAttr(List.of(1f, 2f)),
                "default_float", new Attribute.FloatAttr(.5f)),
            s("y", "z", "x")));
    assertEquals(
        s("nan", "zero", "none"),
        ml(
            "LabelEncoder",
            2,
            Map.of(
                "keys_floats", new Attribute.FloatsAttr(List.of(Float.NaN, 0f)),
                "values_strings", texts("nan", "zero"),
                "default_string", new Attribute.StringAttr("none")),
            f(Float.NaN, -0f, 1)));
    assertEquals(
        Tensor.of(new double[] {7, -0.0}, 2),
        ml(
            "LabelEncoder",
            4,
            Map.of(
                "keys_int64s",
                ints(3L),
                "values_tensor",
                new Attribute.TensorAttr(Constant.of(Tensor.of(new double[] {7}, 1)))),
            i(3, 4)));
    Map<String, Attribute> uneven = Map.of("keys_int64s", ints(3L), "values_int64s", ints(3L, 4L));
    assertThrows(TersorException.class, () -> ml("LabelEncoder", 2, uneven, i(3)));
    Map<String, Attribute> none = Map.of("values_int64s", ints(3L));
    assertThrows(TersorException.class, () -> ml("LabelEncoder", 2, none, i(3)));
    Map<String, Attribute> categories =
        Map.of("cats_int64s", ints(5L, 6L), "cats_strings", texts("five", "six"));
    assertEquals(i(6, -1), ml("CategoryMapper", 1, categories, s("six", "x")));
    assertEquals(s("five", "_Unused"), ml("CategoryMapper", 1, categories, i(5, 7)));
  }

  @Test
  void stringsThatNameClasses() {
    assertEquals(
        Tensor.of(new float[] {0, 1, 0, 0}, 2, 2),
        ml("OneHotEncoder", 1, Map.of("cats_strings", texts("a", "b")), s("b", "c")));
    Map<String, Attribute> linear =
        Map.of(
            "coefficients", new Attribute.FloatsAttr(List.of(1f, -1f)),
            "intercepts", new Attribute.FloatsAttr(List.of(0f, 0f)),
            "classlabels_strings", texts("no", "yes"));
    NodeEval.Results results =
        NodeEval.run(
            "ai.onnx.ml",
            "LinearClassifier",
            1,
            linear,
            2,
            List.of(Optional.of(Tensor.of(new float[] {3, -3}, 2, 1))));
    assertEquals(s("no", "yes"), results.direct().getFirst());
    assertEquals(Optional.of(results.direct()), results.byParts());
  }

  @Test
  void positionsOfKeysAsAKernel() {
    Tensor x = f(3, Float.NaN, 9, 1, 3);
    Tensor found =
        OperatorTestKit.node("key_position", 1)
            .domain("org.tersor")
            .input(x)
            .constant(f(1, 3, Float.NaN, 3))
            .check()
            .getFirst();
    assertEquals(i(1, 2, 4, 0, 1), found);
  }

  @Test
  void codesOutOfBytesAsAKernel() {
    for (int bits : new int[] {2, 4, 8}) {
      for (int high : new int[] {0, 1}) {
        OperatorTestKit.node("unpack_bits", 1)
            .domain("org.tersor")
            .input(OperatorTestKit.random(DType.U8, 1, 3, 5))
            .attr("bits", bits)
            .attr("high_first", high)
            .check();
      }
    }
  }

  @Test
  void whatIsUnique() {
    Tensor x = f(2, 1, 1, 3, 4, 3);
    assertEquals(
        List.of(f(1, 2, 3, 4), i(1, 0, 3, 4), i(1, 0, 0, 2, 3, 2), i(2, 1, 2, 1)),
        OperatorTestKit.node("Unique", 11).input(x).outputs(4).eval());
    assertEquals(
        List.of(f(2, 1, 3, 4), i(0, 1, 3, 4), i(0, 1, 1, 2, 3, 2), i(1, 2, 2, 1)),
        OperatorTestKit.node("Unique", 11).input(x).attr("sorted", 0).outputs(4).eval());
    Tensor rows = Tensor.of(new float[] {1, 0, 1, 0, 0, 3}, 3, 2);
    assertEquals(
        Tensor.of(new float[] {0, 3, 1, 0}, 2, 2),
        OperatorTestKit.node("Unique", 11).input(rows).attr("axis", 0).eval().getFirst());
    NodeEval.Results strings =
        NodeEval.run(
            "",
            "Unique",
            11,
            Map.of(),
            4,
            List.of(Optional.of(s("b", "a", "\uD83D\uDE00", "\uFFFD", "b"))));
    assertEquals(
        List.of(
            s("a", "b", "\uFFFD", "\uD83D\uDE00"), i(1, 0, 3, 2), i(1, 0, 3, 2, 1), i(1, 2, 1, 1)),
        strings.direct());
    assertEquals(Optional.of(strings.direct()), strings.byParts());
  }

  /** As numpy.unique: NaN is one element, but slices that hold it differ. */
  @Test
  void nanIsUniqueOnce() {
    float nan = Float.NaN;
    Tensor x = f(nan, 2, nan, 1, nan);
    NodeEval.Results elements =
        NodeEval.run("", "Unique", 11, Map.of(), 4, List.of(Optional.of(x)));
    assertEquals(
        List.of(f(1, 2, nan), i(3, 1, 0), i(2, 1, 2, 0, 2), i(1, 1, 3)), elements.direct());
    assertEquals(Optional.of(elements.direct()), elements.byParts());
    NodeEval.Results slices =
        NodeEval.run(
            "",
            "Unique",
            11,
            Map.of("axis", new Attribute.IntAttr(0)),
            4,
            List.of(Optional.of(Tensor.of(new float[] {nan, 1, 0, 1, nan, 1}, 3, 2))));
    assertEquals(
        List.of(
            Tensor.of(new float[] {0, 1, nan, 1, nan, 1}, 3, 2),
            i(1, 0, 2),
            i(1, 0, 2),
            i(1, 1, 1)),
        slices.direct());
    assertEquals(Optional.of(slices.direct()), slices.byParts());
    OperatorTestKit.node("unique_slices", 1).domain("org.tersor").input(x).outputs(4).check();
  }

  @Test
  void overlappingBoxesGo() {
    Tensor boxes = Tensor.of(new float[] {0, 0, 1, 1, 1, 1.1f, 0, .1f, 0, 5, 1, 6}, 1, 3, 4);
    Tensor scores = Tensor.of(new float[] {.9f, .8f, .7f}, 1, 1, 3);
    OperatorTestKit kit =
        OperatorTestKit.node("NonMaxSuppression", 11).input(boxes).input(scores).longs(3);
    assertEquals(
        Tensor.of(new long[] {0, 0, 0, 0, 0, 2}, 2, 3), kit.constant(f(.5f)).eval().getFirst());
    assertEquals(
        0,
        OperatorTestKit.node("NonMaxSuppression", 11)
            .input(boxes)
            .input(scores)
            .eval()
            .getFirst()
            .size());
    assertThrows(
        TersorException.class,
        () ->
            OperatorTestKit.node("NonMaxSuppression", 11)
                .input(boxes)
                .input(scores)
                .longs(3)
                .constant(f(2))
                .eval());
  }
}
