package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.onnx.OnnxTensors;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

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
          "shufflenet-v2-int8/shufflenet-v2-12-int8.onnx",
          "magika-v3_3/model.onnx",
          "dtln-1/model_1.onnx",
          "dtln-2/model_2.onnx",
          "libtashkeel/libtashkeel_fp32.onnx seq=20",
          "libtashkeel/libtashkeel_int8.onnx seq=20",
          "silero-vad/silero_vad.onnx d0=1 d1=512 d2=1 sr=16000",
          "silero-vad/silero_vad.onnx d0=1 d1=256 d2=1 sr=8000");

  /** Backends by models, each a file with values of dimensions and of scalar inputs. */
  static Stream<Arguments> cases() {
    return Stream.of("native", "jvm").flatMap(b -> MODELS.stream().map(m -> Arguments.of(b, m)));
  }

  private static LoadedModel load(String backend, Path file, Map<String, Long> dims) {
    Compiler compiler = Compiler.standard();
    compiler
        .registry()
        .backend(backend)
        .unavailable()
        .ifPresent(why -> Assumptions.abort(backend + " is not available: " + why));
    return LoadedModel.of(
        compiler, compiler.read(file, Map.of()), backend, CompileOptions.defaults().withDims(dims));
  }

  private static Map<String, Tensor> drawn(LoadedModel loaded, Map<String, Long> dims) {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    RandomInputs.draw(loaded.graph(), loaded.executable().inputs(), dims, 1)
        .forEach((name, drawn) -> inputs.put(name, drawn.tensor()));
    return inputs;
  }

  private static Verifier.Report verify(String backend, String model) {
    List<String> words = List.of(model.split(" "));
    Path file = TestData.path("models/" + words.getFirst());
    Map<String, Long> dims = new LinkedHashMap<>();
    Map<String, Tensor> scalars = new LinkedHashMap<>();
    for (String word : words.subList(1, words.size())) {
      String name = word.substring(0, word.indexOf('='));
      long value = Long.parseLong(word.substring(name.length() + 1));
      if (name.equals("sr")) {
        scalars.put(name, new Tensor(DType.I64, new long[0], new long[] {value}));
      } else {
        dims.put(name, value);
      }
    }
    LoadedModel loaded = load(backend, file, dims);
    Map<String, Tensor> inputs = drawn(loaded, dims);
    inputs.putAll(scalars);
    try (Reference ort = new OrtWorker()) {
      return new Verifier(ort, Compiler.standard())
          .verify(file, loaded.graph(), loaded.executable(), inputs);
    }
  }

  /** The other branch fits windows of 256 samples only: it fails when it is chosen, not before. */
  @ParameterizedTest
  @ValueSource(strings = {"interpreter", "jvm"})
  void aBranchThatDoesNotFitTheShapesFailsWhenItIsChosen(String backend) {
    Map<String, Long> dims = Map.of("d0", 1L, "d1", 512L, "d2", 1L);
    LoadedModel loaded = load(backend, TestData.path("models/silero-vad/silero_vad.onnx"), dims);
    Map<String, Tensor> inputs = drawn(loaded, dims);
    // The number that the model compares the rate with is what is drawn.
    assertEquals(16000, Objects.requireNonNull(inputs.get("sr")).getLong(0));
    assertEquals(1, Objects.requireNonNull(loaded.executable().run(inputs).get("output")).size());
    inputs.put("sr", new Tensor(DType.I64, new long[0], new long[] {8000}));
    TersorException fault =
        assertThrows(TersorException.class, () -> loaded.executable().run(inputs));
    assertEquals("TSR-0303", fault.code());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void agreesWithOnnxRuntime(String backend, String model) {
    Verifier.Report report = verify(backend, model);
    assertTrue(
        report.passed(),
        () -> report.rule() + "; max abs " + report.maxAbs() + ", cosine " + report.cosine());
  }

  /** The sample and the result that came with the model. */
  @ParameterizedTest
  @ValueSource(strings = {"native", "jvm"})
  void superResolutionGivesItsStoredResult(String backend) {
    Path folder = TestData.path("models/super-resolution");
    LoadedModel loaded = load(backend, folder.resolve("super_resolution.onnx"), Map.of());
    Tensor sample =
        OnnxTensors.read(TestData.path("models/super-resolution/test_data_set_0/input_0.pb"));
    Tensor stored =
        OnnxTensors.read(TestData.path("models/super-resolution/test_data_set_0/output_0.pb"));
    // The stored sample has no batch and channel dimension.
    Map<String, Tensor> inputs = Map.of("input", sample.reshaped(1, 1, 224, 224));
    Comparison comparison =
        Verifier.compare(loaded.graph(), loaded.executable().run(inputs), Map.of("output", stored))
            .getFirst();
    assertTrue(comparison.passed(), comparison::note);
  }

  /** Its file declares shapes of no elements, so that ONNX Runtime needs a copy that does not. */
  @ParameterizedTest
  @ValueSource(strings = {"native", "jvm"})
  void aFileThatContradictsItselfIsJudgedByACopyThatDoesNot(String backend) {
    Path file = TestData.path("models/ppocrv3-det-en/text_detection_en_ppocrv3_2023may.onnx");
    Compiler compiler = Compiler.standard();
    List<String> contradictions = compiler.contradictions(compiler.read(file, Map.of()), file);
    assertEquals(15, contradictions.size());
    assertTrue(contradictions.getFirst().contains("f32[1, 8, 0, 0]"), contradictions.getFirst());
    LoadedModel loaded = load(backend, file, Map.of());
    Map<String, Tensor> inputs = drawn(loaded, Map.of("_", 64L));
    try (Reference ort = new OrtWorker()) {
      for (boolean known : new boolean[] {true, false}) {
        Verifier.Report report =
            new Verifier(ort, compiler)
                .withContradictions(known)
                .verify(file, loaded.graph(), loaded.executable(), inputs);
        assertTrue(report.passed(), () -> report.outputs().toString());
        assertTrue(report.notes().getFirst().contains("without value_info"));
      }
    }
  }

  /**
   * On random inputs the rounding of float32 exceeds the tolerance at some of 301,665 values, and a
   * run in float64 shows that ONNX Runtime itself is outside it: what were exact would fail, too.
   * So Tersor must be nearer to float64 than ONNX Runtime is, in the mean and in the number of
   * values outside. When the first assertion fails the model passes: move it to the list above.
   */
  @ParameterizedTest
  @ValueSource(strings = {"native", "jvm"})
  void yoloxIsOutsideTheToleranceButMoreExactThanTheReference(String backend) {
    Path file = TestData.path("models/yolox-nano/yolox_nano.onnx");
    LoadedModel loaded = load(backend, file, Map.of());
    Map<String, Tensor> inputs = drawn(loaded, Map.of());
    Compiler compiler = Compiler.standard();
    try (Reference ort = new OrtWorker()) {
      Verifier.Report report =
          new Verifier(ort, compiler).verify(file, loaded.graph(), loaded.executable(), inputs);
      assertFalse(report.passed(), "it passes now");
      assertTrue(report.cosine() > 0.999999999, "cosine " + report.cosine());
      Map<String, Tensor> exact =
          Witness.run(compiler.read(file, Map.of()), compiler.registry().operators(), inputs);
      Witness.Opinion opinion = Witness.judge(exact, report.actual(), report.expected()).getFirst();
      assertTrue(opinion.reference().outside() > 0, "ONNX Runtime is inside now: " + opinion);
      assertTrue(opinion.tersor().rms() <= opinion.reference().rms(), "too far: " + opinion);
      assertTrue(
          opinion.tersor().outside() <= opinion.reference().outside(), "too far: " + opinion);
    }
  }
}
