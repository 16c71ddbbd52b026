package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ReferenceExecutable;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Weights of LSTM, GRU and RNN in codes: W and R are decoded, whoever computes. */
class RecurrentCodesTest {
  private static final int STEPS = 5;
  private static final int INPUT = 64;
  private static final int HIDDEN = 32;

  @TempDir Path folder = Path.of("");

  private final Compiler compiler = Compiler.standard();
  private final CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
  private final Quantizer quantizer = new Quantizer(compiler);
  private final Random random = new Random(11);

  private Tensor input() {
    return RecurrentModel.normal(random, 1, STEPS, 2, INPUT);
  }

  private Graph graph(String type, int directions) {
    return quantizer.base(
        new RecurrentModel(type, directions, STEPS, INPUT, HIDDEN).graph(random), compile);
  }

  private Quantizer.Quantized coded(Graph base, String format) {
    return quantizer.quantize(
        base,
        List.of(),
        new Quantizer.Options(
            format, Optional.empty(), new Calibrator.MinMax(), "interpreter", compile));
  }

  private float[] run(Graph graph, String backend, CompileOptions options, Tensor x) {
    return Objects.requireNonNull(
            compiler.link(graph, backend, options).run(Map.of("x", x)).get("y"))
        .floats();
  }

  @ParameterizedTest
  @CsvSource({
    "LSTM, 1, s8_symmetric_channel_restricted, 35",
    "LSTM, 2, s8_symmetric_channel_restricted, 35",
    "GRU, 2, q4_0, 12",
    "GRU, 1, s8_symmetric_channel_restricted, 35",
    "LSTM, 1, u4_affine_g32, 12",
    "RNN, 2, u4_affine_g32, 12"
  })
  void backendsAndTheExportedFileDecodeTheSame(
      String type, int directions, String format, double least) throws IOException {
    Graph base = graph(type, directions);
    Quantizer.Quantized quantized = coded(base, format);
    assertEquals(
        Map.of("cell#1", format, "cell#2", format), quantized.plan().weights(), "both operands");
    Tensor x = input();
    float[] exact = run(base, "interpreter", compile, x);
    float[] defined = run(quantized.graph(), "interpreter", compile, x);
    double noise = RecurrentModel.decibels(exact, defined);
    assertTrue(noise > least && noise < 70, type + ": " + noise + " dB");
    for (String backend : List.of("jvm", "native")) {
      if (compiler.registry().backend(backend).unavailable().isEmpty()) {
        for (String memory : List.of("fast", "small")) {
          Map<String, String> settings = Map.of(Compiler.MEMORY, memory);
          CompileOptions options =
              new CompileOptions(
                  Map.of(),
                  1,
                  Optional.empty(),
                  settings,
                  compile.debug(),
                  compile.note(),
                  compile.schedules());
          assertArrayEquals(
              defined, run(quantized.graph(), backend, options, x), 1e-5f, backend + memory);
        }
      }
    }
    Path file = folder.resolve("coded.onnx");
    Graph written = compiler.exportable(quantized.graph(), compile);
    compiler.write(written, file, Map.of());
    List<String> floats =
        written.constants().entrySet().stream()
            .filter(c -> c.getValue().dtype() == DType.F32 && c.getValue().elements() > 2048)
            .map(c -> c.getKey().name())
            .toList();
    assertEquals(List.of(), floats, "weights that are floats in the file");
    assertTrue(written.nodes().stream().map(Node::op).anyMatch(op -> op.is("DequantizeLinear")));
    try (Reference ort = new OrtWorker();
        Reference.Session session = ort.open(file, Reference.Options.DEFAULT)) {
      Map<String, Tensor> results = new ReferenceExecutable("ort", session).run(Map.of("x", x));
      assertArrayEquals(
          defined, Objects.requireNonNull(results.get("y")).floats(), 1e-5f, "ONNX Runtime");
    }
  }

  /** With codes of activations, too: the layer behind computes with integers, the cell does not. */
  @Test
  void theReportSaysWhatBecameOfThem() {
    Graph base = graph("LSTM", 1);
    Quantizer.Quantized quantized = coded(base, "s8_symmetric_channel_restricted");
    Map<String, String> said = new LinkedHashMap<>();
    quantizer.layers(quantized, compile).forEach(layer -> said.put(layer.node(), layer.why()));
    assertEquals(List.of("cell#1", "cell#2"), List.copyOf(said.keySet()));
    assertTrue(said.values().stream().allMatch(why -> why.contains("decoded")), said::toString);
  }
}
