package org.tersor.passes;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.GraphVerifier;
import org.tersor.ir.op.OpRegistry;
import org.tersor.ir.spi.Pass;
import org.tersor.ir.spi.PassContext;
import org.tersor.passes.eval.Evaluator;
import org.tersor.passes.graph.UpgradeOpset;
import org.tersor.passes.infer.TypeInference;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Every rule of the upgrade: the raised graph is valid and gives the numbers of the old one. */
class UpgradeOpsetTest {
  private static final OpRegistry OPERATORS = OpRegistry.standard();

  private final Map<String, Attribute> none = Map.of();

  private static Attribute ints(Long... values) {
    return new Attribute.IntsAttr(List.of(values));
  }

  private static Attribute number(long value) {
    return new Attribute.IntAttr(value);
  }

  private static Attribute number(float value) {
    return new Attribute.FloatAttr(value);
  }

  private static Attribute text(String value) {
    return new Attribute.StringAttr(value);
  }

  private static Graph raised(Graph graph) {
    PassContext context = new PassContext(OPERATORS, Map.of(), note -> {});
    PassManager.Debug debug =
        PassManager.Debug.OFF.withVerifier(
            g -> GraphVerifier.verify(g, Optional.of(OPERATORS), "after the upgrade"));
    List<Pass> passes =
        List.of(new TypeInference(), UpgradeOpset.forChannels(), new TypeInference());
    return new PassManager(context, debug).run(passes, graph);
  }

  /** Raises a graph of one node, runs it before and after, and gives the raised one. */
  private static Graph same(
      int opset, long[] shape, String type, Map<String, Attribute> attributes, int outputs) {
    GraphBuilder b = new GraphBuilder(Map.of("", opset), 0);
    Value x = b.input("x", TensorType.of(DType.F32, shape));
    return same(b, List.of(x), type, attributes, outputs, shape);
  }

