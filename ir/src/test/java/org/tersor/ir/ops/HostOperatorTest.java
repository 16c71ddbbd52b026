package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.TypeNumbers;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Sequences, optionals, maps and strings: results, the parts they become, and diagnostics. */
class HostOperatorTest {
  private static Datum run(String type, int version, Map<String, Attribute> attrs, Datum... in) {
    return all("", type, version, attrs, 1, in).getFirst();
  }

  private static Datum run(String type, int version, Datum... in) {
    return run(type, version, Map.of(), in);
  }

  /** Evaluates; if the operator is other operators in compiled code, these must agree. */
  private static List<Datum> all(
      String domain,
      String type,
      int version,
      Map<String, Attribute> attrs,
      int outputs,
      Datum... in) {
    List<Optional<Datum>> inputs = Stream.of(in).map(Optional::of).toList();
    NodeEval.Results results = NodeEval.run(domain, type, version, attrs, outputs, inputs);
    results.byParts().ifPresent(parts -> assertEquals(results.direct(), parts, "by its parts"));
    return results.direct();
  }

  private static String fault(String type, int version, Map<String, Attribute> attrs, Datum... in) {
    return assertThrows(TersorException.class, () -> run(type, version, attrs, in)).code();
  }

  private static Tensor f(float... values) {
    return Tensor.of(values, values.length);
  }

  private static Tensor i(long... values) {
    return Tensor.of(values, values.length);
  }

  private static Tensor at(long value) {
    return Tensor.of(new long[] {value});
  }

  private static Tensor s(String... values) {
    return new Tensor(DType.STRING, new long[] {values.length}, values);
  }

  private static Datum.Sequence seq(Datum... elements) {
    return new Datum.Sequence(List.of(elements));
  }

  private static Attribute attr(long value) {
    return new Attribute.IntAttr(value);
  }

  private static Attribute attr(String value) {
    return new Attribute.StringAttr(value);
  }

  @Test
  void sequencesGrowAndShrink() {
    Datum two = run("SequenceConstruct", 11, f(1), f(2, 3));
    assertEquals(seq(f(1), f(2, 3)), two);
    assertEquals(seq(), run("SequenceEmpty", 11, Map.of("dtype", attr(7))));
    assertEquals(seq(f(1), f(9), f(2, 3)), run("SequenceInsert", 11, two, f(9), at(1)));
    assertEquals(seq(f(1), f(9), f(2, 3)), run("SequenceInsert", 11, two, f(9), at(-1)));
    assertEquals(seq(f(1), f(2, 3), f(9)), run("SequenceInsert", 11, two, f(9), at(2)));
    assertEquals(seq(f(1), f(2, 3), f(9)), run("SequenceInsert", 11, two, f(9)));
    assertEquals(seq(f(1)), run("SequenceErase", 11, two));
    assertEquals(seq(f(2, 3)), run("SequenceErase", 11, two, at(-2)));
    assertEquals(f(2, 3), run("SequenceAt", 11, two, at(-1)));
    assertEquals(at(2), run("SequenceLength", 11, two));
    assertEquals("TSR-0305", fault("SequenceAt", 11, Map.of(), two, at(2)));
    assertEquals("TSR-0305", fault("SequenceInsert", 11, Map.of(), two, f(9), at(3)));
    assertEquals("TSR-0305", fault("SequenceErase", 11, Map.of(), seq()));
    assertEquals("TSR-0302", fault("SequenceInsert", 11, Map.of(), two, i(9)));
    assertEquals("TSR-0302", fault("SequenceAt", 11, Map.of(), f(1), at(0)));
  }

