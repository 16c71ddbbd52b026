package org.tersor.passes;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.eval.Evaluator;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class CompilerTest {
  private static Graph run(Graph graph, List<org.tersor.ir.spi.Pass> passes, List<String> notes) {
    PassContext context = new PassContext(TestOps.registry(), Map.of(), notes::add);
    return new PassManager(context, PassManager.Debug.OFF.withVerifyNumerics()).run(passes, graph);
  }

  private static GraphBuilder builder() {
    return new GraphBuilder(Map.of("", 17), 0);
  }

  @Test
  void pipelinesKeepTheMeaningAndTheOutputNames() {
    GraphBuilder b = builder();
    Value x = b.input("x", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"), DimExpr.of(2))));
    Value c = b.constant(Tensor.of(new float[] {1, 2}, 1, 2));
    Value folded = b.add("Mul", b.add("Add", c, c), c);
    Value left = b.add("Add", x, folded);
    Value right = b.add("Add", x, folded);
    b.add("Relu", right);
    Value y = b.value("y", org.tersor.ir.graph.ValueType.UNKNOWN);
    b.addNode(
        "", "Identity", Map.of(), List.of(b.add("Twice", b.add("Mul", left, right))), List.of(y));
    b.output(y);
    Graph graph = b.build("g", Map.of());
    List<String> notes = new ArrayList<>();
    Graph canonical = run(graph, Pipelines.canonicalise(Map.of("N", 1L)), notes);
    assertEquals(
        List.of("Add", "Mul", "Twice"),
        canonical.nodes().stream().map(n -> n.op().type()).toList());
    assertEquals("y", canonical.outputs().getFirst().name());
    assertEquals(TensorType.of(DType.F32, 1, 2), canonical.type(canonical.outputs().getFirst()));
    Graph lowered = run(canonical, Pipelines.lower(false), notes);
    assertEquals(
        List.of("Add", "Mul", "Add"), lowered.nodes().stream().map(n -> n.op().type()).toList());
    Tensor in = Tensor.of(new float[] {3, -4}, 1, 2);
    Tensor out = new Evaluator(lowered, TestOps.registry()).run(List.of(in)).getFirst();
    assertArrayEquals(
        new Evaluator(graph, TestOps.registry()).run(List.of(in)).getFirst().floats(),
        out.floats());
  }

  @Test
  void anUnknownDimensionListsTheKnownOnes() {
    GraphBuilder b = builder();
    b.output(
        b.add("Relu", b.input("x", TensorType.of(DType.F32, List.of(DimExpr.symbol("batch"))))));
    TersorException fault =
        assertThrows(
            TersorException.class,
            () ->
                run(
                    b.build("g", Map.of()),
                    Pipelines.canonicalise(Map.of("N", 1L)),
                    new ArrayList<>()));
    assertEquals("TSR-0307", fault.code());
    assertTrue(fault.getMessage().contains("[batch]"), fault.getMessage());
  }

  @Test
  void theSameInputUnderTwoNamesStaysTwoOutputs() {
    GraphBuilder b = builder();
    Value x = b.input("x", TensorType.of(DType.F32, 2));
    Value p = b.value("p", org.tersor.ir.graph.ValueType.UNKNOWN);
    Value q = b.value("q", org.tersor.ir.graph.ValueType.UNKNOWN);
    Value relu = b.add("Relu", x);
    b.addNode("", "Identity", Map.of(), List.of(relu), List.of(p));
    b.addNode("", "Identity", Map.of(), List.of(relu), List.of(q));
    b.output(p);
    b.output(q);
    Graph canonical =
        run(b.build("g", Map.of()), Pipelines.canonicalise(Map.of()), new ArrayList<>());
    assertEquals(List.of("p", "q"), canonical.outputs().stream().map(Value::name).toList());
  }

  @Test
  void builtInBackendsAreFound() {
    Registry registry = Registry.builtIn();
    assertEquals("interpreter", registry.backend("interpreter").id());
    TersorException fault = assertThrows(TersorException.class, () -> registry.backend("abacus"));
    assertEquals("TSR-0104", fault.code());
    assertTrue(fault.getMessage().contains("loop-interpreter"), fault.getMessage());
  }
}
