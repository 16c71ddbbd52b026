package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.Diagnosis;
import org.tersor.passes.quant.Diagnostician;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/** Causes that are built into a small network are found at the layer that has them. */
class DiagnosisTest {
  private final Compiler compiler = Compiler.standard();
  private final Quantizer quantizer = new Quantizer(compiler);
  private final Random random = new Random(11);

  private Tensor normal(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return tensor;
  }

  private List<Map<String, Tensor>> samples(int count) {
    List<Map<String, Tensor>> samples = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      samples.add(Map.of("x", normal(1, 8)));
    }
    return samples;
  }

  /** Two matrix products with a ReLU between; the first has one output that is far larger. */
  private Graph graph(float gain) {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 1, 8));
    Tensor first = normal(8, 16);
    for (int k = 0; k < 8; k++) {
      first.floats()[k * 16 + 5] *= gain;
    }
    Value h = b.value("h", ValueType.UNKNOWN);
    b.addNode(
        "first",
        "",
        "MatMul",
        Map.of(),
        List.of(x, b.constant("w1", Constant.of(first))),
        List.of(h));
    Value a = b.value("a", ValueType.UNKNOWN);
    b.addNode("act", "", "Relu", Map.of(), List.of(h), List.of(a));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode(
        "second",
        "",
        "MatMul",
        Map.of(),
        List.of(a, b.constant("w2", Constant.of(normal(16, 4)))),
        List.of(y));
    b.output(y);
    return b.build("g", Map.of());
  }

  private Diagnosis diagnose(Graph graph, String scheme) {
    CompileOptions compile = CompileOptions.defaults();
    Quantizer.Options options =
        quantizer.options(scheme, new Calibrator.MinMax(), "interpreter", compile);
    List<Map<String, Tensor>> samples = samples(6);
    Quantizer.Quantized quantized = quantizer.quantize(graph, samples, options);
    return new Diagnostician(compiler, quantized, "interpreter", compile)
        .diagnose(samples, quantizer.errors(quantized, samples, options));
  }

  private static Map<String, List<String>> kinds(Diagnosis diagnosis) {
    return diagnosis.layers().stream()
        .collect(
            Collectors.toMap(
                Diagnosis.Layer::node,
                l -> l.causes().stream().map(Diagnosis.Cause::kind).toList()));
  }

  @Test
  void wellBehavedLayersHaveNoCause() {
    Diagnosis diagnosis = diagnose(graph(1), "s8_symmetric_channel");
    assertEquals(Map.of("first", List.of(), "second", List.of()), kinds(diagnosis));
    assertEquals(6, diagnosis.samples().size());
    assertEquals(
        List.of("MatMul", "Relu", "MatMul"),
        diagnosis.boxes().stream().map(Diagnosis.Box::operator).toList());
    assertEquals(List.of(1), diagnosis.boxes().get(2).from());
  }

  /** The first layer has nothing before it: alone and in the model it loses the same. */
  @Test
  void aloneTheErrorIsNeverLargerThanInTheModel() {
    List<Diagnosis.Layer> layers = diagnose(graph(1), "s8_symmetric_channel").layers();
    assertEquals(layers.getFirst().accumulated().orElseThrow(), layers.getFirst().isolated(), 1e-6);
    assertTrue(layers.getLast().isolated() > layers.getLast().accumulated().orElseThrow());
    for (Diagnosis.Layer layer : layers) {
      assertTrue(layer.isolated() > 25 && layer.isolated() < 60, layer.toString());
      assertEquals(
          layer.floatBytes() / 4, layer.weights().counts().stream().mapToLong(c -> c).sum());
      assertTrue(layer.inputClip().isPresent());
    }
  }

  @Test
  void aDominantChannelIsNamed() {
    Diagnosis diagnosis = diagnose(graph(100), "s8_symmetric_tensor");
    Diagnosis.Layer first = diagnosis.layers().getFirst();
    assertTrue(
        first.causes().stream()
            .anyMatch(c -> c.kind().equals("dominant-channel") && c.words().contains("channel 5")),
        first.toString());
    assertTrue(
        first.causes().stream().anyMatch(c -> c.words().contains("one output channel")),
        first.toString());
    assertTrue(
        diagnosis.layers().getLast().causes().stream()
            .anyMatch(c -> c.words().contains("channel 5 of the input")),
        diagnosis.toString());
  }

  /** With a scale for each channel only the activations suffer. */
  @Test
  void aScaleForEachChannelRemovesTheWeightsFromTheCauses() {
    Diagnosis.Layer first = diagnose(graph(100), "s8_symmetric_channel").layers().getFirst();
    assertFalse(
        first.causes().stream().anyMatch(c -> c.words().contains("one output channel")),
        first.toString());
  }

  @Test
  void floatActivationsHaveNoRange() {
    CompileOptions compile = CompileOptions.defaults();
    Quantizer.Options options =
        new Quantizer.Options(
            "s8_symmetric_channel",
            Optional.empty(),
            new Calibrator.MinMax(),
            "interpreter",
            compile);
    List<Map<String, Tensor>> samples = samples(2);
    Quantizer.Quantized quantized = quantizer.quantize(graph(1), samples, options);
    Diagnosis diagnosis =
        new Diagnostician(compiler, quantized, "interpreter", compile)
            .diagnose(samples, quantizer.errors(quantized, samples, options));
    assertEquals(2, diagnosis.layers().size());
    assertTrue(diagnosis.layers().stream().allMatch(l -> l.inputClip().isEmpty()));
  }
}
