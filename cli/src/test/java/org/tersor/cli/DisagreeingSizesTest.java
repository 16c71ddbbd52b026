package org.tersor.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

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
 * Two symbols that a sum walks with one axis: a model may call them by different names, and inputs
 * may give them different values. No kernel reads beyond the end of an operand.
 */
class DisagreeingSizesTest {
  private static final Compiler COMPILER = Compiler.standard();

  @TempDir static Path folder;

  private static Graph product() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value a = b.input("a", type("M", "K"));
    Value c = b.input("b", type("L", "N"));
    b.output(b.add("MatMul", a, c));
    return b.build("product", Map.of());
  }

  private static TensorType type(String rows, String columns) {
    return TensorType.of(DType.F32, List.of(DimExpr.symbol(rows), DimExpr.symbol(columns)));
  }

  private static void check(Executable model, String refusal) {
    Tensor a = Tensor.of(new float[] {1, 2, 3}, 1, 3);
    Tensor fits = Tensor.of(new float[] {1, 10, 100}, 3, 1);
    Map<String, Tensor> results = model.run(Map.of("a", a, "b", fits));
    Tensor result = Objects.requireNonNull(results.get(model.outputs().getFirst().name()));
    assertArrayEquals(new float[] {321}, result.floats());
    Tensor longer = Tensor.of(new float[] {1, 10, 100, 1000}, 4, 1);
    TersorException e =
        assertThrows(TersorException.class, () -> model.run(Map.of("a", a, "b", longer)));
    assertEquals(refusal, e.code());
    Tensor shorter = Tensor.of(new float[] {1, 10}, 2, 1);
    e = assertThrows(TersorException.class, () -> model.run(Map.of("a", a, "b", shorter)));
    assertEquals(refusal, e.code());
    // No row takes part in the wrong product; it is one all the same.
    Tensor none = Tensor.zeros(DType.F32, 0, 3);
    e = assertThrows(TersorException.class, () -> model.run(Map.of("a", none, "b", shorter)));
    assertEquals(refusal, e.code());
  }

  @ParameterizedTest
  @ValueSource(strings = {"loop-interpreter", "jvm", "native", "cuda-emulated"})
  void nothingIsReadBeyond(String backend) {
    Backends.assume(COMPILER, backend);
    check(COMPILER.executable(product(), backend, CompileOptions.defaults()), "TSR-0703");
  }

  @Test
  void norInAJar() throws IOException {
    Path jar = folder.resolve("product.jar");
    COMPILER.artifact(product(), "jvm", List.of(), jar, CompileOptions.defaults());
    check(JarArtifact.open(jar, 1), "TSR-0703");
  }

  /** The sizes are looked at by C code here, before it looks at anything else. */
  @Test
  void norInALibrary() throws IOException {
    Backends.assume(COMPILER, "native");
    Path library = folder.resolve("product.so");
    COMPILER.artifact(product(), "native", List.of(), library, CompileOptions.defaults());
    check(new SoArtifact(library), "TSR-0604");
  }
}
