package org.tersor.passes;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.eval.InterpreterBackend;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class EvaluatorTest {
  @Test
  void shapesFlowAsExpressions() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    DimExpr n = DimExpr.symbol("N");
    Value x = b.input("x", TensorType.of(DType.F32, List.of(n, DimExpr.of(6))));
    Value doubled = b.add("Twice", b.add("Shape", x));
    Value y = b.add("Reshape", x, b.add("Shape", x));
    b.output(y);
    b.output(doubled);
    Graph typed =
        TypeInference.infer(b.build("g", Map.of()), TestOps.registry(), note -> {}).graph();
    assertEquals(TensorType.of(DType.F32, List.of(n, DimExpr.of(6))), typed.type(y));
    assertEquals(TensorType.of(DType.I64, 2), typed.type(doubled));
  }

  @Test
  void aDeclaredTypeThatContradictsIsReportedAndLoses() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 2, 3));
    Value y = b.value("y", TensorType.of(DType.F32, 2, 4));
    b.addNode("", "Relu", Map.of(), List.of(x), List.of(y));
    b.output(y);
    List<String> notes = new ArrayList<>();
    Graph typed =
        TypeInference.infer(b.build("g", Map.of()), TestOps.registry(), notes::add).graph();
    assertEquals(TensorType.of(DType.F32, 2, 3), typed.type(y));
    assertEquals(1, notes.size());
    assertTrue(notes.getFirst().contains("'y'"), notes.getFirst());
  }

  @Test
  void bodiesAreTypedAndRunWithCapturedValues() {
    Graph typed =
        TypeInference.infer(TestOps.conditional(), TestOps.registry(), note -> {}).graph();
    assertEquals(
        List.of(DimExpr.symbol("N"), DimExpr.of(2)),
        ((ValueType.TensorType) typed.type(typed.outputs().getFirst())).dims());
    Executable executable = InterpreterBackend.load(typed, TestOps.registry());
    Tensor x = Tensor.of(new float[] {1, -2}, 1, 2);
    String name = executable.outputs().getFirst().name();
    Tensor yes =
        executable
            .run(Map.of("x", x, "cond", new Tensor(DType.BOOL, new long[0], new byte[] {1})))
            .get(name);
    assertArrayEquals(new float[] {2, 0}, Objects.requireNonNull(yes).floats());
    Tensor no =
        executable
            .run(Map.of("x", x, "cond", new Tensor(DType.BOOL, new long[0], new byte[1])))
            .get(name);
    assertArrayEquals(new float[] {1, -2}, Objects.requireNonNull(no).floats());
  }

  @Test
  void wrongArgumentsAreDiagnosed() {
    Executable executable =
        InterpreterBackend.load(
            TypeInference.infer(TestOps.conditional(), TestOps.registry(), note -> {}).graph(),
            TestOps.registry());
    Tensor condition = new Tensor(DType.BOOL, new long[0], new byte[1]);
    Tensor x = Tensor.of(new float[2], 1, 2);
    assertEquals("TSR-0701", code(executable, Map.of("x", x)));
    assertEquals("TSR-0702", code(executable, Map.of("x", x, "cond", condition, "z", x)));
    assertEquals(
        "TSR-0703",
        code(executable, Map.of("x", Tensor.of(new double[2], 1, 2), "cond", condition)));
    assertEquals(
        "TSR-0704",
        code(executable, Map.of("x", Tensor.of(new float[3], 1, 3), "cond", condition)));
    assertEquals(
        "TSR-0704", code(executable, Map.of("x", Tensor.of(new float[2], 2), "cond", condition)));
  }

  private static String code(Executable executable, Map<String, Tensor> inputs) {
    return assertThrows(TersorException.class, () -> executable.run(inputs)).code();
  }
}