  @Test
  void splittingAndJoining() {
    Tensor x = Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
    assertEquals(
        seq(Tensor.of(new float[] {1, 2, 3}, 1, 3), Tensor.of(new float[] {4, 5, 6}, 1, 3)),
        run("SplitToSequence", 11, x));
    assertEquals(
        seq(f(1, 4), f(2, 5), f(3, 6)),
        run("SplitToSequence", 24, Map.of("axis", attr(-1), "keepdims", attr(0)), x));
    Map<String, Attribute> columns = Map.of("axis", attr(1));
    Datum uneven =
        seq(Tensor.of(new float[] {1, 2, 4, 5}, 2, 2), Tensor.of(new float[] {3, 6}, 2, 1));
    assertEquals(uneven, run("SplitToSequence", 11, columns, x, at(2)));
    assertEquals(uneven, run("SplitToSequence", 11, columns, x, i(2, 1)));
    assertEquals(x, run("ConcatFromSequence", 11, columns, uneven));
    assertEquals(
        Tensor.of(new float[] {1, 4, 2, 5, 3, 6}, 3, 2),
        run(
            "ConcatFromSequence",
            11,
            Map.of("axis", attr(0), "new_axis", attr(1)),
            seq(f(1, 4), f(2, 5), f(3, 6))));
    assertEquals(
        Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3),
        run(
            "ConcatFromSequence",
            11,
            Map.of("axis", attr(-1), "new_axis", attr(1)),
            seq(f(1, 4), f(2, 5), f(3, 6))));
    assertEquals("TSR-0303", fault("SplitToSequence", 11, columns, x, at(0)));
    assertEquals("TSR-0303", fault("SplitToSequence", 11, columns, x, i(2, 2)));
    assertEquals("TSR-0303", fault("SplitToSequence", 11, columns, x, i(-1, 4)));
    assertEquals("TSR-0303", fault("ConcatFromSequence", 11, columns, seq(x, f(1))));
    assertEquals("TSR-0303", fault("ConcatFromSequence", 11, columns, seq()));
    assertEquals("TSR-0304", fault("ConcatFromSequence", 11, Map.of(), uneven));
  }

  @Test
  void optionals() {
    Datum some = new Datum.Maybe(Optional.of(f(1)));
    Datum none = new Datum.Maybe(Optional.empty());
    Map<String, Attribute> type =
        Map.of("type", new Attribute.TypeAttr(TensorType.of(DType.F32, 1)));
    assertEquals(some, run("Optional", 15, f(1)));
    assertEquals(none, run("Optional", 15, type));
    assertEquals("TSR-0304", fault("Optional", 15, Map.of()));
    assertEquals(1, ((Tensor) run("OptionalHasElement", 15, some)).getLong(0));
    assertEquals(0, ((Tensor) run("OptionalHasElement", 15, none)).getLong(0));
    assertEquals(1, ((Tensor) run("OptionalHasElement", 18, seq(f(1)))).getLong(0));
    assertEquals(0, ((Tensor) run("OptionalHasElement", 18)).getLong(0));
    assertEquals(f(1), run("OptionalGetElement", 15, some));
    assertEquals(seq(f(1)), run("OptionalGetElement", 18, seq(f(1))));
    assertEquals("TSR-0305", fault("OptionalGetElement", 15, Map.of(), none));
    assertEquals(some, run("Identity", 16, some));
    assertEquals(seq(f(1)), run("Identity", 14, seq(f(1))));
  }

  @Test
  void aBodyForEachElement() {
    GraphBuilder body = new GraphBuilder(Map.of("", 17), 100);
    Value x = body.input("x", TensorType.unranked(DType.F32));
    Value y = body.input("y", TensorType.unranked(DType.F32));
    body.output(body.add("Add", x, y));
    Map<String, Attribute> attrs =
        Map.of("body", new Attribute.GraphAttr(body.build("body", Map.of())));
    Datum elements = seq(f(1), f(2, 3));
    assertEquals(seq(f(11), f(12, 13)), run("SequenceMap", 17, attrs, elements, f(10)));
    assertEquals(seq(f(2), f(4, 6)), run("SequenceMap", 17, attrs, elements, elements));
    assertEquals("TSR-0303", fault("SequenceMap", 17, attrs, elements, seq(f(1))));
    assertEquals("TSR-0304", fault("SequenceMap", 17, attrs, elements));
    NodeEval.Results results =
        NodeEval.run(
            "", "SequenceMap", 17, attrs, 1, List.of(Optional.of(elements), Optional.of(f(10))));
    var iterate = assertInstanceOf(Lowering.Iterate.class, results.lowering());
    assertEquals(1, iterate.body().inputs().size(), "the tensor is captured");
    assertEquals(1, iterate.body().captured().size());
  }

  @Test
  void stringsAreJoinedAndSplit() {
    Tensor column = new Tensor(DType.STRING, new long[] {2, 1}, new String[] {"a", "ß"});
    assertEquals(
        new Tensor(DType.STRING, new long[] {2, 2}, new String[] {"ax", "a", "ßx", "ß"}),
        run("StringConcat", 20, column, s("x", "")));
    List<Datum> split =
        all(
            "",
            "StringSplit",
            20,
            Map.of("delimiter", attr("--"), "maxsplit", attr(1)),
            2,
            s("a--b--c", "", "d"));
    assertEquals(
        new Tensor(DType.STRING, new long[] {3, 2}, new String[] {"a", "b--c", "", "", "d", ""}),
        split.get(0));
    assertEquals(i(2, 1, 1), split.get(1));
    List<Datum> spaces = all("", "StringSplit", 20, Map.of(), 2, s("  a \t b ", " ", "c d\u2003e"));
    assertEquals(
        new Tensor(
            DType.STRING,
            new long[] {3, 3},
            new String[] {"a", "b", "", "", "", "", "c", "d", "e"}),
        spaces.get(0));
    assertEquals(i(2, 0, 3), spaces.get(1));
    assertEquals(
        new Tensor(DType.STRING, new long[] {1, 2}, new String[] {"a", "b  c "}),
        run("StringSplit", 20, Map.of("maxsplit", attr(1)), s(" a  b  c ")));
    assertEquals(
        new Tensor(DType.STRING, new long[] {0, 0}, new String[0]), run("StringSplit", 20, s()));
  }

  @Test
  void normalizingIgnoresTheLocale() {
    Map<String, Attribute> upper =
        Map.of(
            "case_change_action",
            attr("UPPER"),
            "stopwords",
            new Attribute.StringsAttr(List.of("MONDAY")));
    assertEquals(s("I", "ÄI"), run("StringNormalizer", 10, upper, s("i", "monday", "äi")));
    Map<String, Attribute> sensitive = new HashMap<>(upper);
    sensitive.put("is_case_sensitive", attr(1));
    assertEquals(s("MONDAY"), run("StringNormalizer", 10, sensitive, s("monday", "MONDAY")));
    assertEquals(
        new Tensor(DType.STRING, new long[] {1, 1}, new String[] {""}),
        run("StringNormalizer", 10, upper, s("monday").reshaped(1, 1)));
    assertEquals("TSR-0303", fault("StringNormalizer", 10, upper, s("a", "b").reshaped(2, 1)));
    assertEquals(
        "TSR-0304",
        fault("StringNormalizer", 10, Map.of("case_change_action", attr("TITLE")), s("a")));
  }

  @Test
  void numbersAsText() {
    Map<String, Attribute> text = Map.of("to", attr(TypeNumbers.number(DType.STRING)));
    assertEquals(
        s("3.14", "0.00001", "100000000000", "NaN", "INF", "-INF", "-0", "1"),
        run("Cast", 13, text, f(3.14f, 1e-5f, 1e11f, Float.NaN, 1 / 0f, -1 / 0f, -0f, 1)));
    assertEquals(
        s("True", "False"),
        run("Cast", 13, text, new Tensor(DType.BOOL, new long[] {2}, new byte[] {1, 0})));
    assertEquals(
        s("18446744073709551615"),
        run("Cast", 13, text, new Tensor(DType.U64, new long[] {1}, new long[] {-1})));
    assertEquals(
        f(3.14f, 1e-5f, 1e8f, 1 / 0f, -1 / 0f, Float.NaN, .5f, 7),
        run(
            "Cast",
            13,
            Map.of("to", attr(1)),
            s("3.14", "1e-5", "1E8", "+inf", "-INF", "nan", ".5", " 7. ")));
    assertEquals(
        i(-5, 100, Long.MAX_VALUE),
        run("Cast", 13, Map.of("to", attr(7)), s("-5", "100.5", "9223372036854775807")));
    assertEquals(
        new Tensor(DType.I8, new long[] {1}, new byte[] {-1}),
        run("Cast", 13, Map.of("to", attr(3)), s("255")));
    for (String bad : List.of("Hello", "1d", "0x10", "1_0", "", "99999999999999999999")) {
      assertEquals("TSR-0302", fault("Cast", 13, Map.of("to", attr(7)), s(bad)), bad);
    }
    assertEquals(s("a"), run("Cast", 13, text, s("a")));
    assertEquals(s("2", "3"), run("CastLike", 15, i(2, 3), s("x")));
  }

  /** Each of these is moved through numbers in compiled code, which {@link #all} compares. */
  @Test
  void stringsAreMovedAsNumbers() {
    Tensor x = new Tensor(DType.STRING, new long[] {2, 2}, new String[] {"a", "b", "c", "d"});
    assertEquals(s("a", "b", "c", "d"), run("Reshape", 13, x, i(-1)));
    assertEquals(s("c", "d", "a"), run("Concat", 13, Map.of("axis", attr(0)), s("c", "d"), s("a")));
    assertEquals(s("b", "d"), run("Gather", 13, Map.of("axis", attr(1)), x, at(1)));
    assertEquals(
        new Tensor(DType.STRING, new long[] {2, 2}, new String[] {"a", "c", "b", "d"}),
        run("Transpose", 13, x));
    assertEquals(s("b"), run("Slice", 13, s("a", "b", "c"), i(1), i(2)));
    assertEquals(s("", "a", ""), run("Pad", 13, Map.of(), s("a"), i(1, 1)));
    assertEquals(s("a", "a"), run("Expand", 13, s("a"), i(2)));
    assertEquals(s("a", "b", "a", "b"), run("Tile", 13, s("a", "b"), i(2)));
    Tensor condition = new Tensor(DType.BOOL, new long[] {2}, new byte[] {1, 0});
    assertEquals(s("a", "z"), run("Where", 16, condition, s("a", "b"), s("y", "z")));
    assertEquals(s("a", "z"), run("ScatterElements", 18, Map.of(), s("a", "b"), i(1), s("z")));
    assertEquals(i(2, 2), run("Shape", 15, x));
    assertEquals(at(4), run("Size", 13, x));
    assertEquals(
        List.of(s("a"), s("b", "c")), all("", "Split", 13, Map.of(), 2, s("a", "b", "c"), i(1, 2)));
    assertEquals(s("a"), run("Compress", 11, Map.of(), s("a", "b"), condition));
    assertEquals(
        new Tensor(DType.BOOL, new long[] {2, 2}, new byte[] {1, 0, 0, 0}),
        run("Equal", 19, x, s("a", "x")));
  }

  @Test
  void operatorsThatReadStringsSayHow() {
    List<String> readers = new ArrayList<>();
    for (Operator operator : OpRegistry.standard().all()) {
      boolean onStrings =
          operator instanceof OpBase
              && operator.schema().inputs().stream()
                  .anyMatch(f ->
                      operator
                          .schema()
                          .typeVariables()
                          .getOrDefault(f.type(), java.util.Set.of())
                          .contains(DType.STRING));
      boolean moves =
          operator.schema().outputs().stream()
              .anyMatch(o ->
                  operator.schema().inputs().stream().anyMatch(f -> f.type().equals(o.type())));
      if (onStrings && !moves) {
        readers.add(operator.schema().name());
      }
    }
    readers.removeAll(
        List.of(
            "Shape",
            "Size",
            "EyeLike",
            "RandomNormalLike",
            "RandomUniformLike",
            "ResizeScale",
            "ResizeSizes"));
    assertEquals(
        List.of(
            "Cast",
            "Equal",
            "TfIdfVectorizer",
            "CategoryMapper",
            "LabelEncoder",
            "OneHotEncoder",
            "OneHotEncoder"),
        readers);
  }

  @Test
  void maps() {
    Datum.Dictionary map = new Datum.Dictionary(i(3, 1), f(30, 10));
    String ml = "ai.onnx.ml";
    assertEquals(
        Tensor.of(new float[] {10, 30}, 1, 2), all(ml, "CastMap", 1, Map.of(), 1, map).getFirst());
    assertEquals(
        Tensor.of(new float[] {0, 10, 0, 30}, 1, 4),
        all(ml, "CastMap", 1, Map.of("map_form", attr("SPARSE"), "max_map", attr(4)), 1, map)
            .getFirst());
    assertEquals(
        s("10", "30").reshaped(1, 2),
        all(ml, "CastMap", 1, Map.of("cast_to", attr("TO_STRING")), 1, map).getFirst());
    assertThrows(
        TersorException.class,
        () ->
            all(ml, "CastMap", 1, Map.of("map_form", attr("SPARSE"), "max_map", attr(2)), 1, map));
    Map<String, Attribute> vocabulary =
        Map.of("string_vocabulary", new Attribute.StringsAttr(List.of("b", "x", "a")));
    assertEquals(
        Tensor.of(new double[] {2, 0, 1}, 1, 3),
        all(
                ml,
                "DictVectorizer",
                1,
                vocabulary,
                1,
                new Datum.Dictionary(s("a", "b"), Tensor.of(new double[] {1, 2}, 2)))
            .getFirst());
    Map<String, Attribute> labels =
        Map.of("classlabels_strings", new Attribute.StringsAttr(List.of("no", "yes")));
    assertEquals(
        seq(
            new Datum.Dictionary(s("no", "yes"), f(1, 2)),
            new Datum.Dictionary(s("no", "yes"), f(3, 4))),
        all(ml, "ZipMap", 1, labels, 1, Tensor.of(new float[] {1, 2, 3, 4}, 2, 2)).getFirst());
    assertThrows(TersorException.class, () -> all(ml, "ZipMap", 1, labels, 1, f(1, 2, 3)));
    assertThrows(TersorException.class, () -> all(ml, "ZipMap", 1, Map.of(), 1, f(1, 2)));
  }

  @Test
  void elementsOfASequenceMayDiffer() {
    ValueType covered =
        ValueType.cover(TensorType.of(DType.F32, 2, 3), TensorType.of(DType.F32, 2, 4));
    assertEquals("f32[2, _any]", covered.toString());
    assertEquals("f32[2, _x_1]", ValueType.fresh(covered, "_x").toString());
    assertEquals("f32[*]", ValueType.cover(covered, TensorType.of(DType.F32, 2)).toString());
    assertTrue(
        ValueType.cover(ValueType.UNKNOWN, covered).equals(covered), "an empty one has no say");
  }
}
