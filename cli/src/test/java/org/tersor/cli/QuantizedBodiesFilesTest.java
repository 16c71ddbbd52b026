package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.ChannelFactors;
import org.tersor.passes.quant.QuantPlan;
import org.tersor.passes.quant.Quantizer;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** What was decided in bodies arrives in plans, in files and in other runtimes. */
class QuantizedBodiesFilesTest extends QuantizedBodies {
  @TempDir Path folder;

  @Test
  void integersGiveWhatTheQuantizersSayOnEveryBackendAndInOnnxRuntime() throws IOException {
    Quantizer.Quantized quantized = quantizer.quantize(model, samples, options());
    Path file = folder.resolve("bodies.onnx");
    compiler.write(compiler.exportable(quantized.graph(), compile), file, Map.of());
    Graph again = compiler.prepare(compiler.read(file, Map.of()), compile);
    try (Reference reference = new OrtWorker();
        Reference.Session session = reference.open(file, Reference.Options.DEFAULT)) {
      for (Map<String, Tensor> sample : samples) {
        Tensor codes = output(quantized.graph(), "interpreter", sample);
        double largest = 0;
        for (int i = 0; i < codes.size(); i++) {
          largest = Math.max(largest, Math.abs(codes.getDouble(i)));
        }
        // A code that lies between two may round to the other one: a step somewhere on the way.
        double step = 2 * largest / 255;
        near(codes, output(quantized.graph(), "jvm", sample), step, "jvm");
        near(codes, output(again, "jvm", sample), step, "read again");
        near(codes, (Tensor) session.run(sample).values().iterator().next(), step, "ONNX Runtime");
      }
    }
  }

  /** Codes of 4 bits need another opset, in bodies as outside. */
  @Test
  void weightsOfFourBitsAreExported() throws IOException {
    Quantizer.Options four =
        new Quantizer.Options(
            "s4_symmetric_channel_restricted",
            Optional.empty(),
            new Calibrator.MinMax(),
            "interpreter",
            compile);
    Quantizer.Quantized quantized = quantizer.quantize(model, List.of(), four);
    assertEquals(LAYERS, quantized.plan().weights().keySet());
    Path file = folder.resolve("four.onnx");
    compiler.write(compiler.exportable(quantized.graph(), compile), file, Map.of());
    // By default ONNX Runtime rounds the other factor of such products to 8 bits: 0.003 apart.
    Reference.Options exact = new Reference.Options(Reference.Optimization.FLOAT, 1);
    try (Reference reference = new OrtWorker();
        Reference.Session session = reference.open(file, exact)) {
      for (Map<String, Tensor> sample : samples) {
        near(
            output(quantized.graph(), "interpreter", sample),
            (Tensor) session.run(sample).values().iterator().next(),
            1e-5,
            "ONNX Runtime");
      }
    }
  }

  /** The codes are those of the plan in the file, each once, in the bodies where they are used. */
  @Test
  void aPlanIsReplayedAndItsCodesArriveUnchanged() {
    Quantizer.Decisions decisions =
        quantizer.decide(
            base, samples, options().with(WeightMethod.parse("gptq"), new ChannelFactors.None()));
    assertEquals(LAYERS, decisions.plan().choices().keySet());
    QuantPlan read = QuantPlan.parse(decisions.plan().text());
    assertEquals(decisions.plan(), read);
    Quantizer.Decisions kept =
        new Quantizer.Decisions(read, decisions.codes(), Map.of(), List.of());
    Graph coded = quantizer.apply(quantizer.base(model, compile), kept, compile);
    Path file = folder.resolve("gptq.onnx");
    compiler.write(compiler.exportable(coded, compile), file, Map.of());
    Map<String, Integer> planned = new TreeMap<>();
    decisions
        .plan()
        .choices()
        .values()
        .forEach(choice -> planned.merge(choice.sha256(), 1, Integer::sum));
    Map<String, Integer> found = new TreeMap<>();
    codes(compiler.read(file, Map.of()), found);
    assertEquals(planned, found);
    TersorException missing =
        assertThrows(TersorException.class, () -> quantizer.apply(base, read, compile));
    assertEquals("TSR-0420", missing.code());
    assertTrue(String.valueOf(missing.getMessage()).contains("/"), missing::getMessage);
  }

  private static void codes(Graph graph, Map<String, Integer> found) {
    for (Node node : graph.nodes()) {
      Graph.bodies(node).forEach(body -> codes(body, found));
      if (node.op().is("DequantizeLinear")
          && graph.constant(node.input(0)).filter(c -> c.dtype() == DType.I8).isPresent()) {
        found.merge(QuantizationMethodsTest.checksum(graph, node), 1, Integer::sum);
      }
    }
  }

  /** A branch that the given dimensions contradict: ONNX Runtime takes the file all the same. */
  @Test
  void aBranchThatNoCallCanTakeIsExported() throws IOException {
    GraphBuilder b = new GraphBuilder(OPSET, 0);
    Value x = b.input("x", TensorType.of(DType.F32, List.of(DimExpr.of(2), DimExpr.symbol("n"))));
    Value c = b.input("c", TensorType.of(DType.BOOL));
    GraphBuilder then = new GraphBuilder(OPSET, 100);
    then.output(node(then, "relu", "Relu", layer(then, "one", x)));
    GraphBuilder otherwise = new GraphBuilder(OPSET, 200);
    Value narrow = otherwise.constant("narrow", Constant.of(normal(.4, WIDTH - 3, WIDTH)));
    otherwise.output(node(otherwise, "one", "MatMul", x, narrow));
    b.output(
        Choice.of(
            b,
            "choose",
            "chosen",
            c,
            then.build("then", Map.of()),
            otherwise.build("else", Map.of())));
    CompileOptions bound = compile.withDims(Map.of("n", (long) WIDTH));
    Quantizer.Quantized quantized =
        quantizer.quantize(
            b.build("contradiction", Map.of()),
            samples,
            quantizer.options("int8", new Calibrator.MinMax(), "interpreter", bound));
    assertEquals(Set.of(THEN + "one"), quantized.plan().weights().keySet());
    Path file = folder.resolve("contradiction.onnx");
    compiler.write(compiler.exportable(quantized.graph(), bound), file, Map.of());
    Graph read = compiler.read(file, Map.of());
    assertEquals(
        TensorType.of(DType.F32, List.of(DimExpr.symbol("x_0"), DimExpr.symbol("x_1"))),
        read.type(read.inputs().getFirst()));
    Map<String, Tensor> sample = new TreeMap<>(samples.getFirst());
    sample.remove("seq");
    try (Reference reference = new OrtWorker();
        Reference.Session session = reference.open(file, Reference.Options.DEFAULT)) {
      near(
          output(quantized.graph(), "interpreter", sample),
          (Tensor) session.run(sample).values().iterator().next(),
          1e-5,
          "ONNX Runtime");
    }
  }
}
