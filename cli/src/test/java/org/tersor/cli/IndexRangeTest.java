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
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** An index out of range ends a run, and only that run. */
class IndexRangeTest {
  private static final Compiler COMPILER = Compiler.standard();
  private static final int MANY = 5000;

  @TempDir static Path folder;

  /** More work before and after, so that several threads take part. */
  private static Graph rows() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value data = b.input("data", type(DType.F32, DimExpr.symbol("N"), DimExpr.of(2)));
    Value indices = b.input("indices", type(DType.I64, DimExpr.symbol("I")));
    Value rows = b.value("rows", ValueType.UNKNOWN);
    b.addNode("", "Gather", Map.of(), List.of(b.add("Abs", data), indices), List.of(rows));
    b.output(b.add("Neg", rows));
    return b.build("rows", Map.of());
  }

  private static TensorType type(DType type, DimExpr... dims) {
    return TensorType.of(type, List.of(dims));
  }

  private static Tensor indices(long odd) {
    long[] values = new long[MANY];
    for (int i = 0; i < MANY; i++) {
      values[i] = i % 6 - 3L;
    }
    values[MANY - 7] = odd;
    return Tensor.of(values, MANY);
  }

  private static void check(Executable model, String code, boolean tells) {
    Tensor data = Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 3, 2);
    for (long odd : new long[] {3, -4, Long.MAX_VALUE, Long.MIN_VALUE, 1L << 32}) {
      TersorException e =
          assertThrows(
              TersorException.class,
              () -> model.run(Map.of("data", data, "indices", indices(odd))));
      assertEquals(code, e.code(), e.getMessage());
      String message = Objects.requireNonNull(e.getMessage());
      assertTrue(
          tells
              ? message.contains("Gather") && message.contains("index " + odd + " is outside -3..2")
              : message.contains("an index in the data"),
          message);
      Map<String, Tensor> right = model.run(Map.of("data", data, "indices", indices(-1)));
      Tensor y = Objects.requireNonNull(right.get(model.outputs().getFirst().name()));
      assertArrayEquals(
          new float[] {-1, -2, -3, -4, -5, -6}, java.util.Arrays.copyOf(y.floats(), 6));
    }
    Map<String, Tensor> none = Map.of("data", Tensor.zeros(DType.F32, 0, 2), "indices", indices(0));
    assertThrows(TersorException.class, () -> model.run(none));
    Map<String, Tensor> nothing =
        model.run(
            Map.of("data", Tensor.zeros(DType.F32, 0, 2), "indices", Tensor.of(new long[0], 0)));
    assertEquals(0, Objects.requireNonNull(nothing.get(model.outputs().getFirst().name())).size());
  }

  @ParameterizedTest
  @ValueSource(strings = {"interpreter", "loop-interpreter", "jvm", "native", "cuda-emulated"})
  void isRefused(String backend) {
    Backends.assume(COMPILER, backend);
    for (int threads : new int[] {1, 3}) {
      CompileOptions options = CompileOptions.defaults().withThreads(threads);
      check(COMPILER.executable(rows(), backend, options), "TSR-0705", true);
    }
  }

  @Test
  void isRefusedInAJar() throws IOException {
    Path jar = folder.resolve("rows.jar");
    COMPILER.artifact(rows(), "jvm", List.of(), jar, CompileOptions.defaults());
    check(JarArtifact.open(jar, 1), "TSR-0705", true);
  }

  @Test
  void isRefusedInALibrary() throws IOException {
    Backends.assume(COMPILER, "native");
    Path library = folder.resolve("rows.so");
    COMPILER.artifact(rows(), "native", List.of(), library, CompileOptions.defaults());
    check(new SoArtifact(library), "TSR-0604", false);
  }

  /** A branch with a wrong index that is in the file: it ends the runs that choose it. */
  private static Graph choice() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value condition = b.input("condition", type(DType.BOOL));
    Value data = b.input("data", type(DType.F32, DimExpr.of(3)));
    Map<String, Attribute> bodies =
        Map.of(
            "then_branch", new Attribute.GraphAttr(branch(data, 100, 1)),
            "else_branch", new Attribute.GraphAttr(branch(data, 200, 3)));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode("", "If", bodies, List.of(condition), List.of(y));
    b.output(y);
    return b.build("choice", Map.of());
  }

  private static Graph branch(Value data, int firstId, long index) {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), firstId);
    b.output(b.add("Gather", data, b.constant(Tensor.of(new long[] {index}, 1))));
    return b.build("branch", Map.of());
  }

  @Test
  void onlyWhereItIsRead() throws IOException {
    Path library = folder.resolve("choice.so");
    boolean compiles = COMPILER.registry().backend("native").unavailable().isEmpty();
    for (String backend : compiles ? List.of("jvm", "native", "so") : List.of("jvm")) {
      if (backend.equals("so")) {
        COMPILER.artifact(choice(), "native", List.of(), library, CompileOptions.defaults());
      }
      Executable model =
          backend.equals("so")
              ? new SoArtifact(library)
              : COMPILER.executable(choice(), backend, CompileOptions.defaults());
      Tensor data = Tensor.of(new float[] {7, 8, 9}, 3);
      Map<String, Tensor> right = model.run(Map.of("condition", bool(true), "data", data));
      assertArrayEquals(
          new float[] {8},
          Objects.requireNonNull(right.get(model.outputs().getFirst().name())).floats());
      TersorException e =
          assertThrows(
              TersorException.class,
              () -> model.run(Map.of("condition", bool(false), "data", data)));
      assertEquals(backend.equals("so") ? "TSR-0604" : "TSR-0705", e.code(), e.getMessage());
    }
  }

  private static Tensor bool(boolean value) {
    return new Tensor(DType.BOOL, new long[0], new byte[] {(byte) (value ? 1 : 0)});
  }
}
