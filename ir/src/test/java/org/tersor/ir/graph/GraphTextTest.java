package org.tersor.ir.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tersor.ir.op.GraphVerifier;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class GraphTextTest {

  private static Graph everything() {
    Map<String, Integer> opsets = new LinkedHashMap<>();
    opsets.put("", 17);
    opsets.put("com.microsoft", 1);
    opsets.put("odd domain", 2);
    GraphBuilder b = new GraphBuilder(opsets, 0);
    DimExpr n = DimExpr.symbol("N");
    Value x =
        b.input(
            "x \"quoted\"\n\u2028\ud800",
            ValueType.TensorType.of(
                DType.F32, List.of(n, n.times(2).plus(1).floorDiv(3), DimExpr.of(4))));
    Value s =
        b.input(
            "",
            new ValueType.SequenceType(
                new ValueType.OptionalType(ValueType.TensorType.unranked(DType.I64))));
    Value m = b.input("m", new ValueType.MapType(DType.STRING, ValueType.TensorType.of(DType.F32)));
    Value c = b.input("c", ValueType.UNKNOWN);
    GraphBuilder inner = new GraphBuilder(opsets, 1000);
    inner.output(inner.add("Add", x, inner.scalar(Float.NaN)));
    GraphBuilder other = new GraphBuilder(opsets, 2000);
    other.output(x);
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    attributes.put("then_branch", new Attribute.GraphAttr(inner.build("then", Map.of("k", "v"))));
    attributes.put("bodies", new Attribute.GraphsAttr(List.of(other.build("", Map.of()))));
    attributes.put("i", new Attribute.IntAttr(Long.MIN_VALUE));
    attributes.put("f", new Attribute.FloatAttr(-0f));
    attributes.put("nan", new Attribute.FloatAttr(Float.NaN));
    attributes.put("inf", new Attribute.FloatAttr(Float.NEGATIVE_INFINITY));
    attributes.put("s", new Attribute.StringAttr("tab\t // no comment"));
    attributes.put("odd name", new Attribute.TypeAttr(ValueType.TensorType.of(DType.U2, 3)));
    attributes.put("none", new Attribute.IntsAttr(List.of()));
    attributes.put("ints", new Attribute.IntsAttr(List.of(1L, -2L)));
    attributes.put("floats", new Attribute.FloatsAttr(List.of(Float.MIN_VALUE, 1e30f)));
    attributes.put("strings", new Attribute.StringsAttr(List.of("", "ü")));
    attributes.put("types", new Attribute.TypesAttr(List.of(ValueType.TensorType.of(DType.F64))));
    attributes.put("t", new Attribute.TensorAttr(Constant.of(Tensor.of(new long[] {5, -6}, 2))));
    attributes.put(
        "ts", new Attribute.TensorsAttr(List.of(Constant.of(Tensor.of(new float[100], 10, 10)))));
    Value y = b.value("y", ValueType.UNKNOWN);
    b.addNode("a node", "", "If", attributes, List.of(c, Value.NONE, s), List.of(Value.NONE, y));
    b.addNode("com.microsoft", "QLinearAdd", Map.of(), List.of(y, m), List.of());
    b.addNode(
        "odd domain", "odd type", Map.of(), List.of(), List.of(b.value("", ValueType.UNKNOWN)));
    for (DType dtype : DType.values()) {
      Tensor tensor = Tensor.zeros(dtype, 2, 3);
      for (int i = 0; i < 6 * dtype.slots(); i++) {
        switch (dtype.slot()) {
          case BYTE ->
              tensor.bytes()[i] = (byte) (dtype.isInteger() || dtype == DType.BOOL ? i & 1 : i + 9);
          case SHORT -> tensor.shorts()[i] = (short) (i * 12345);
          case INT -> tensor.ints()[i] = i * 1234567890;
          case LONG -> tensor.longs()[i] = i * 1234567890123456789L;
          case FLOAT -> tensor.floats()[i] = Float.intBitsToFloat(i * 1234567890);
          case DOUBLE -> tensor.doubles()[i] = Double.longBitsToDouble(i * 1234567890123456789L);
          case STRING -> tensor.strings()[i] = "s" + i;
        }
      }
      b.output(b.constant(dtype.text(), Constant.of(tensor)));
    }
    b.output(y);
    return b.build("every thing", Map.of("doc", "line 1\nline 2"));
  }

  @Test
  void roundTrip() {
    Graph graph = everything();
    String text = GraphPrinter.print(graph);
    Map<String, Constant> references = GraphPrinter.references(graph);
    assertEquals(1, references.size());
    Graph read = GraphParser.parse(text, r -> Optional.ofNullable(references.get(r)));
    assertEquals(text, GraphPrinter.print(read));
    assertEquals(graph.constants(), read.constants());
    assertEquals(graph.types(), read.types());
    assertEquals(graph.outputs(), read.outputs());
    assertEquals(graph.opsets(), read.opsets());
    assertEquals(graph.inputs().getFirst().name(), read.inputs().getFirst().name());
    assertEquals(graph.nodes().size(), read.nodes().size());
    assertEquals(List.of(), GraphVerifier.check(read, Optional.empty()));
  }

  @Test
  void largeWeightsAreNotPrinted() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    b.output(b.add("Relu", b.constant("w", Constant.of(Tensor.zeros(DType.F32, 1000, 1000)))));
    String text = GraphPrinter.print(b.build("g", Map.of()));
    assertTrue(text.length() < 400, text);
    TersorException e = assertThrows(TersorException.class, () -> GraphParser.parse(text));
    assertEquals("TSR-1054", e.code());
    assertTrue(String.valueOf(e.getMessage()).startsWith("3:"), e.getMessage());
  }

  private static void refused(String code, String position, String text) {
    TersorException e = assertThrows(TersorException.class, () -> GraphParser.parse(text));
    assertEquals(code, e.code(), e.getMessage());
    assertTrue(String.valueOf(e.getMessage()).startsWith(position + ": "), e.getMessage());
  }

  @Test
  void errorsHavePositions() {
    refused("TSR-1050", "1:1", "");
    refused("TSR-1052", "2:19", "graph \"\" {\n  %1: ? = Relu-1(%0) #0 {}\n}");
    refused("TSR-1053", "3:10", "graph \"\" {\n  input %0: ?\n  input %0: ?\n}");
    refused("TSR-1053", "3:18", "graph \"\" {\n  %1: ? = A-1() #0 {}\n  %2: ? = A-1() #0 {}\n}");
    refused("TSR-1050", "1:23", "graph \"\" {  input %0: zz[2] }");
    refused("TSR-1050", "2:13", "graph \"\" {\n  const %0: f32[2] [1.0] }");
    refused("TSR-1050", "2:13", "graph \"\" {\n  const %0: i8[1] [300] }");
    refused("TSR-1050", "2:13", "graph \"\" {\n  const %0: f32[4294967296, 4294967296] [1.0] }");
    refused("TSR-1051", "2:18", "graph \"\" {\n  input %0: f32[(a+b)*(a+b)] }");
    StringBuilder deep = new StringBuilder();
    for (int i = 0; i < 5000; i++) {
      deep.append("graph \"\" { = A-1() #").append(i).append(" {a = ");
    }
    assertEquals(
        "TSR-1051",
        assertThrows(TersorException.class, () -> GraphParser.parse(deep.toString())).code());
    String types = "graph \"\" { input %0: " + "seq(".repeat(5000);
    assertEquals(
        "TSR-1051", assertThrows(TersorException.class, () -> GraphParser.parse(types)).code());
    String dims = "graph \"\" { input %0: f32[" + "min(".repeat(5000);
    assertEquals(
        "TSR-1051", assertThrows(TersorException.class, () -> GraphParser.parse(dims)).code());
  }

  @Test
  void spoiltTextIsADiagnostic() {
    String text = GraphPrinter.print(everything());
    Random random = new Random(3);
    for (int i = 0; i < 1000; i++) {
      StringBuilder spoilt = new StringBuilder(text);
      int at = random.nextInt(text.length());
      if (i % 3 == 0) {
        spoilt.setLength(at);
      } else {
        spoilt.setCharAt(at, "%{}()[]\"-#=,:9@\\ax".charAt(random.nextInt(18)));
      }
      try {
        GraphParser.parse(spoilt.toString());
      } catch (TersorException e) {
        assertTrue(e.code().startsWith("TSR-105"), e.code());
      }
    }
  }

  @Test
  void verifierNamesWhatIsWrong() {
    Map<String, Integer> opsets = Map.of("", 17);
    Value x = new Value(0, "x");
    Value y = new Value(1, "y");
    Value z = new Value(2, "z");
    Node late = new Node(3, "late", new OpKey("", "Relu", 17), List.of(y), List.of(z), Map.of());
    Node early = new Node(4, "early", new OpKey("", "Relu", 17), List.of(x), List.of(y), Map.of());
    Map<Value, ValueType> types =
        Map.of(
            x,
            ValueType.TensorType.unranked(DType.F32),
            y,
            ValueType.TensorType.unranked(DType.F32));
    Graph unsorted =
        new Graph(
            "g", List.of(x), List.of(z), List.of(late, early), Map.of(), types, opsets, Map.of());
    List<GraphVerifier.Problem> problems = GraphVerifier.check(unsorted, Optional.empty());
    assertEquals(1, problems.size());
    assertTrue(
        problems.getFirst().message().contains("'late' uses %1 'y' before it is defined"),
        problems.toString());
    Graph twice =
        new Graph(
            "g",
            List.of(x, y),
            List.of(z),
            List.of(early, late),
            Map.of(),
            types,
            opsets,
            Map.of());
    assertTrue(
        GraphVerifier.check(twice, Optional.empty()).getFirst().message().contains("second time"));
    Graph good =
        new Graph(
            "g", List.of(x), List.of(z), List.of(early, late), Map.of(), types, opsets, Map.of());
    assertEquals(List.of(), GraphVerifier.check(good, Optional.empty()));
    assertEquals(List.of(z), GraphVerifier.untyped(good));
    assertEquals("input", GraphVerifier.unranked(good).getLast().node());
    Graph lost =
        new Graph("g", List.of(), List.of(z), List.of(), Map.of(), Map.of(), opsets, Map.of());
    TersorException e =
        assertThrows(
            TersorException.class, () -> GraphVerifier.verify(lost, Optional.empty(), "after x"));
    assertEquals("TSR-0310", e.code());
    assertFalse(String.valueOf(e.getMessage()).isEmpty());
  }
}
