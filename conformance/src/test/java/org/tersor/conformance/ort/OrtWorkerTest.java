package org.tersor.conformance.ort;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.tersor.conformance.Reference;
import org.tersor.conformance.Reference.Options;
import org.tersor.conformance.SeededRandom;
import org.tersor.conformance.TestData;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class OrtWorkerTest {
  private static final OrtWorker ORT = new OrtWorker();

  @AfterAll
  static void stop() {
    ORT.close();
  }

  @Test
  void runsAndTimesAModel() {
    Path model = TestData.path("models/mnist-8/mnist-8.onnx");
    try (Reference.Session session = ORT.open(model, Options.DEFAULT)) {
      assertEquals("Input3", session.inputs().getFirst().name());
      var inputs = Map.of("Input3", Tensor.zeros(DType.F32, 1, 1, 28, 28));
      Tensor scores = Reference.tensors(session.run(inputs)).values().iterator().next();
      assertArrayEquals(new long[] {1, 10}, scores.shape());
      session.prepare(inputs);
      long[] times = session.time(5);
      assertEquals(5, times.length);
      assertTrue(times[4] > 0 && times[4] < 1_000_000_000L);
    }
  }

  @Test
  void stringsAndBooleansTravel() {
    Path strings = TestData.path("onnx-backend/node/test_string_concat_utf8/model.onnx");
    Tensor a = new Tensor(DType.STRING, new long[] {2}, new String[] {"ab", "ü"});
    assertArrayEquals(
        new String[] {"abab", "üü"},
        ORT.run(strings, Map.of("x", a, "y", a), Options.DEFAULT)
            .getOrDefault("result", Tensor.zeros(DType.STRING, 0))
            .strings());
    Path logic = TestData.path("onnx-backend/node/test_and4d/model.onnx");
    Tensor flags = new Tensor(DType.BOOL, new long[] {3, 4, 5, 6}, flags());
    assertEquals(
        flags,
        ORT.run(logic, Map.of("x", flags, "y", flags), Options.DEFAULT)
            .getOrDefault("and", Tensor.zeros(DType.BOOL, 0)));
  }

  @Test
  void aRefusedModelIsAResult(@TempDir Path folder) throws Exception {
    Path garbage = Files.write(folder.resolve("x.onnx"), new byte[] {1, 2, 3});
    TersorException refused =
        assertThrows(TersorException.class, () -> ORT.open(garbage, Options.DEFAULT));
    assertEquals("TSR-0804", refused.code());
    assertTrue(ORT.name().startsWith("ONNX Runtime 1."), ORT.name());
  }

  @Test
  void tooSlowIsAResult() {
    Path model = TestData.path("models/mnist-8/mnist-8.onnx");
    try (OrtWorker slow = new OrtWorker(Duration.ofMillis(300))) {
      Reference.Session session = open(slow, model);
      session.prepare(Map.of("Input3", Tensor.zeros(DType.F32, 1, 1, 28, 28)));
      TersorException late = assertThrows(TersorException.class, () -> session.time(100_000_000));
      assertEquals("TSR-0803", late.code());
      open(slow, model).close(); // a new worker
    }
  }

  /** The first load after the start of a process may itself exceed a limit that short. */
  private static Reference.Session open(OrtWorker worker, Path model) {
    for (int i = 0; ; i++) {
      try {
        return worker.open(model, Options.DEFAULT);
      } catch (TersorException e) {
        if (i == 5) {
          throw e;
        }
      }
    }
  }

  private static byte[] flags() {
    byte[] flags = new byte[3 * 4 * 5 * 6];
    for (int i = 0; i < flags.length; i += 3) {
      flags[i] = 1;
    }
    return flags;
  }

  @Test
  void classesMayLieInAJarOrInAFolder() throws IOException {
    String marker = "ai/onnxruntime/OrtEnvironment.class";
    assertEquals(
        Path.of("/a b/x.jar"),
        OrtLibrary.place(URI.create("jar:file:/a%20b/x.jar!/" + marker).toURL()));
    assertEquals(
        Path.of("/a b/classes"),
        OrtLibrary.place(URI.create("file:/a%20b/classes/" + marker).toURL()));
    URL elsewhere = URI.create("http://example.org/" + marker).toURL();
    TersorException refused =
        assertThrows(TersorException.class, () -> OrtLibrary.place(elsewhere));
    assertEquals("TSR-0801", refused.code());
  }

  /** Every kind of map that DictVectorizer reads, its keys known, unknown and missing. */
  @ParameterizedTest
  @CsvSource({"STRING, I64", "STRING, F32", "STRING, F64", "I64, STRING", "I64, F32", "I64, F64"})
  void vectorsOfMaps(DType keys, DType values, @TempDir Path folder) {
    SeededRandom random = new SeededRandom(17);
    for (int size : new int[] {0, 1, 5, 40}) {
      Datum.Dictionary map = map(keys, values, size, random);
      List<Long> vocabulary = LongStream.range(-20, 20).map(i -> 3 * i).boxed().toList();
      Attribute known =
          keys == DType.I64
              ? new Attribute.IntsAttr(vocabulary)
              : new Attribute.StringsAttr(vocabulary.stream().map(i -> "ü" + i).toList());
      String name = keys == DType.I64 ? "int64_vocabulary" : "string_vocabulary";
      assertSame("DictVectorizer", Map.of(name, known), map, folder);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "STRING, TO_FLOAT",
    "STRING, TO_INT64",
    "STRING, TO_STRING",
    "F32, TO_FLOAT",
    "F32, TO_INT64",
    "F32, TO_STRING"
  })
  void castsOfMaps(DType values, String to, @TempDir Path folder) {
    SeededRandom random = new SeededRandom(18);
    for (int size : new int[] {1, 5, 40}) {
      Datum.Dictionary map = map(DType.I64, values, size, random);
      assertSame("CastMap", Map.of("cast_to", new Attribute.StringAttr(to)), map, folder);
      assertSame(
          "CastMap",
          Map.of(
              "cast_to",
              new Attribute.StringAttr(to),
              "map_form",
              new Attribute.StringAttr("SPARSE"),
              "max_map",
              new Attribute.IntAttr(130)),
          new Datum.Dictionary(positive(map.keys()), map.values()),
          folder);
    }
  }

  /** A map of that many keys, which are multiples of 1 to 3 and in any order. */
  private static Datum.Dictionary map(DType keys, DType values, int size, SeededRandom random) {
    List<Long> numbers = new ArrayList<>();
    for (long key = -size; numbers.size() < size; key += random.between(1, 3)) {
      numbers.add((int) random.between(0, numbers.size()), key);
    }
    Tensor k = Tensor.zeros(keys, size);
    Tensor v = Tensor.zeros(values, size);
    for (int i = 0; i < size; i++) {
      if (keys == DType.STRING) {
        k.strings()[i] = "ü" + numbers.get(i);
      } else {
        k.longs()[i] = numbers.get(i);
      }
      long value = random.between(-1000, 1000);
      switch (values) {
        case STRING -> v.strings()[i] = Long.toString(value);
        case I64 -> v.longs()[i] = value;
        default -> v.setDouble(i, value / 8.);
      }
    }
    return new Datum.Dictionary(k, v);
  }

  private static Tensor positive(Tensor keys) {
    long least = LongStream.of(keys.longs()).min().orElse(0);
    return Tensor.of(LongStream.of(keys.longs()).map(key -> key - least).toArray(), keys.size());
  }

  private static void assertSame(
      String operator, Map<String, Attribute> attributes, Datum.Dictionary map, Path folder) {
    Compiler compiler = Compiler.standard();
    GraphBuilder b = new GraphBuilder(Map.of("", 13, "ai.onnx.ml", 1), 0);
    Value x =
        b.input(
            "x",
            new ValueType.MapType(
                map.keys().dtype(), ValueType.TensorType.of(map.values().dtype())));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode("read", "ai.onnx.ml", operator, attributes, List.of(x), List.of(y));
    b.output(y);
    Path file = folder.resolve("map.onnx");
    compiler.write(b.build("map", Map.of()), file, Map.of());
    Datum theirs =
        shortest(
            Objects.requireNonNull(ORT.call(file, Map.of("x", map), Options.DEFAULT).get("y")),
            map.values().dtype());
    for (String backend : List.of("interpreter", "jvm")) {
      Datum ours =
          compiler
              .executable(compiler.read(file, Map.of()), backend, CompileOptions.defaults())
              .call(Map.of("x", map))
              .get("y");
      assertEquals(theirs, ours, backend + " " + attributes);
    }
  }

  /**
   * As Tersor writes texts: ONNX Runtime gives floats six digits, and 0.f where a key is missing,
   * of which the specification says nothing.
   */
  private static Datum shortest(Datum theirs, DType from) {
    if (!(theirs instanceof Tensor tensor) || tensor.dtype() != DType.STRING) {
      return theirs;
    }
    String[] texts = tensor.strings().clone();
    for (int i = 0; i < texts.length; i++) {
      if (texts[i].equals("0.f")) {
        texts[i] = "";
      } else if (from == DType.F32) {
        assertTrue(texts[i].matches("-?\\d+\\.\\d{6}"), texts[i]);
        float value = Float.parseFloat(texts[i]);
        texts[i] = value == (long) value ? Long.toString((long) value) : Float.toString(value);
      }
    }
    return new Tensor(DType.STRING, tensor.shape(), texts);
  }

  @Test
  void aMapThatTheReferenceHasNotIsRefused(@TempDir Path folder) {
    Datum.Dictionary map = map(DType.I64, DType.F32, 3, new SeededRandom(1));
    Datum.Dictionary halves =
        new Datum.Dictionary(map.keys(), Tensor.zeros(DType.F16, map.keys().size()));
    TersorException refused =
        assertThrows(
            TersorException.class,
            () ->
                assertSame(
                    "DictVectorizer",
                    Map.of("int64_vocabulary", new Attribute.IntsAttr(List.of(1L))),
                    halves,
                    folder));
    assertEquals("TSR-0804", refused.code());
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "STRING", "I64"})
  void sequencesGoIn(DType type, @TempDir Path folder) {
    Compiler compiler = Compiler.standard();
    GraphBuilder b = new GraphBuilder(Map.of("", 13), 0);
    Value x = b.input("x", new ValueType.SequenceType(ValueType.TensorType.of(type, 2)));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode(
        "",
        "ConcatFromSequence",
        Map.of("axis", new Attribute.IntAttr(0), "new_axis", new Attribute.IntAttr(1)),
        List.of(x),
        List.of(y));
    b.output(y);
    Path file = folder.resolve("sequence.onnx");
    compiler.write(b.build("sequence", Map.of()), file, Map.of());
    SeededRandom random = new SeededRandom(19);
    List<Datum> elements = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      elements.add(map(DType.I64, type, 2, random).values());
    }
    Map<String, Datum> fed = Map.of("x", new Datum.Sequence(elements));
    assertEquals(
        compiler
            .executable(compiler.read(file, Map.of()), "interpreter", CompileOptions.defaults())
            .call(fed),
        ORT.call(file, fed, Options.DEFAULT));
    TersorException refused =
        assertThrows(
            TersorException.class,
            () -> ORT.call(file, Map.of("x", new Datum.Sequence(List.of())), Options.DEFAULT));
    assertEquals("TSR-0804", refused.code());
  }

  /** Maps come out. */
  @Test
  void mapsOfScores(@TempDir Path folder) {
    Compiler compiler = Compiler.standard();
    Tensor x = Tensor.of(new float[] {.25f, .75f, -1, 2}, 2, 2);
    for (Attribute labels :
        List.of(
            new Attribute.IntsAttr(List.of(7L, -3L)),
            new Attribute.StringsAttr(List.of("no", "ja")))) {
      GraphBuilder b = new GraphBuilder(Map.of("", 13, "ai.onnx.ml", 1), 0);
      Value result = b.value("z", ValueType.UNKNOWN);
      b.addNode(
          "zip",
          "ai.onnx.ml",
          "ZipMap",
          Map.of(
              labels instanceof Attribute.IntsAttr ? "classlabels_int64s" : "classlabels_strings",
              labels),
          List.of(b.input("x", ValueType.TensorType.of(DType.F32, 2, 2))),
          List.of(result));
      b.output(result);
      Path file = folder.resolve("zip.onnx");
      compiler.write(b.build("zip", Map.of()), file, Map.of());
      Datum theirs = ORT.call(file, Map.of("x", x), Options.DEFAULT).get("z");
      Datum ours =
          compiler
              .executable(compiler.read(file, Map.of()), "interpreter", CompileOptions.defaults())
              .call(Map.of("x", x))
              .get("z");
      assertEquals(rows(ours), rows(theirs));
      assertEquals(2, rows(ours).size());
    }
  }

  /** Values by key, row by row. */
  private static List<Map<Object, Double>> rows(@Nullable Datum maps) {
    List<Map<Object, Double>> rows = new ArrayList<>();
    for (Datum element : ((Datum.Sequence) Objects.requireNonNull(maps)).elements()) {
      Datum.Dictionary map = (Datum.Dictionary) element;
      Map<Object, Double> row = new HashMap<>();
      for (int i = 0; i < map.keys().size(); i++) {
        Object key =
            map.keys().dtype() == DType.STRING ? map.keys().strings()[i] : map.keys().getLong(i);
        row.put(key, map.values().getDouble(i));
      }
      rows.add(row);
    }
    return rows;
  }
}
