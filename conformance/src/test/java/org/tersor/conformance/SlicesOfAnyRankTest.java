package org.tersor.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
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
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** A Scan over slices whose rank is the length of an input. */
class SlicesOfAnyRankTest {
  private static final Map<String, Integer> OPSETS = Map.of("", 17);
  private static final Compiler COMPILER = Compiler.standard();

  @Test
  void theInterpreterStacksThem() {
    Tensor dims = Tensor.zeros(DType.I64, 2);
    dims.setLong(0, 3);
    dims.setLong(1, 1);
    Map<String, Tensor> outputs =
        LoadedModel.of(COMPILER, graph(), "interpreter", CompileOptions.defaults())
            .executable()
            .run(
                Map.of(
                    "state", Tensor.of(new float[] {7}, 1),
                    "x", Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3),
                    "dims", dims));
    Tensor stack = Objects.requireNonNull(outputs.get("stack"));
    assertArrayEquals(new long[] {2, 3, 1}, stack.shape());
    assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6}, stack.floats());
  }

  @Test
  void compilersRefuseThemByName() {
    TersorException e =
        assertThrows(
            TersorException.class,
            () -> LoadedModel.of(COMPILER, graph(), "jvm", CompileOptions.defaults()));
    assertEquals("TSR-0303", e.code());
  }

  private static Graph graph() {
    GraphBuilder b = new GraphBuilder(OPSETS, 0);
    Value state = b.input("state", TensorType.of(DType.F32, 1));
    Value x = b.input("x", TensorType.of(DType.F32, 2, 3));
    Value dims = b.input("dims", TensorType.of(DType.I64, List.of(DimExpr.symbol("n"))));
    GraphBuilder body = new GraphBuilder(OPSETS, 100);
    Value carried = body.input("carried", ValueType.UNKNOWN);
    Value slice = body.input("slice", ValueType.UNKNOWN);
    body.output(body.add("Identity", carried));
    body.output(body.add("Reshape", slice, dims));
    Value last = b.value("last", ValueType.UNKNOWN);
    Value stack = b.value("stack", ValueType.UNKNOWN);
    b.addNode(
        "",
        "Scan",
        Map.of(
            "body", new Attribute.GraphAttr(body.build("body", Map.of())),
            "num_scan_inputs", new Attribute.IntAttr(1)),
        List.of(state, x),
        List.of(last, stack));
    b.output(last);
    b.output(stack);
    return b.build("slices", Map.of());
  }
}