  private static Graph same(
      GraphBuilder b,
      List<Value> inputs,
      String type,
      Map<String, Attribute> attributes,
      int outputs,
      long[] shape) {
    List<Value> results =
        java.util.stream.IntStream.range(0, outputs)
            .mapToObj(i -> b.value("y" + i, TensorType.unranked(DType.F32)))
            .toList();
    b.addNode("node", "", type, attributes, inputs, results);
    results.forEach(b::output);
    Graph old = b.build("g", Map.of());
    Graph raised = raised(old);
    assertEquals(UpgradeOpset.TARGET, raised.opset(""));
    raised.nodes().forEach(n -> assertEquals(UpgradeOpset.TARGET, n.op().version(), n.label()));
    Random random = new Random(3);
    float[] values = new float[(int) Tensor.count(shape)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    Tensor x = Tensor.of(values, shape);
    List<Tensor> before = new Evaluator(old, OPERATORS).run(List.of(x));
    List<Tensor> after = new Evaluator(raised, OPERATORS).run(List.of(x));
    for (int i = 0; i < outputs; i++) {
      assertArrayEquals(before.get(i).shape(), after.get(i).shape());
      assertArrayEquals(before.get(i).floats(), after.get(i).floats(), 1e-6f);
      assertEquals(old.outputs().get(i).name(), raised.outputs().get(i).name());
    }
    return raised;
  }

  private static List<String> types(Graph graph) {
    return graph.nodes().stream().map(n -> n.op().type()).toList();
  }

  @ParameterizedTest
  @CsvSource({"Softmax,8", "LogSoftmax,11", "Hardmax,1"})
  void normalisationOverSeveralDimensionsGoesThroughAFlatTensor(String type, int opset) {
    assertEquals(
        List.of("Flatten", type, "Reshape"),
        types(same(opset, new long[] {2, 3, 4}, type, Map.of(), 1)));
    assertEquals(
        List.of("Flatten", type, "Reshape"),
        types(same(opset, new long[] {2, 3, 4}, type, Map.of("axis", number(0)), 1)));
    for (long[] shape : new long[][] {{2, 3}, {2, 3, 1, 1}}) {
      Graph direct = same(opset, shape, type, none, 1);
      assertEquals(List.of(type), types(direct));
      assertEquals(number(1), direct.nodes().getFirst().attributes().get("axis"));
    }
  }

  @Test
  void normalisationOfAFreeBatchKeepsItFree() {
    GraphBuilder b = new GraphBuilder(Map.of("", 9), 0);
    List<DimExpr> dims = List.of(DimExpr.symbol("N"), DimExpr.of(3), DimExpr.of(2));
    Value x = b.input("x", TensorType.of(DType.F32, dims));
    Graph raised = same(b, List.of(x), "Softmax", none, 1, new long[] {5, 3, 2});
    assertEquals(List.of("Flatten", "Softmax", "Shape", "Reshape"), types(raised));
    assertEquals(TensorType.of(DType.F32, dims), raised.type(raised.outputs().getFirst()));
  }

  @Test
  void attributesBecomeInputs() {
    long[] shape = {1, 3, 1, 4};
    assertEquals(
        2, only(same(11, shape, "Squeeze", Map.of("axes", ints(0L, 2L)), 1)).inputs().size());
    assertEquals(1, only(same(11, shape, "Squeeze", none, 1)).inputs().size());
    assertEquals(2, only(same(8, shape, "Unsqueeze", Map.of("axes", ints(1L)), 1)).inputs().size());
    same(12, shape, "ReduceSum", Map.of("axes", ints(1L, 3L), "keepdims", number(0)), 1);
    same(9, shape, "ReduceSum", none, 1);
    same(9, shape, "Split", Map.of("axis", number(3), "split", ints(1L, 3L)), 2);
    same(9, shape, "Split", Map.of("axis", number(3)), 2);
    same(6, shape, "Clip", Map.of("min", number(-.5f), "max", number(.25f)), 1);
    Node above = only(same(6, shape, "Clip", Map.of("max", number(.25f)), 1));
    assertTrue(!above.input(1).isPresent() && above.input(2).isPresent());
    assertEquals(1, only(same(6, shape, "Clip", none, 1)).inputs().size());
    same(
        9,
        shape,
        "Slice",
        Map.of("starts", ints(1L, -3L), "ends", ints(9L, 3L), "axes", ints(1L, 3L)),
        1);
    same(9, shape, "Slice", Map.of("starts", ints(0L, 1L), "ends", ints(1L, 2L)), 1);
    Attribute pads = ints(0L, 0L, 1L, 2L, 0L, 0L, 0L, 1L);
    same(2, shape, "Pad", Map.of("pads", pads, "value", number(1.5f)), 1);
    assertEquals(2, only(same(10, shape, "Pad", Map.of("pads", pads), 1)).inputs().size());
    same(
        2,
        shape,
        "Pad",
        Map.of("pads", ints(0L, 0L, 0L, 2L, 0L, 0L, 0L, 1L), "mode", text("reflect")),
        1);
  }

  private static Node only(Graph graph) {
    assertEquals(1, graph.nodes().size());
    return graph.nodes().getFirst();
  }

  @Test
  void enlargementsBecomeResize() {
    for (String mode : List.of("nearest", "linear")) {
      long[] shape = {1, 2, 3, 4};
      Attribute scales = new Attribute.FloatsAttr(List.of(1f, 1f, 2f, 3f));
      Graph raised = same(7, shape, "Upsample", Map.of("mode", text(mode), "scales", scales), 1);
      assertEquals(List.of("Resize"), types(raised));
      for (Map.Entry<String, Integer> form : Map.of("Upsample", 9, "Resize", 10).entrySet()) {
        GraphBuilder b = new GraphBuilder(Map.of("", form.getValue()), 0);
        Value x = b.input("x", TensorType.of(DType.F32, shape));
        Value by = b.constant(Tensor.of(new float[] {1, 1, 2.5f, 2}, 4));
        same(b, List.of(x, by), form.getKey(), Map.of("mode", text(mode)), 1, shape);
      }
    }
    Attribute half = new Attribute.FloatsAttr(List.of(.5f));
    refused(7, "Upsample", Map.of("scales", half), "nearest neighbours");
  }

  @Test
  void operatorsOfTheSameMeaningKeepTheirForm() {
    assertEquals(
        List.of("Identity"),
        types(same(10, new long[] {2, 3}, "Dropout", Map.of("ratio", number(.5f)), 1)));
    Map<String, Attribute> window = Map.of("kernel_shape", ints(2L, 2L));
    same(7, new long[] {1, 2, 4, 4}, "AveragePool", window, 1);
    same(8, new long[] {1, 2, 4, 4}, "MaxPool", window, 1);
    same(1, new long[] {1, 2, 4, 4}, "GlobalAveragePool", none, 1);
    same(8, new long[] {2, 3, 4}, "ReduceMean", Map.of("axes", ints(1L)), 1);
    Graph legacy = same(6, new long[] {2, 3}, "Relu", none, 1);
    assertEquals(Map.of(), only(legacy).attributes());
  }

  @Test
  void newGraphsStay() {
    GraphBuilder b = new GraphBuilder(Map.of("", 13), 0);
    b.output(b.add("Relu", b.input("x", TensorType.of(DType.F32, 2))));
    Graph graph = b.build("g", Map.of());
    assertSame(
        graph,
        UpgradeOpset.forChannels().run(graph, new PassContext(OPERATORS, Map.of(), note -> {})));
  }

  @Test
  void whatHasNoRuleIsRefusedByName() {
    refused(6, "Add", Map.of("broadcast", number(1), "axis", number(1)), "broadcast attributes");
    refused(8, "BatchNormalization", Map.of("spatial", number(0)), "spatial");
    refused(6, "BatchNormalization", Map.of(), "training mode");
    refused(1, "Pad", Map.of("paddings", ints(0L, 1L)), "other attributes");
    TersorException steps = refused(9, "OneHot", Map.of(), "no rule");
    assertTrue(steps.getMessage().contains("OneHot of opset 9"), steps.getMessage());
    assertTrue(steps.getMessage().contains("versions [11]"), steps.getMessage());
  }

  private static TersorException refused(
      int opset, String type, Map<String, Attribute> attributes, String why) {
    GraphBuilder b = new GraphBuilder(Map.of("", opset), 0);
    Value x = b.input("x", TensorType.of(DType.F32, 2));
    b.output(b.add(type, attributes, x, x));
    Graph graph = b.build("g", Map.of());
    PassContext context = new PassContext(OPERATORS, Map.of(), note -> {});
    TersorException e =
        assertThrows(TersorException.class, () -> UpgradeOpset.forChannels().run(graph, context));
    assertEquals("TSR-0415", e.code());
    assertTrue(e.getMessage().contains(why), e.getMessage());
    return e;
  }
}
