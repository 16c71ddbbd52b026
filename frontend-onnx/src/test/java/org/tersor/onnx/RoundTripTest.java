package org.tersor.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.GraphParser;
import org.tersor.ir.graph.GraphPrinter;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.op.GraphVerifier;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class RoundTripTest {
  private static final OnnxFrontend ONNX = new OnnxFrontend();

  @TempDir Path folder;

  private Graph again(Graph graph, Map<String, String> options) {
    Path file = folder.resolve("again.onnx");
    ONNX.write(graph, file, options);
    return ONNX.read(file, Map.of());
  }

  @Test
  void realModels() throws IOException {
    for (Path file : TestData.models("models")) {
      Graph graph = ONNX.read(file, Map.of());
      Same.check(graph, again(graph, Map.of()), file.toString());
    }
  }

  @Test
  void backendSuite() throws IOException {
    for (Path file : TestData.models("onnx-backend")) {
      Graph graph = ONNX.read(file, Map.of());
      Same.check(graph, again(graph, Map.of()), file.toString());
    }
  }

  @Test
  void textFormOfRealModels() throws IOException {
    for (Path file : TestData.models("models")) {
      Graph graph = ONNX.read(file, Map.of());
      assertEquals(List.of(), GraphVerifier.check(graph, Optional.empty()), file.toString());
      String text = GraphPrinter.print(graph);
      assertTrue(text.length() < 5_000_000, file + ": " + text.length());
      Map<String, Constant> references = GraphPrinter.references(graph);
      Graph read = GraphParser.parse(text, name -> Optional.ofNullable(references.get(name)));
      Same.check(graph, read, file.toString());
      assertEquals(text, GraphPrinter.print(read));
    }
  }

  /** Values that use every bit of a code, so that packing mistakes show. */
  private static Tensor pattern(DType dtype, long... shape) {
    Tensor tensor = Tensor.zeros(dtype, shape);
    int slots = tensor.size() * dtype.slots();
    for (int i = 0; i < slots; i++) {
      long bits = i * 0x9E3779B97F4A7C15L;
      switch (dtype.slot()) {
        case BYTE -> {
          if (dtype.isFloat() && dtype.bits() == 4) {
            tensor.bytes()[i] = (byte) (bits & 15);
          } else if (dtype.isFloat()) {
            tensor.bytes()[i] = (byte) bits;
          } else {
            tensor.setLong(i, dtype == DType.BOOL ? bits & 1 : bits);
          }
        }
        case SHORT -> tensor.shorts()[i] = (short) bits;
        case INT -> tensor.ints()[i] = (int) bits;
        case LONG -> tensor.longs()[i] = bits;
        case FLOAT -> tensor.floats()[i] = i * 0.37f - 1;
        case DOUBLE -> tensor.doubles()[i] = i * 0.37 - 1;
        case STRING -> tensor.strings()[i] = "ü" + i;
      }
    }
    return tensor;
  }

  @Test
  void everyElementType() {
    GraphBuilder b = new GraphBuilder(Map.of("", 25), 0);
    for (DType dtype : DType.values()) {
      for (long n : new long[] {0, 1, 7, 5000}) {
        if (n < 5000 || dtype != DType.STRING) {
          b.output(b.add("Identity", b.constant("w", Constant.of(pattern(dtype, n)))));
        }
      }
    }
    Graph graph = b.build("types", Map.of("tersor.plan", "abc"));
    Same.check(graph, again(graph, Map.of()), "types");
    Same.check(graph, again(graph, Map.of("external-data-above", "10")), "types, external");
    assertTrue(Files.exists(folder.resolve("again.onnx.data")));
  }

  @Test
  void tensorsInTestData() {
    for (DType dtype : DType.values()) {
      Tensor tensor = pattern(dtype, 3, 5);
      assertEquals(tensor, OnnxTensors.fromBytes(OnnxTensors.toBytes(tensor, "x")));
      Path file = folder.resolve("x.pb");
      OnnxTensors.write(tensor, "x", file);
      assertEquals(tensor, OnnxTensors.read(file));
    }
  }

  @Test
  void bodiesSequencesNotesAndNames() {
    Map<String, Integer> opsets = Map.of("", 17);
    GraphBuilder b = new GraphBuilder(opsets, 0);
    Value cond = b.input("cond", ValueType.TensorType.of(DType.BOOL));
    ValueType floats =
        ValueType.TensorType.of(
            DType.F32, List.of(DimExpr.symbol("batch_size"), DimExpr.symbol("d0"), DimExpr.of(3)));
    Value x = b.input("x", floats);
    Value sequence =
        b.input("s", new ValueType.SequenceType(ValueType.TensorType.unranked(DType.F32)));
    Value optional =
        b.input(
            "o",
            new ValueType.OptionalType(
                new ValueType.SequenceType(ValueType.TensorType.of(DType.I64, 2))));
    // Same names inside as outside, and none at all.
    GraphBuilder t = new GraphBuilder(opsets, 100);
    Value weight = t.constant("w", Constant.of(Tensor.of(new float[] {1, 2, 3}, 3)));
    Value sum = t.value("x", ValueType.UNKNOWN);
    t.addNode("", "Add", Map.of(), List.of(x, weight), List.of(sum));
    t.output(sum);
    GraphBuilder e = new GraphBuilder(opsets, 200);
    e.output(e.constant("", Constant.of(Tensor.of(new float[] {7}, 1))));
    Map<String, Attribute> branches = new LinkedHashMap<>();
    branches.put(
        "then_branch", new Attribute.GraphAttr(t.build("", Map.of(Metadata.GRAPH_DOC, "body"))));
    branches.put("else_branch", new Attribute.GraphAttr(e.build("", Map.of())));
    Value y = b.add("If", branches, cond);
    Value z = b.add("SequenceInsert", sequence, y);
    Value has = b.add("OptionalHasElement", optional);
    Map<String, Attribute> all = new LinkedHashMap<>();
    all.put("a", new Attribute.IntAttr(0));
    all.put("b", new Attribute.FloatAttr(Float.NaN));
    all.put("c", new Attribute.StringAttr(""));
    all.put("d", new Attribute.IntsAttr(List.of()));
    all.put("e", new Attribute.FloatsAttr(List.of(1f, -0f)));
    all.put("f", new Attribute.StringsAttr(List.of("a", "ß")));
    all.put("g", new Attribute.TensorAttr(Constant.of(pattern(DType.I4, 3))));
    all.put("h", new Attribute.TensorsAttr(List.of(Constant.of(pattern(DType.F16, 3)))));
    all.put(
        "i",
        new Attribute.TypeAttr(
            new ValueType.MapType(DType.STRING, ValueType.TensorType.of(DType.F32))));
    all.put("j", new Attribute.TypesAttr(List.of(ValueType.TensorType.of(DType.F32, 1, 2))));
    all.put("k", new Attribute.IntsAttr(List.of(Long.MIN_VALUE, 5L)));
    Value odd = b.value("", ValueType.UNKNOWN);
    b.addNode("node", "", "Odd", all, List.of(x, Value.NONE, y), List.of(Value.NONE, odd));
    b.addNode("node", "", "Odd", Map.of(), List.of(), List.of(b.value("", ValueType.UNKNOWN)));
    List.of(z, has, odd).forEach(b::output);
    int odds = b.nodes().stream().filter(n -> n.op().is("Odd")).findFirst().orElseThrow().id();
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put("author", "me");
    metadata.put(Metadata.PROP + "onnx.ir_version", "not the real one");
    metadata.put(Metadata.DOC, "model");
    metadata.put(Metadata.MODEL_VERSION, "3");
    metadata.put(Metadata.GRAPH_PROP + "k", "v");
    metadata.put(Metadata.DIM + "batch_size", "batch-size");
    metadata.put(Metadata.DIM + "d0", "");
    metadata.put(Metadata.NODE + odds + Metadata.DOC_SUFFIX, "what it is for");
    metadata.put(Metadata.NODE + odds + Metadata.PROP_SUFFIX + "scope", "layer 1");
    metadata.put(Metadata.VALUE + x.id() + Metadata.DOC_SUFFIX, "the picture");
    Graph graph = b.build("main", metadata);
    Graph read = again(graph, Map.of());
    Same.check(graph, read, "made by hand");
    assertEquals("main", read.name());
    assertEquals(
        "10", read.metadata().get(Metadata.IR_VERSION), "opset 17 has IR 8, but i4 needs 10");
    assertTrue(read.metadata().containsValue("what it is for"));
    assertTrue(read.metadata().containsValue("layer 1"));
    assertTrue(read.metadata().containsValue("the picture"));
    List<String> names = new ArrayList<>();
    read.nodes().forEach(n -> n.outputs().forEach(v -> names.add(v.name())));
    assertEquals(6, names.stream().distinct().count(), "five values and one absent: " + names);
  }

  @Test
  void operatorsOfTheCompilerCannotBeWritten() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17, OpKey.TERSOR, 1), 0);
    b.output(
        b.add(OpKey.TERSOR, "fq", Map.of(), b.input("x", ValueType.TensorType.of(DType.F32, 1))));
    Graph graph = b.build("g", Map.of());
    TersorException e =
        assertThrows(
            TersorException.class, () -> ONNX.write(graph, folder.resolve("x.onnx"), Map.of()));
    assertEquals("TSR-0220", e.code());
    assertTrue(e.getMessage().contains("fq"));
    assertTrue(Files.notExists(folder.resolve("x.onnx")));
  }

  @Test
  void outputsThatAreInputsConstantsOrGivenTwice() {
    GraphBuilder b = new GraphBuilder(Map.of("", 17), 0);
    Value x = b.input("x", ValueType.TensorType.of(DType.F32, 2));
    Value c = b.constant("c", Constant.of(Tensor.of(new float[] {1, 2}, 2)));
    Value y = b.add("Relu", x);
    List.of(x, c, y, y).forEach(b::output);
    Graph read = again(b.build("g", Map.of()), Map.of());
    assertEquals(4, read.outputs().stream().distinct().count());
    assertEquals("x", read.outputs().get(0).name());
    assertEquals(
        Tensor.of(new float[] {1, 2}, 2),
        read.constant(read.outputs().get(1)).orElseThrow().load());
    assertEquals("Identity", read.producer(read.outputs().get(3)).orElseThrow().op().type());
  }
}
