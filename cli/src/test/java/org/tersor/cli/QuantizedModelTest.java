package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.cli.data.Preprocess;
import org.tersor.cli.data.Samples;
import org.tersor.conformance.Reference;
import org.tersor.conformance.ReferenceExecutable;
import org.tersor.conformance.ort.OrtWorker;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.eval.Ports;
import org.tersor.passes.quant.Calibrator;
import org.tersor.passes.quant.Quantizer;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/**
 * A quantized model is one model everywhere: what {@code quantize} writes, run by ONNX Runtime,
 * agrees with what is compiled here; and it stays close to the float model.
 */
class QuantizedModelTest {
  @TempDir static Path folder;

  private static final Reference ORT = new OrtWorker();

  private final Compiler compiler = Compiler.standard();
  private final CompileOptions options = CompileOptions.defaults();

  @AfterAll
  static void stop() {
    ORT.close();
  }

  private static Path data(String name) {
    Path path = Path.of(System.getProperty("tersor.testdata", "../../shared")).resolve(name);
    Assumptions.assumeTrue(
        Files.exists(path), () -> "test data is not present: " + name + " (set -Dtersor.testdata)");
    return path;
  }

  private Quantizer.Quantized quantize(Path model, Samples.Data data, int samples, Path to) {
    Graph graph = compiler.read(model, Map.of());
    Quantizer quantizer = new Quantizer(compiler);
    Quantizer.Options how = quantizer.options("int8", new Calibrator.MinMax(), "jvm", options);
    Quantizer.Quantized quantized =
        quantizer.quantize(graph, data.calls(data.count() - samples, data.count()), how);
    compiler.write(compiler.exportable(quantized.graph(), options), to, Map.of());
    return quantized;
  }

  private Samples.Data mnist(Path model, Path images) throws IOException {
    Graph prepared = compiler.prepare(compiler.read(model, Map.of()), options);
    return Samples.task("mnist", images, Ports.inputs(prepared), Map.of(), Optional.empty());
  }

  /** The same file, compiled here and run by ONNX Runtime. */
  private void agrees(Path file, Samples.Data data, int n, int batch) {
    Executable here = compiler.executable(compiler.read(file, Map.of()), "jvm", options);
    int different = 0;
    double least = Double.POSITIVE_INFINITY;
    double largest = Double.NEGATIVE_INFINITY;
    double error = 0;
    try (Reference.Session session = ORT.open(file, Reference.Options.DEFAULT)) {
      Executable there = new ReferenceExecutable("reference", session);
      for (int from = 0; from < n; from += batch) {
        Tensor a = first(here, data.read(from, batch));
        Tensor b = first(there, data.read(from, batch));
        assertEquals(b.size(), a.size());
        for (int i = 0; i < a.size(); i++) {
          least = Math.min(least, b.getDouble(i));
          largest = Math.max(largest, b.getDouble(i));
          error = Math.max(error, Math.abs(a.getDouble(i) - b.getDouble(i)));
        }
        List<Integer> ours = classes(a, batch);
        List<Integer> theirs = classes(b, batch);
        for (int i = 0; i < batch; i++) {
          different += ours.get(i).equals(theirs.get(i)) ? 0 : 1;
        }
      }
    }
    assertTrue(different * 1000 <= n, different + " of " + n + " classes differ");
    double step = (largest - least) / 255;
    assertTrue(error <= step, "scores differ by " + error + "; a step of 8 bits is " + step);
  }

  private static Tensor first(Executable executable, Map<String, Tensor> inputs) {
    return executable.run(inputs).values().iterator().next();
  }

  private static List<Integer> classes(Tensor scores, int batch) {
    int count = scores.size() / batch;
    List<Integer> classes = new ArrayList<>();
    for (int i = 0; i < batch; i++) {
      int best = 0;
      for (int c = 1; c < count; c++) {
        best = scores.getDouble(i * count + c) > scores.getDouble(i * count + best) ? c : best;
      }
      classes.add(best);
    }
    return classes;
  }

  @Test
  void theDemosModelIsOneModelHereAndInOnnxRuntime() throws IOException {
    for (String name :
        List.of("digits.onnx", "digits-images-idx3-ubyte.gz", "digits-labels-idx1-ubyte.gz")) {
      try (InputStream in = QuantizedModelTest.class.getResourceAsStream("demo/" + name)) {
        Files.copy(in, folder.resolve(name));
      }
    }
    Path model = folder.resolve("digits.onnx");
    Path small = folder.resolve("digits-int8.onnx");
    Samples.Data data = mnist(model, folder);
    quantize(model, data, 50, small);
    assertTrue(Files.size(small) < .4 * Files.size(model), "int8 weights are in the file");
    agrees(small, data, 300, 20);
  }

  @Test
  void mnistBurnIsOneModelHereAndInOnnxRuntime() throws IOException {
    Path model = data("models/mnist-burn/mnist.onnx");
    Path small = folder.resolve("mnist-burn-int8.onnx");
    Samples.Data data = mnist(model, data("data/mnist"));
    quantize(model, data, 100, small);
    assertTrue(Files.size(small) < .3 * Files.size(model), "int8 weights are in the file");
    agrees(small, data, 500, 1);
  }

  /** Opset below 13, weights of half precision, Concat and pooling between the layers. */
  @Test
  void squeezeNetKeepsItsScores() throws IOException {
    Path model = data("models/squeezenet-fp16/SqueezeNet_fp16.onnx");
    Path photos = data("data/kodak/PhotoCD_PCD0992");
    Path small = folder.resolve("squeezenet-int8.onnx");
    Graph prepared = compiler.prepare(compiler.read(model, Map.of()), options);
    Samples.Data data =
        Samples.calibration(
            photos,
            Optional.empty(),
            Ports.inputs(prepared),
            Map.of(),
            Optional.of(Preprocess.parse("raw,mean=104:117:123,order=bgr")));
    Quantizer.Quantized quantized = quantize(model, data, 4, small);
    assertTrue(
        Files.size(small) <= .3 * 2 * Files.size(model), "file of " + Files.size(small) + " bytes");
    Executable exact =
        compiler.executable(Similarity.beforeSoftmax(quantized.base()), "jvm", options);
    Executable coded =
        compiler.executable(
            Similarity.beforeSoftmax(compiler.read(small, Map.of())), "jvm", options);
    for (int i = data.count() - 4; i < data.count(); i++) {
      Map<String, Tensor> photo = data.read(i, 1);
      double cosine = Similarity.cosine(first(exact, photo), first(coded, photo));
      assertTrue(cosine >= .98, "photo " + i + ": cosine " + cosine);
    }
  }
}
