package org.tersor.ir.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.op.Operator;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Shapes computed by the graph itself are followed as expressions. */
class SymbolicShapeTest {
  private final GraphBuilder builder = new GraphBuilder(Map.of("", 17), 0);

  private static final class Context extends OpContext {
    private final Map<Value, ValueType> types;
    private final Map<Value, List<DimExpr>> known;

    Context(Graph graph, Node node, Map<Value, ValueType> types, Map<Value, List<DimExpr>> known) {
      super(graph, node);
      this.types = types;
      this.known = known;
    }

    @Override
    protected ValueType typeOf(Value value) {
      return types.getOrDefault(value, graph().type(value));
    }

    @Override
    public Optional<List<DimExpr>> symbolic(int index) {
      Value value = node().input(index);
      return Optional.ofNullable(known.get(value))
          .or(() ->
              graph()
                  .constant(value)
                  .map(c -> c.load())
                  .filter(t -> t.rank() <= 1 && t.dtype().isInteger())
                  .map(t ->
                      IntStream.range(0, t.size())
                          .mapToObj(i -> DimExpr.of(t.getLong(i)))
                          .toList()));
    }
  }

  /** Type of the last node's output. */
  private TensorType inferred() {
    Graph graph = builder.build("test", Map.of());
    Map<Value, ValueType> types = new HashMap<>();
    Map<Value, List<DimExpr>> known = new HashMap<>();
    OpRegistry operators = OpRegistry.standard();
    TensorType last = TensorType.of(DType.F32);
    for (Node node : graph.nodes()) {
      Operator operator = operators.get(node);
      Context context = new Context(graph, node, types, known);
      last = operator.infer(context).getFirst().tensor();
      types.put(node.output(0), last);
      if (last.dtype().isInteger() && last.isRanked() && last.rank() <= 1) {
        operator.symbolicOutput(context).ifPresent(s -> known.put(node.output(0), s));
      }
    }
    return last;
  }

  private Value scalar(long value) {
    return builder.constant(Tensor.of(new long[] {value}));
  }

  @Test
  void reshapeByComputedShape() {
    DimExpr n = DimExpr.symbol("n");
    Value x =
        builder.input("x", TensorType.of(DType.F32, List.of(n, DimExpr.of(3), DimExpr.of(8))));
    Value shape = builder.add("Shape", x);
    Value batch = builder.add("Gather", shape, scalar(0));
    Value twice = builder.add("Mul", batch, scalar(2));
    Value half = builder.add("Div", builder.add("Gather", shape, scalar(2)), scalar(2));
    Value first = builder.add("Unsqueeze", twice, builder.longs(0));
    Value last =
        builder.add(
            "Unsqueeze",
            builder.add("Cast", Map.of("to", new Attribute.IntAttr(7)), half),
            builder.longs(0));
    Value wanted =
        builder.add(
            "Concat", Map.of("axis", new Attribute.IntAttr(0)), first, builder.longs(-1), last);
    builder.add("Reshape", x, wanted);
    assertEquals(List.of(n.times(2), DimExpr.of(3), DimExpr.of(4)), inferred().dims());
  }

  @Test
  void slicesOfShapes() {
    DimExpr n = DimExpr.symbol("n");
    Value x =
        builder.input("x", TensorType.of(DType.F32, List.of(n, DimExpr.of(3), DimExpr.of(8))));
    Value head = builder.add("Slice", builder.add("Shape", x), builder.longs(0), builder.longs(2));
    builder.add("Expand", builder.constant(Tensor.of(new float[] {1})), head);
    assertEquals(List.of(n, DimExpr.of(3)), inferred().dims());
  }

  @Test
  void ranges() {
    DimExpr n = DimExpr.symbol("n");
    Value x = builder.input("x", TensorType.of(DType.F32, List.of(n)));
    builder.add("Range", scalar(0), builder.add("Size", x), scalar(1));
    assertEquals(List.of(n), inferred().dims());
  }

  @Test
  void slicesOfSymbolicAxes() {
    DimExpr n = DimExpr.symbol("n");
    Value x = builder.input("x", TensorType.of(DType.F32, List.of(n)));
    builder.add("Slice", x, builder.longs(-2), builder.longs(Long.MAX_VALUE));
    DimExpr length = inferred().dims().getFirst();
    assertEquals(2, length.eval(Map.of("n", 5L)));
    assertEquals(1, length.eval(Map.of("n", 1L)));
  }

  @Test
  void unknownAxesGiveUnknownDimensions() {
    Value x = builder.input("x", TensorType.of(DType.F32, 2, 3));
    Value axes = builder.input("axes", TensorType.of(DType.I64, 1));
    builder.add("Unsqueeze", x, axes);
    assertEquals(3, inferred().rank());
    assertTrue(inferred().dims().stream().noneMatch(DimExpr::isConst));
  }

  @Test
  void hugeShapesAreRefused() {
    TersorException e =
        assertThrows(
            TersorException.class,
            () -> OperatorTestKit.node("ConstantOfShape", 9).longs(1L << 31, 1L << 31, 4).eval());
    assertEquals("TSR-0303", e.code());
  }
}
