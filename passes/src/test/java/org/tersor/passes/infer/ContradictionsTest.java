package org.tersor.passes.infer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpRegistry;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/** Declared shapes against inferred ones. */
class ContradictionsTest {
  @ParameterizedTest
  @CsvSource({
    "N, 1, 1152921504606846976",
    "N + 3, 4, 1152921504606846976",
    "'floordiv(N - 1, 2) + 1', 1, 576460752303423488",
    "'ceildiv(N, 4)', 1, 1152921504606846976",
    "'mod(N, 8)', 0, 7",
    "'min(N, 5)', 1, 5",
    "'max(3, min(N, 5))', 3, 5",
    "'6 - 2*min(N, 5)', -4, 4",
    "N*M, 1, 1152921504606846976"
  })
  void boundsForSymbolsOfAtLeastOne(String dim, long least, long most) {
    assertEquals(new DimRange(least, most), DimRange.of(DimExpr.parse(dim)));
  }

  private static List<String> contradictions(ValueType declared) {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", TensorType.of(DType.F32, List.of(DimExpr.symbol("N"), DimExpr.of(3))));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode("", "Relu", Map.of(), List.of(x), List.of(y));
    b.output(y);
    Graph graph = b.build("g", Map.of());
    return TypeInference.contradictions(graph, Map.of("y", declared), OpRegistry.standard());
  }

  @Test
  void whatMayBeTrueIsNoContradiction() {
    assertEquals(List.of(), contradictions(TensorType.of(DType.F32, new long[] {8, 3})));
    assertEquals(List.of(), contradictions(TensorType.unranked(DType.F32)));
    assertEquals(
        List.of(),
        contradictions(
            TensorType.of(DType.F32, List.of(DimExpr.symbol("a"), DimExpr.symbol("b")))));
  }

  @Test
  void ranksTypesAndDimensionsContradict() {
    for (TensorType declared :
        List.of(
            TensorType.of(DType.F32, new long[] {8, 4}),
            TensorType.of(DType.F32, new long[] {0, 3}),
            TensorType.of(DType.F32, new long[] {8, 3, 1}),
            TensorType.of(DType.F16, new long[] {8, 3}))) {
      List<String> found = contradictions(declared);
      assertEquals(1, found.size());
      assertTrue(found.getFirst().contains("'y'") && found.getFirst().contains("f32[N, 3]"));
    }
  }
}
