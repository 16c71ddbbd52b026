package org.tersor.plugins.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

class LlamaGraphTest {
  @TempDir Path folder = Path.of("");

  private static final List<Integer> IDS = List.of(3, 17, 17, 0, 39, 5);

  private Graph read(TinyLlama model) throws IOException {
    Path file = Files.write(folder.resolve("tiny.gguf"), model.file.bytes());
    return Compiler.standard().read(file, Map.of());
  }

  /**
   * Against the formulas in double; the second half of the tokens goes on from the first's cache.
   */
  @ParameterizedTest
  @ValueSource(strings = {"f32", "f16", "q8_0", "q4_0"})
  void computesTheFormulasInOneCallAndInTwo(String stored) throws IOException {
    TinyLlama model = new TinyLlama(stored, 5);
    Executable executable =
        Compiler.standard().executable(read(model), "interpreter", CompileOptions.defaults());
    double[][] expected = model.logits(IDS);
    Map<String, Tensor> whole = call(executable, IDS, Map.of());
    check(expected, 0, logits(whole));
    Map<String, Tensor> first = call(executable, IDS.subList(0, 4), Map.of());
    check(expected, 0, logits(first));
    check(expected, 4, logits(call(executable, IDS.subList(4, 6), first)));
  }

  private static Map<String, Tensor> call(
      Executable executable, List<Integer> ids, Map<String, Tensor> before) {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    for (Executable.Port port : executable.inputs()) {
      Tensor present = before.get(port.name().replace("past_key_values", "present"));
      inputs.put(
          port.name(),
          present != null
              ? present
              : Tensor.zeros(DType.F32, 1, TinyLlama.GROUPS, 0, TinyLlama.SIZE));
    }
    inputs.put("input_ids", Tensor.of(ids.stream().mapToLong(id -> id).toArray(), 1, ids.size()));
    return executable.run(inputs);
  }

  private static void check(double[][] expected, int from, Tensor logits) {
    long[] shape = logits.shape();
    assertEquals(TinyLlama.VOCABULARY, shape[2]);
    double largest = 0;
    for (int t = 0; t < shape[1]; t++) {
      for (int v = 0; v < shape[2]; v++) {
        largest =
            Math.max(
                largest,
                Math.abs(expected[from + t][v] - logits.getDouble((int) (t * shape[2] + v))));
      }
    }
    assertTrue(largest < 2e-5, "logits differ by " + largest);
  }

  /** The bytes of the file are the constants of the graph, and a tied head uses them again. */
  @Test
  void blocksStayBlocks() throws IOException {
    Graph graph = read(new TinyLlama("q4_0", 1));
    List<Constant> encoded =
        graph.constants().values().stream().filter(c -> c.dtype() == DType.U8).toList();
    assertEquals(1 + 7 * TinyLlama.LAYERS, encoded.size());
    long decodes = graph.nodes().stream().filter(n -> n.op().type().equals("decode")).count();
    assertEquals(2 + 7 * TinyLlama.LAYERS, decodes);
    List<Integer> sizes = new ArrayList<>();
    encoded.forEach(c -> sizes.add((int) c.elements()));
    assertTrue(sizes.contains(TinyLlama.VOCABULARY * TinyLlama.WIDTH / 32 * 18), sizes.toString());
    assertTrue(encoded.stream().allMatch(c -> c instanceof Constant.Mapped));
  }

  private static Tensor logits(Map<String, Tensor> results) {
    return Objects.requireNonNull(results.get("logits"));
  }
}
