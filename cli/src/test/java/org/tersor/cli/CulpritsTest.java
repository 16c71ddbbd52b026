package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ReferenceExecutable;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.Culprits;
import org.tersor.passes.quant.Diagnosis;
import org.tersor.passes.quant.Diagnostician;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.DType;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;

/** Blamed layers are models of their own, in which another runtime sees the same noise. */
class CulpritsTest {
  @TempDir Path folder = Path.of("");

  private final Random random = new Random(3);

  private Tensor normal(long... shape) {
    Tensor tensor = Tensor.zeros(DType.F32, shape);
    for (int i = 0; i < tensor.size(); i++) {
      tensor.floats()[i] = (float) random.nextGaussian();
    }
    return tensor;
  }

  /** Conv, ReLU, Conv; one channel in between is far larger than the others. */
  private Graph graph() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    return layers(b, b.input("x", TensorType.of(DType.F32, 1, 4, 8, 8)));
  }

  /** The same in a body that captures what it reads. */
  private Graph graph(Value x) {
    return layers(new GraphBuilder(Map.of("", 17), 0), x);
  }

  private Graph layers(GraphBuilder b, Value x) {
    Tensor first = normal(8, 4, 3, 3);
    for (int i = 0; i < 36; i++) {
      first.floats()[5 * 36 + i] *= 100;
    }
    Value h = b.value("h", ValueType.UNKNOWN);
    Map<String, Attribute> pads = Map.of("pads", new Attribute.IntsAttr(List.of(1L, 1L, 1L, 1L)));
    b.addNode(
        "first", "", "Conv", pads, List.of(x, b.constant("w1", Constant.of(first))), List.of(h));
    Value a = b.value("a", ValueType.UNKNOWN);
    b.addNode("act", "", "Relu", Map.of(), List.of(h), List.of(a));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode(
        "second/odd name",
        "",
        "Conv",
        Map.of(),
        List.of(a, b.constant("w2", Constant.of(normal(4, 8, 3, 3)))),
        List.of(y));
    b.output(y);
    return b.build("g", Map.of());
  }

  @Test
  void onnxRuntimeSeesTheReportedNoise() throws IOException {
    List<Map<String, Tensor>> samples = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      samples.add(Map.of("x", normal(1, 4, 8, 8)));
    }
    check(graph(), samples, List.of("first", "second/odd name"), 4);
  }

  /** Both layers in a branch that two of four samples take. */
  @Test
  void layersInBranchesAreBlamedToo() throws IOException {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 1000);
    Value c = b.input("c", TensorType.of(DType.BOOL));
    Value x = b.input("x", TensorType.of(DType.F32, 1, 4, 8, 8));
    GraphBuilder otherwise = new GraphBuilder(Map.of("", 17), 2000);
    otherwise.output(otherwise.constant(Tensor.zeros(DType.F32, 1, 4, 6, 6)));
    b.output(Choice.of(b, "choose", "y", c, graph(x), otherwise.build("else", Map.of())));
    List<Map<String, Tensor>> samples = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      Tensor condition = Tensor.zeros(DType.BOOL);
      condition.setLong(0, i % 2);
      samples.add(Map.of("c", condition, "x", normal(1, 4, 8, 8)));
    }
    String path = "choose.then_branch/";
    check(b.build("g", Map.of()), samples, List.of(path + "first", path + "second/odd name"), 2);
  }

  /**
   * @param calls that reach the layers
   */
  private void check(Graph graph, List<Map<String, Tensor>> samples, List<String> layers, int calls)
      throws IOException {
    Compiler compiler = Compiler.standard();
    Quantizer quantizer = new Quantizer(compiler);
    CompileOptions compile = CompileOptions.defaults().withNote(note -> {});
    Quantizer.Options options =
        quantizer.options("s8_symmetric_tensor", new Calibrator.MinMax(), "interpreter", compile);
    Quantizer.Quantized quantized = quantizer.quantize(graph, samples, options);
    Diagnosis diagnosis =
        new Diagnostician(compiler, quantized, "interpreter", compile)
            .diagnose(samples, quantizer.errors(quantized, samples, options));
    List<Culprits.Culprit> culprits =
        Culprits.of(compiler, quantized, "interpreter", compile, samples, diagnosis, 5);
    assertEquals(
        layers,
        culprits.stream().map(culprit -> culprit.layer().node()).sorted().toList(),
        "both layers suffer from channel 5");
    culprits.forEach(culprit -> assertEquals(calls, culprit.inputs().size()));
    List<Path> files = CulpritFiles.write(compiler, compile, culprits, folder);
    assertTrue(Files.readString(folder.resolve("culprits.txt")).contains("channel 5"));
    try (Reference ort = new OrtWorker()) {
      for (int n = 0; n < files.size(); n++) {
        Map<String, Tensor> arrays =
            Npy.readAll(Path.of(files.get(n).toString().replace(".onnx", ".npz")));
        double signal = 0;
        double noise = 0;
        try (Reference.Session session = ort.open(files.get(n), Reference.Options.DEFAULT)) {
          ReferenceExecutable model = new ReferenceExecutable("ort", session);
          String input = model.inputs().getFirst().name();
          for (int i = 0; i < calls; i++) {
            Tensor x = Objects.requireNonNull(arrays.get(i + ":" + input));
            Tensor exact = Objects.requireNonNull(arrays.get(i + ":expected"));
            Tensor y = model.run(Map.of(input, x)).values().iterator().next();
            for (int e = 0; e < exact.size(); e++) {
              signal += exact.getDouble(e) * exact.getDouble(e);
              noise += Math.pow(exact.getDouble(e) - y.getDouble(e), 2);
            }
          }
        }
        assertEquals(
            culprits.get(n).layer().isolated(), 10 * Math.log10(signal / noise), 0.05, "dB");
      }
    }
  }
}
