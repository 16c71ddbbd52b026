package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.Registry;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** The tutorial's pass, from a jar that was built outside. */
class PluginPassTest {
  @TempDir static Path folder;
  private static Path jar;
  private static Path model;

  @BeforeAll
  static void build() throws IOException {
    jar = OutsidePlugin.build(folder);
    model = folder.resolve("gelu.onnx");
    Compiler.standard().write(gelu(), model, Map.of());
  }

  private static Graph gelu() {
    GraphBuilder b = new GraphBuilder(Map.of("", 20), 0);
    Value x = b.input("x", TensorType.of(DType.F32, List.of(DimExpr.of(3))));
    b.output(b.add("Gelu", x));
    return b.build("gelu", Map.of());
  }

  private static float[] run(String backend, boolean tanh) {
    CompileOptions options = CompileOptions.defaults();
    Tensor y =
        new Compiler(Registry.withPlugins(List.of(jar)))
            .executable(gelu(), backend, tanh ? options.withSetting("gelu", "tanh") : options)
            .run(Map.of("x", Tensor.of(new float[] {-1, .5f, 2}, 3)))
            .values()
            .iterator()
            .next();
    return new float[] {(float) y.getDouble(0), (float) y.getDouble(1), (float) y.getDouble(2)};
  }

  @Test
  void itRunsOnEveryBackendIfItsSettingAsks() {
    for (String backend : List.of("interpreter", "loop-interpreter", "jvm")) {
      float[] exact = run(backend, false);
      float[] approximate = run(backend, true);
      assertEquals(1.9544997f, exact[2], 1e-6, backend); // by erf
      assertEquals(1.9545977f, approximate[2], 1e-6, backend); // by tanh
    }
  }

  @Test
  void theCommandLineShowsWhatItDid() {
    String plugins = Outcome.tersor("plugins", "--plugins", jar).out();
    assertTrue(plugins.matches("(?s).*pass +tanh-gelu +\\S*five.jar \\(canonical\\).*"), plugins);
    Outcome shown =
        Outcome.tersor(
            "inspect",
            model,
            "--plugins",
            jar,
            "--set",
            "gelu=tanh",
            "--print-ir-after",
            "tanh-gelu");
    assertEquals(0, shown.exit(), shown.err());
    assertTrue(shown.err().contains("// after tanh-gelu"), shown.err());
    assertTrue(shown.err().contains("approximate"), shown.err());
    assertTrue(shown.out().contains("tanh-gelu: Gelu"), shown.out());
    Outcome without = Outcome.tersor("inspect", model, "--plugins", jar);
    assertFalse(without.out().contains("tanh-gelu"), without.out());
  }

  @Test
  void aPassThatThereIsNotIsRefused() {
    Outcome outcome = Outcome.tersor("inspect", model, "--print-ir-after", "tanh-gelu");
    assertTrue(outcome.err().contains("TSR-0906"), outcome.err());
    assertTrue(outcome.err().contains("fold-constants"), "the passes that there are");
    assertEquals(outcome.exit(), Outcome.tersor("inspect", model, "--stop-after", "loops").exit());
  }

  @Test
  void kernelsAndLoopsHaveATextForm() {
    Outcome outcome =
        Outcome.tersor(
            "bench", model, "--rounds", 1, "--warmup", 0, "--print-ir-after", "kernels,loops");
    assertEquals(0, outcome.exit(), outcome.err());
    assertTrue(outcome.err().contains("// after kernels\n// Gelu"), outcome.err());
    assertTrue(outcome.err().contains("erf(in0[i0]"), "an index notation: " + outcome.err());
    assertTrue(
        outcome.err().matches("(?s).*// after loops\nkernel \\S+\\(.*"), "loops: " + outcome.err());
  }
}
