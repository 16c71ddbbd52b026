package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Squeeze without axes drops what turns out to be 1, so the rank of its result may be decided by
 * data or by the sizes of inputs. Compiled code keeps such axes and ends a run that would drop one;
 * the interpreter follows the data.
 */
class SqueezedDataTest {
  private static final Compiler COMPILER = Compiler.standard();
  private static final Tensor ROW = Tensor.of(new float[] {1, 2, 3}, 1, 1, 3);

  @TempDir static Path folder;

  /** A row, expanded to {@code shape} (three numbers), squeezed, doubled. */
  private static Graph sizesFromData() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, DimExpr.list(1, 1, 3)));
    Value shape = b.input("shape", TensorType.of(DType.I64, DimExpr.list(3)));
    Value squeezed = b.add("Squeeze", b.add("Expand", x, shape));
    b.output(b.add("Add", squeezed, squeezed));
    return b.build("squeezed", Map.of());
  }

  private static Graph sizesOfInputs() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    List<DimExpr> dims = List.of(DimExpr.ONE, DimExpr.symbol("n"), DimExpr.of(3));
    Value squeezed = b.add("Squeeze", b.input("x", TensorType.of(DType.F32, dims)));
    b.output(b.add("Add", squeezed, squeezed));
    return b.build("squeezed", Map.of());
  }

  private static Tensor run(Executable model, Tensor x, long... shape) {
    Map<String, Tensor> inputs =
        shape.length == 0
            ? Map.of("x", x)
            : Map.of("x", x, "shape", Tensor.of(shape.clone(), shape.length));
    return Objects.requireNonNull(model.run(inputs).get(model.outputs().getFirst().name()));
  }

  private static void refuses(String code, Executable model, Tensor x, long... shape) {
    TersorException e = assertThrows(TersorException.class, () -> run(model, x, shape));
    assertEquals(code, e.code());
    if (code.equals("TSR-0703")) {
      String message = String.valueOf(e.getMessage());
      assertTrue(message.contains("Squeeze without axes"), message);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"loop-interpreter", "jvm", "native", "cuda-emulated"})
  void keepsWhatDataMakeLarger(String backend) {
    Backends.assume(COMPILER, backend);
    Executable model = COMPILER.executable(sizesFromData(), backend, CompileOptions.defaults());
    Tensor result = run(model, ROW, 2, 4, 3);
    assertArrayEquals(new long[] {2, 4, 3}, result.shape());
    assertEquals(6, result.floats()[23]);
    // An axis without positions stays, too.
    assertArrayEquals(new long[] {0, 4, 3}, run(model, ROW, 0, 4, 3).shape());
    refuses("TSR-0703", model, ROW, 2, 1, 3);
  }

  @Test
  void theInterpreterFollowsTheData() {
    Executable model =
        COMPILER.executable(sizesFromData(), "interpreter", CompileOptions.defaults());
    assertArrayEquals(new long[] {2, 4, 3}, run(model, ROW, 2, 4, 3).shape());
    assertArrayEquals(new long[] {2, 3}, run(model, ROW, 2, 1, 3).shape());
    assertArrayEquals(new long[] {3}, run(model, ROW, 1, 1, 3).shape());
    model = COMPILER.executable(sizesOfInputs(), "interpreter", CompileOptions.defaults());
    assertArrayEquals(new long[] {2, 3}, run(model, Tensor.zeros(DType.F32, 1, 2, 3)).shape());
    assertArrayEquals(new long[] {3}, run(model, ROW).shape());
  }

  private static void checkSizesOfInputs(Executable model, String refusal) {
    Tensor result = run(model, Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 1, 2, 3));
    assertArrayEquals(new long[] {2, 3}, result.shape());
    assertEquals(12, result.floats()[5]);
    refuses(refusal, model, ROW);
  }

  @ParameterizedTest
  @ValueSource(strings = {"loop-interpreter", "jvm", "native"})
  void keepsSymbolsOfInputs(String backend) {
    Backends.assume(COMPILER, backend);
    checkSizesOfInputs(
        COMPILER.executable(sizesOfInputs(), backend, CompileOptions.defaults()), "TSR-0703");
  }

  @Test
  void inAJarAndInALibrary() throws IOException {
    Path jar = folder.resolve("squeezed.jar");
    COMPILER.artifact(sizesOfInputs(), "jvm", List.of(), jar, CompileOptions.defaults());
    checkSizesOfInputs(JarArtifact.open(jar, 1), "TSR-0703");
    Backends.assume(COMPILER, "native");
    Path library = folder.resolve("squeezed.so");
    COMPILER.artifact(sizesOfInputs(), "native", List.of(), library, CompileOptions.defaults());
    checkSizesOfInputs(new SoArtifact(library), "TSR-0604");
  }

  /** The number of positions is told when compiling: then the axis goes. */
  @Test
  void boundDimensionsDecide() {
    CompileOptions bound = CompileOptions.defaults().withDims(Map.of("n", 1L));
    assertArrayEquals(
        new long[] {3}, run(COMPILER.executable(sizesOfInputs(), "jvm", bound), ROW).shape());
  }
}
