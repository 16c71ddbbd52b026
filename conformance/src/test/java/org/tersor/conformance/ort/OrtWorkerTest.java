package org.tersor.conformance.ort;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.conformance.Reference;
import org.tersor.conformance.Reference.Options;
import org.tersor.conformance.TestData;
import org.tersor.runtime.DType;
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
}
