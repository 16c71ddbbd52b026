package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.conformance.zoo.Zoo;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class ZooTest {
  private static final Tensor NONE = Tensor.zeros(DType.F32, 0);
  private static final OrtWorker ORT = new OrtWorker();

  @TempDir static Path folder;

  @AfterAll
  static void stop() {
    ORT.close();
  }

  /** Parameters without running statistics, as published. */
  @ParameterizedTest
  @CsvSource({
    "mobilenetv2, 3504872",
    "squeezenet11, 1235496",
    "resnet18, 11689512",
    "resnet50, 25557032"
  })
  void architecturesHaveThePublishedSizes(String name, long parameters) {
    Graph graph = Zoo.build(name, Zoo.Options.DEFAULT);
    long found =
        graph.constants().entrySet().stream()
            .filter(e ->
                e.getKey().name().contains(".")
                    && !e.getKey().name().endsWith(".mean")
                    && !e.getKey().name().endsWith(".var"))
            .map(Map.Entry::getValue)
            .mapToLong(Constant::elements)
            .sum();
    assertEquals(parameters, found);
  }

  @ParameterizedTest
  @CsvSource({"mobilenetv2, none", "mobilenetv2, I8", "squeezenet11, U8"})
  void onnxRuntimeRunsThemAndNothingExplodes(String name, String qdq) {
    Optional<DType> activations =
        qdq.equals("none") ? Optional.empty() : Optional.of(DType.valueOf(qdq));
    Graph graph = Zoo.build(name, Zoo.Options.DEFAULT.withQdq(activations));
    Path file = folder.resolve(name + qdq + ".onnx");
    Compiler.standard().write(graph, file, Map.of());
    Tensor image = Tensor.zeros(DType.F32, 1, 3, 224, 224);
    SeededRandom random = new SeededRandom(5);
    for (int i = 0; i < image.size(); i++) {
      image.floats()[i] = (float) random.nextGaussian();
    }
    Tensor scores =
        ORT.run(file, Map.of("input", image), Reference.Options.DEFAULT)
            .getOrDefault("output", NONE);
    double[] values = Comparison.values(scores);
    double deviation = Math.sqrt(Arrays.stream(values).map(v -> v * v).average().orElse(0));
    assertEquals(1000, values.length);
    assertTrue(
        deviation > .02 && deviation < 20, name + ": scores have a deviation of " + deviation);
  }

  @Test
  void integerMatmulIsExact() {
    Path file = folder.resolve("matmul.onnx");
    Graph graph =
        Zoo.build(
            "matmul-3x5x7",
            new Zoo.Options(1, 1, Optional.empty(), true, 128, true, Zoo.Text.DEFAULT));
    Compiler.standard().write(graph, file, Map.of());
    Tensor a = Tensor.zeros(DType.U8, 3, 7);
    SeededRandom random = new SeededRandom(5);
    for (int i = 0; i < a.size(); i++) {
      a.bytes()[i] = (byte) random.nextLong();
    }
    Map<String, Constant> constants = new java.util.HashMap<>();
    graph.constants().forEach((v, c) -> constants.put(v.name(), c));
    Tensor b = constants.getOrDefault("B", Constant.of(NONE)).load();
    Tensor zeros = constants.getOrDefault("b_zero_point", Constant.of(NONE)).load();
    Tensor y = ORT.run(file, Map.of("A", a), Reference.Options.DEFAULT).getOrDefault("Y", NONE);
    for (int m = 0; m < 3; m++) {
      for (int n = 0; n < 5; n++) {
        long sum = 0;
        for (int k = 0; k < 7; k++) {
          sum += (a.getLong(m * 7 + k) - 128) * (b.getLong(k * 5 + n) - zeros.getLong(n));
        }
        assertEquals(sum, y.getLong(m * 5 + n));
      }
    }
  }

  @Test
  void anUnknownNameIsADiagnostic() {
    assertEquals(
        "TSR-0905",
        assertThrows(TersorException.class, () -> Zoo.build("vgg", Zoo.Options.DEFAULT)).code());
  }
}
