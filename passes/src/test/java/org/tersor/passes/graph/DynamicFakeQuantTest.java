package org.tersor.passes.graph;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

class DynamicFakeQuantTest {
  /** By hand: rows have grids of their own, a row of zeros stays, halves go to even codes. */
  @ParameterizedTest
  @CsvSource({"interpreter, 13", "interpreter, 18", "loop-interpreter, 13", "loop-interpreter, 21"})
  void everyRowHasAGridOfItsOwn(String backend, int opset) {
    GraphBuilder build = new GraphBuilder(Map.of("", opset, OpKey.TERSOR, 1), 0);
    Value x = build.input("x", TensorType.of(DType.F32, 3, 4));
    Value y = build.value("y", TensorType.of(DType.F32, 3, 4));
    build.addNode(
        OpKey.TERSOR,
        DynamicFakeQuant.TYPE,
        DynamicFakeQuant.attributes(4, opset),
        List.of(x),
        List.of(y));
    build.output(y);
    Tensor input = Tensor.of(new float[] {7, -3.4f, 2.5f, 0, 0, 0, 0, 0, -14, 3, 1, 100e-6f}, 3, 4);
    float[] got =
        Compiler.standard()
            .executable(build.build("g", Map.of()), backend, CompileOptions.defaults())
            .run(Map.of("x", input))
            .values()
            .iterator()
            .next()
            .floats();
    assertArrayEquals(new float[] {7, -3, 2, 0, 0, 0, 0, 0, -14, 4, 0, 0}, got);
  }

  /** One quantizer for all layers that read a value; a layer that is not meant keeps it. */
  @Test
  void layersThatReadAValueShareItsCodes() {
    GraphBuilder build = new GraphBuilder(Map.of("", 21), 0);
    Value x = build.input("x", TensorType.of(DType.F32, 2, 4));
    for (String name : List.of("a", "b", "left")) {
      Value y = build.value(name, TensorType.of(DType.F32, 2, 3));
      Value w = build.constant(Tensor.of(new float[12], 4, 3));
      build.addNode(name, "", "MatMul", Map.of(), List.of(x, w), List.of(y));
      build.output(y);
    }
    Graph graph =
        Compiler.standard()
            .run(
                List.of(
                    new TypeInference(),
                    new DynamicActivations(
                        DynamicGrid.rows(8), node -> !node.name().equals("left"))),
                build.build("g", Map.of()),
                CompileOptions.defaults());
    assertEquals(
        1, graph.nodes().stream().filter(n -> n.op().type().equals(DynamicFakeQuant.TYPE)).count());
    for (Node node : graph.nodes()) {
      if (node.op().is("MatMul")) {
        assertEquals(node.name().equals("left"), node.input(0).equals(x), node.label());
      }
    }
  }
}
