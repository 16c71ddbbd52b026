package org.tersor.plugins.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.conformance.RandomInputs;
import org.tersor.conformance.zoo.Zoo;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.Backend;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class X86BackendTest {
  private final X86Backend backend = new X86Backend();

  @BeforeEach
  void needsTheProcessor() {
    assumeTrue(backend.unavailable().isEmpty(), () -> backend.unavailable().orElse(""));
  }

  private static CompileOptions options(int threads, String target, Map<String, String> settings) {
    CompileOptions defaults = CompileOptions.defaults();
    return new CompileOptions(
            Map.of(),
            threads,
            defaults.target(),
            settings,
            defaults.debug(),
            defaults.note(),
            defaults.schedules())
        .withTarget(target);
  }

  @Test
  void isFound() {
    assertEquals(
        1,
        ServiceLoader.load(Backend.class).stream()
            .filter(p -> p.type() == X86Backend.class)
            .count());
    assertTrue(backend.targets().stream().allMatch(t -> t.vectorBytes() == 64));
  }

  private static Map<String, Tensor> inputs(Graph graph, Executable executable) {
    Map<String, Tensor> inputs = new LinkedHashMap<>();
    RandomInputs.draw(graph, executable.inputs(), Map.of(), 3)
        .forEach((name, drawn) -> inputs.put(name, drawn.tensor()));
    return inputs;
  }

  private static void assertSame(Map<String, Tensor> expected, Map<String, Tensor> actual) {
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach((name, tensor) -> {
      Tensor other = Objects.requireNonNull(actual.get(name));
      assertEquals(Arrays.toString(tensor.shape()), Arrays.toString(other.shape()));
      assertTrue(
          Compiled.heap(tensor.array()).mismatch(Compiled.heap(other.array())) == -1,
          name + " has other bits");
    });
  }

  /** The scheduled kernels give the bits that the interpreter gives for the same ones. */
  @ParameterizedTest
  @CsvSource({
    "matmul-37x50x65, false, avx512vnni",
    "matmul-37x50x65, true, avx512vnni",
    "matmul-1x300x70, false, avx512",
    "matmul-16x64x48, true, avx512",
    "conv-16x13x13-24x3x3-p1, false, avx512vnni",
    "conv-16x13x13-24x3x3-s2-p1, true, avx512vnni",
    "conv-24x11x11-24x3x3-p1-g24, false, avx512vnni",
    "conv-8x9x9-40x1x1, true, avx512"
  })
  void modelsGiveTheBitsOfTheLoops(String name, boolean bytes, String target) {
    assumeTrue(backend.targets().stream().anyMatch(t -> t.name().equals(target)), "no " + target);
    Zoo.Options defaults = Zoo.Options.DEFAULT;
    Graph graph =
        Zoo.build(
            name,
            new Zoo.Options(
                1, 1, defaults.qdq(), bytes, defaults.zeroPoint(), false, defaults.text()));
    Compiler compiler = Compiler.standard();
    Executable loops = compiler.executable(graph, "loop-interpreter", options(1, target, Map.of()));
    Map<String, Tensor> inputs = inputs(graph, loops);
    Map<String, Tensor> expected = loops.run(inputs);
    for (int threads : new int[] {1, 3}) {
      Executable code = compiler.executable(graph, "x86", options(threads, target, Map.of()));
      // Later calls work on the arrays in place, if they are short.
      for (int i = 0; i < 3; i++) {
        assertSame(expected, code.run(inputs));
      }
    }
  }

  private static Graph sum() {
    GraphBuilder b = new GraphBuilder(Map.of("", 21), 0);
    DimExpr n = DimExpr.symbol("n");
    Value x = b.input("x", new TensorType(DType.F32, Optional.of(List.of(n, DimExpr.of(7)))));
    b.output(b.add("Softmax", b.add("Mul", x, b.add("Exp", x))));
    return b.build("sum", Map.of());
  }

  @Test
  void runsAtAnySizeInAnyThread() {
    Compiler compiler = Compiler.standard();
    String target = backend.targets().getFirst().name();
    Executable loops = compiler.executable(sum(), "loop-interpreter", options(1, target, Map.of()));
    Executable code = compiler.executable(sum(), "x86", options(2, target, Map.of()));
    Map<Integer, Map<String, Tensor>> expected = new HashMap<>();
    for (int n : new int[] {0, 1, 5, 300}) {
      expected.put(n, loops.run(input(n)));
      assertSame(Objects.requireNonNull(expected.get(n)), code.run(input(n)));
    }
    IntStream.range(0, 32)
        .parallel()
        .forEach(i -> {
          int n = i % 2 == 0 ? 5 : 300;
          assertSame(Objects.requireNonNull(expected.get(n)), code.run(input(n)));
        });
  }

  private static Map<String, Tensor> input(int n) {
    float[] values = new float[7 * n];
    for (int i = 0; i < values.length; i++) {
      values[i] = (i * 37 % 100) / 25f - 2;
    }
    return Map.of("x", Tensor.of(values, n, 7));
  }

  @Test
  void anotherTargetIsADiagnostic() {
    TersorException refused =
        assertThrows(
            TersorException.class,
            () -> Compiler.standard().executable(sum(), "x86", options(1, "avx2", Map.of())));
    assertTrue(refused.getMessage().contains("avx2"), refused.getMessage());
  }

  @Test
  void writesTheCodeOfItsKernels(@TempDir Path folder) throws IOException {
    String target = backend.targets().getFirst().name();
    Executable code =
        Compiler.standard()
            .executable(sum(), "x86", options(1, target, Map.of("x86-dump", folder.toString())));
    assertTrue(code.describe().contains("machine code for " + target), code.describe());
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> list = files.toList();
      assertTrue(list.stream().allMatch(f -> f.toString().endsWith(".bin")), list.toString());
      // push rbp
      assertEquals(0x55, Files.readAllBytes(list.getFirst())[0]);
    }
  }
}
