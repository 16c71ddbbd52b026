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
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.conformance.Reference;
import org.tersor.conformance.Reference.Options;
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

  /** Maps come out; the Java API can feed none. */
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
