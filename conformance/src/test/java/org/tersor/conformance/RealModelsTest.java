package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.Tensor;

/** Real trained models on compiled backends, judged by ONNX Runtime on the same seeded inputs. */
class RealModelsTest {
  private static final List<String> MODELS =
      List.of(
          "mnist-8/mnist-8.onnx",
          "mnist-burn/mnist.onnx",
          "super-resolution/super_resolution.onnx",
          "squeezenet-fp16/SqueezeNet_fp16.onnx",
          "ultraface-rfb-320/version-RFB-320.onnx",
          "vittrack/vitTracker.onnx",
          "micro-kws/micro_kws_m_static_fp32.onnx",
          "micro-kws/micro_kws_m_static_qdq.onnx",
          "micro-kws/micro_kws_m_static_qoperator.onnx",
          "micro-kws/micro_kws_m_qdq.onnx",
          "micro-kws/micro_kws_m_qoperator_softmax.onnx",
          "shufflenet-v2-int8/shufflenet-v2-12-int8.onnx");

  static Stream<Arguments> cases() {
    return Stream.of("native", "jvm").flatMap(b -> MODELS.stream().map(m -> Arguments.of(b, m)));
  }

  private static Verifier.Report verify(String backend, String model) throws Exception {
    Path file = TestData.path("models/" + model);
    Compiler compiler = Compiler.standard();
    compiler
        .registry()
        .backend(backend)
        .unavailable()
        .ifPresent(why -> Assumptions.abort(backend + " is not available: " + why));
    Graph graph = compiler.read(file, Map.of());
    CompileOptions options = CompileOptions.defaults();
    LoadedModel loaded = LoadedModel.of(compiler, graph, backend, options);
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    RandomInputs.draw(loaded.graph(), loaded.executable().inputs(), Map.of(), 1)
        .forEach((name, drawn) -> inputs.put(name, drawn.tensor()));
    try (Reference ort = new OrtWorker()) {
      return new Verifier(ort, compiler).verify(file, loaded.graph(), loaded.executable(), inputs);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void agreesWithOnnxRuntime(String backend, String model) throws Exception {
    Verifier.Report report = verify(backend, model);
    assertTrue(
        report.passed(),
        () -> report.rule() + "; max abs " + report.maxAbs() + ", cosine " + report.cosine());
  }

  /**
   * A known miss: on random inputs single-precision noise exceeds the tolerance at about 50 of
   * 301,665 values, between two settings of ONNX Runtime as well. When this fails the model passes:
   * move it to the list above.
   */
  @ParameterizedTest
  @MethodSource("missed")
  void yoloxIsCloseButOutsideTheTolerance(String backend) throws Exception {
    Verifier.Report report = verify(backend, "yolox-nano/yolox_nano.onnx");
    assertFalse(report.passed(), "it passes now");
    assertTrue(report.cosine() > 0.999999999, "cosine " + report.cosine());
    assertTrue(report.maxAbs() < 1e-3, "max abs " + report.maxAbs());
  }

  static Stream<String> missed() {
    return Stream.of("native");
  }
}
