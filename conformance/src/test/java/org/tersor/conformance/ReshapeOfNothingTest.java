package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/** What -1 stands for in Reshape where a copied dimension is 0: the same as for other sizes. */
class ReshapeOfNothingTest {
  @ParameterizedTest
  @CsvSource({"interpreter, 0", "jvm, 0", "native, 0", "interpreter, 3", "jvm, 3", "native, 3"})
  void theLastDimensionIsThatOfOtherBatches(String backend, int batch) {
    Compiler compiler = Compiler.standard();
    Assumptions.assumeTrue(
        compiler.registry().backend(backend).unavailable().isEmpty(), "no " + backend);
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x =
        b.input(
            "x",
            TensorType.of(
                DType.F32, List.of(DimExpr.symbol("batch"), DimExpr.of(2), DimExpr.of(12))));
    Value shape = b.input("shape", TensorType.of(DType.I64, 4));
    for (Map.Entry<String, Value> way :
        Map.of("known", b.longs(0, 0, 3, -1), "given", shape).entrySet()) {
      Value y = b.value(way.getKey(), ValueType.UNKNOWN);
      b.addNode("", "Reshape", Map.of(), List.of(x, way.getValue()), List.of(y));
      b.output(y);
    }
    Map<String, Tensor> results =
        LoadedModel.of(compiler, b.build("reshape", Map.of()), backend, CompileOptions.defaults())
            .executable()
            .run(
                Map.of(
                    "x", Tensor.zeros(DType.F32, batch, 2, 12),
                    "shape", Tensor.of(new long[] {0, 0, 3, -1}, 4)));
    for (String way : List.of("known", "given")) {
      assertArrayEquals(
          new long[] {batch, 2, 3, 4}, Objects.requireNonNull(results.get(way)).shape(), way);
    }
  }
}
