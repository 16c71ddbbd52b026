package org.tersor.plugins.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.quant.Equalization;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;

/** Equalizations of a language model leave its function; what they did is in the report. */
class EqualizeTest {
  @TempDir Path folder = Path.of("");

  private final Compiler compiler = Compiler.standard();
  private final List<String> notes = new ArrayList<>();
  private final CompileOptions options = CompileOptions.defaults().withNote(notes::add);

  private Graph base(String stored) throws IOException {
    Path file = Files.write(folder.resolve("t.gguf"), new TinyLlama(stored, 4).file.bytes());
    return compiler.prepare(compiler.read(file, Map.of()), options);
  }

  private static Map<String, Tensor> inputs(Graph graph, int seed) {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    graph
        .inputs()
        .forEach(value ->
            inputs.put(
                value.name(), Tensor.zeros(DType.F32, 1, TinyLlama.GROUPS, 0, TinyLlama.SIZE)));
    long[] ids = {1 + seed, 9, 33, 2, 2, 17 - seed, 0, 21};
    inputs.put("input_ids", Tensor.of(ids, 1, ids.length));
    return inputs;
  }

  private float[] logits(Graph graph, int seed) {
    Executable executable = compiler.link(graph, "jvm", options);
    Tensor logits = executable.run(inputs(graph, seed)).get("logits");
    return logits == null ? new float[0] : logits.floats();
  }

  private Graph equalized(Graph base, String how) {
    return Equalization.parse(how)
        .apply(
            base,
            new Equalization.Context(
                compiler,
                List.of(inputs(base, 0), inputs(base, 1)),
                "jvm",
                options,
                node -> node.name().equals("output")));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "rotate:seed=1",
        "rotate:seed=2,parts=residual",
        "rotate:seed=1,parts=heads",
        "rotate:seed=1,parts=online",
        "smooth:alpha=0.5",
        "smooth:alpha=0.85,products=true",
        "outliers:threshold=2.5",
        "awq:format=q8_0",
      })
  void theFunctionStays(String how) throws IOException {
    Graph base = base("f32");
    Graph changed = equalized(base, how);
    assertNotEquals(weights(base), weights(changed));
    float[] before = logits(base, 3);
    float[] after = logits(changed, 3);
    assertEquals(before.length, after.length);
    double size = 0;
    double difference = 0;
    for (int i = 0; i < before.length; i++) {
      size = Math.max(size, Math.abs(before[i]));
      difference = Math.max(difference, Math.abs(before[i] - after[i]));
    }
    assertTrue(difference <= 1e-5 * size, how + ": " + difference + " of " + size);
  }

  private static List<Float> weights(Graph graph) {
    List<Float> first = new ArrayList<>();
    for (Constant constant : graph.constants().values()) {
      if (constant.dtype() == DType.F32 && constant.shape().length == 2) {
        first.add((float) constant.load().getDouble(0));
      }
    }
    return first;
  }

  /** Gains are folded and every part finds all that this architecture has. */
  @Test
  void theReportTellsWhatWasFound() throws IOException {
    equalized(base("f32"), "rotate:seed=1");
    String report = String.join("\n", notes);
    assertTrue(report.contains("2 of 2 attentions have rotated values"), report);
    // The table, o and down of each layer; gate, up, q, k, v of each layer, and the head.
    assertTrue(report.contains("width 32 is rotated: 5 writers, 5 norms, 11 readers"), report);
    assertTrue(report.contains("2 layers get a Hadamard product before them"), report);
  }

  /** The seed acts on the input side: it changes more than signs of the rotated channels. */
  @Test
  void seedsGiveOtherMagnitudes() throws IOException {
    Graph base = base("f32");
    List<Float> one = weights(equalized(base, "rotate:seed=1,parts=residual"));
    List<Float> two = weights(equalized(base, "rotate:seed=2,parts=residual"));
    long other = 0;
    for (int i = 0; i < one.size(); i++) {
      other += Math.abs(Math.abs(one.get(i)) - Math.abs(two.get(i))) > 1e-4 ? 1 : 0;
    }
    assertTrue(other > one.size() / 2, other + " of " + one.size());
  }

  /** Weights that are codes cannot be rotated; the report says so and nothing is changed. */
  @Test
  void codedWeightsAreLeft() throws IOException {
    Graph base = base("q8_0");
    assertEquals(weights(base), weights(equalized(base, "rotate:seed=1")));
    String report = String.join("\n", notes);
    assertTrue(report.contains("no residual stream was found"), report);
    assertTrue(report.contains("is no layer with float32 weights"), report);
  }
}
