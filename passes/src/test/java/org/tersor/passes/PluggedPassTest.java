package org.tersor.passes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.GraphEdit;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.TersorException;

/** What a plugin's pass does wrong is said in its name. */
class PluggedPassTest {
  private static final Compiler COMPILER = Compiler.standard();

  private static Graph graph() {
    GraphBuilder b = new GraphBuilder(Map.of("", 20), 0);
    Value x = b.input("x", TensorType.of(DType.F32, List.of(DimExpr.of(3))));
    b.output(b.add("Neg", b.add("Abs", x)));
    return b.build("g", Map.of());
  }

  private static Graph run(UnaryOperator<Graph> body, Graph graph) {
    return run(Set.of(), body, graph);
  }

  private static Graph run(Set<String> needs, UnaryOperator<Graph> body, Graph graph) {
    Pass pass =
        new Pass() {
          @Override
          public String id() {
            return "mine";
          }

          @Override
          public Set<String> needs() {
            return needs;
          }

          @Override
          public Graph run(Graph given, PassContext context) {
            return body.apply(given);
          }
        };
    return COMPILER.run(
        Pipelines.withPlugins(List.of(new TypeInference()), List.of(pass)),
        graph,
        CompileOptions.defaults());
  }

  private static TersorException refused(UnaryOperator<Graph> body) {
    TersorException e = assertThrows(TersorException.class, () -> run(body, graph()));
    assertTrue(Objects.requireNonNull(e.getMessage()).contains("mine"), e.getMessage());
    return e;
  }

  @Test
  void anExceptionIsTheBugOfThePass() {
    TersorException e =
        refused(given -> {
          throw new IllegalStateException("no luck");
        });
    assertEquals("TSR-0407", e.code());
    assertTrue(Objects.requireNonNull(e.getMessage()).contains("no luck"), e.getMessage());
  }

  @Test
  void aGraphThatIsNoGraphIsRefused() {
    TersorException e =
        refused(given -> {
          GraphEdit edit = new GraphEdit(given);
          edit.remove(given.nodes().getFirst()); // and its result is still used
          return edit.apply();
        });
    assertEquals("TSR-0310", e.code());
  }

  @Test
  void whatItNeedsHasToHoldWhereItStands() {
    assertEquals(2, run(Set.of("types"), same -> same, graph()).nodes().size());
    TersorException e =
        assertThrows(TersorException.class, () -> run(Set.of("luck"), same -> same, graph()));
    assertEquals("TSR-0405", e.code());
  }

  @Test
  void withoutPluginsPipelinesAreAsTheyWere() {
    List<Pass> passes = Pipelines.lower(false);
    assertSame(passes, Pipelines.withPlugins(passes, List.of()));
    Graph given = graph();
    assertEquals(2, run(same -> same, given).nodes().size());
  }
}
