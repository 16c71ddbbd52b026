package org.tersor.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.graph.Graph;
import org.tersor.onnx.proto.AttributeProto;
import org.tersor.onnx.proto.FunctionProto;
import org.tersor.onnx.proto.GraphProto;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.onnx.proto.NodeProto;
import org.tersor.onnx.proto.OperatorSetIdProto;
import org.tersor.onnx.proto.SparseTensorProto;
import org.tersor.onnx.proto.TensorProto;
import org.tersor.onnx.proto.TypeProto;
import org.tersor.onnx.proto.ValueInfoProto;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Files made to break a reader: each must end in a diagnostic with the right code, quickly and in
 * bounded memory.
 */
@Timeout(20)
class HostileModelsTest {
  private static final OnnxFrontend ONNX = new OnnxFrontend();

  @TempDir Path folder;

  // The valid model that every test spoils: y = Add(x, w).

  private static ValueInfoProto floats(String name) {
    return ValueInfoProto.newBuilder()
        .setName(name)
        .setType(TypeProto.newBuilder().setTensorType(TypeProto.Tensor.newBuilder().setElemType(1)))
        .build();
  }

  private static NodeProto.Builder node(String op, String input, String output) {
    NodeProto.Builder node = NodeProto.newBuilder().setOpType(op).addOutput(output);
    for (String name : List.of(input.split(" ", -1))) {
      node.addInput(name);
    }
    return node;
  }

  private static TensorProto.Builder weight() {
    return TensorProto.newBuilder()
        .setName("w")
        .setDataType(1)
        .addDims(2)
        .addFloatData(1)
        .addFloatData(2);
  }

  private static GraphProto.Builder graph() {
    return GraphProto.newBuilder()
        .setName("g")
        .addInput(floats("x"))
        .addOutput(floats("y"))
        .addInitializer(weight())
        .addNode(node("Add", "x w", "y"));
  }

  private static ModelProto.Builder model(GraphProto.Builder graph) {
    return ModelProto.newBuilder()
        .setIrVersion(8)
        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
        .setGraph(graph);
  }

  private Path write(byte[] bytes) throws IOException {
    return Files.write(folder.resolve("model.onnx"), bytes);
  }

  private Graph read(ModelProto.Builder model, String... options) throws IOException {
    Map<String, String> map = options.length == 0 ? Map.of() : Map.of(options[0], options[1]);
    return ONNX.read(write(model.build().toByteArray()), map);
  }

  private String refused(String code, ModelProto.Builder model, String... options) {
    TersorException e = assertThrows(TersorException.class, () -> read(model, options));
    assertEquals(code, e.code(), e.getMessage());
    return String.valueOf(e.getMessage());
  }

  private String refusedGraph(String code, Consumer<GraphProto.Builder> change) {
    GraphProto.Builder graph = graph();
    change.accept(graph);
    return refused(code, model(graph));
  }

  private String refusedTensor(String code, Consumer<TensorProto.Builder> change) {
    TensorProto.Builder tensor = weight();
    change.accept(tensor);
    return refusedGraph(code, g -> g.setInitializer(0, tensor));
  }

  @Test
  void theUnspoiltModelIsRead() throws IOException {
    assertEquals(1, read(model(graph())).nodes().size());
  }

  @Test
  void randomBytes() throws IOException {
    Random random = new Random(1);
    for (int i = 0; i < 300; i++) {
      byte[] bytes = new byte[random.nextInt(i < 250 ? 64 : 20_000)];
      random.nextBytes(bytes);
      Path file = write(bytes);
      assertThrows(TersorException.class, () -> ONNX.read(file, Map.of()));
    }
  }

  @Test
  void everyTruncationAndManyFlippedBits() throws IOException {
    GraphProto.Builder graph = graph();
    byte[] large = new byte[5000 * 4];
    graph.addInitializer(
        TensorProto.newBuilder()
            .setName("v")
            .setDataType(1)
            .addDims(5000)
            .setRawData(ByteString.copyFrom(large)));
    byte[] small = model(graph()).build().toByteArray();
    byte[] whole = model(graph).build().toByteArray();
    for (int length = 0; length < small.length; length++) {
      spoilt(Arrays.copyOf(small, length), false);
    }
    for (int length = 1; length < whole.length; length += 997) {
      spoilt(Arrays.copyOf(whole, length), false);
    }
    Random random = new Random(2);
    for (int i = 0; i < 600; i++) {
      byte[] copy = (i % 4 == 0 ? whole : small).clone();
      for (int k = 0; k <= i % 3; k++) {
        copy[random.nextInt(Math.min(copy.length, 200))] ^= (byte) (1 << random.nextInt(8));
      }
      spoilt(copy, true);
    }
  }

  /** A diagnostic, or (where that may be) a graph; never another exception. */
  private void spoilt(byte[] bytes, boolean mayBeRead) throws IOException {
    Path file = write(bytes);
    try {
      ONNX.read(file, Map.of());
      assertTrue(mayBeRead, "a truncated file was read");
    } catch (TersorException e) {
      assertTrue(e.code().startsWith("TSR-02"), e.code());
    }
  }

  @Test
  void badUtf8() {
    byte[] bytes = model(graph().setName("ABCDEFG")).build().toByteArray();
    int at = new String(bytes, StandardCharsets.ISO_8859_1).indexOf("ABCDEFG");
    bytes[at] = (byte) 0xFF;
    TersorException e =
        assertThrows(TersorException.class, () -> ONNX.read(write(bytes), Map.of()));
    assertEquals("TSR-0203", e.code());
  }

  @Test
  void deepNesting() throws IOException {
    // Sequences of sequences, by hand: the library's own builder would overflow.
    byte[] inner = new byte[0];
    for (int i = 0; i < 3000; i++) {
      inner = field(i % 2 == 0 ? 1 : 4, inner);
    }
    byte[] info = concat(field(1, "x".getBytes(StandardCharsets.UTF_8)), field(2, inner));
    byte[] bytes = concat(model(graph()).build().toByteArray(), field(7, field(11, info)));
    TersorException e =
        assertThrows(TersorException.class, () -> ONNX.read(write(bytes), Map.of()));
    assertEquals("TSR-0203", e.code());
    // Bodies in bodies.
    byte[] body = new byte[5000];
    for (int i = 0; i < 400; i++) {
      body = field(1, field(5, field(6, body)));
    }
    byte[] bodies = concat(model(graph()).build().toByteArray(), field(7, body));
    assertEquals(
        "TSR-0203",
        assertThrows(TersorException.class, () -> ONNX.read(write(bodies), Map.of())).code());
  }

  private static byte[] field(int number, byte[] data) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(number << 3 | 2);
    int length = data.length;
    while (length > 127) {
      out.write((length & 127) | 128);
      length >>>= 7;
    }
    out.write(length);
    out.writeBytes(data);
    return out.toByteArray();
  }

  private static byte[] concat(byte[] a, byte[] b) {
    byte[] both = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }

  @Test
  void header() {
    refused("TSR-0205", model(graph()).clearIrVersion());
    refused("TSR-0205", model(graph()).setIrVersion(0));
    refused("TSR-0205", model(graph()).setIrVersion(99));
    refused("TSR-0205", model(graph()).clearOpsetImport());
    refused("TSR-0205", model(graph()).clearGraph());
    refused(
        "TSR-0205",
        model(graph()).setOpsetImport(0, OperatorSetIdProto.newBuilder().setVersion(-1)));
    refused(
        "TSR-0205",
        model(graph()).setOpsetImport(0, OperatorSetIdProto.newBuilder().setVersion(1L << 40)));
    refused(
        "TSR-0205",
        model(graph())
            .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("ai.onnx").setVersion(16)));
    refused(
        "TSR-0205",
        model(graph())
            .addMetadataProps(TensorWriter.entry("a", "1"))
            .addMetadataProps(TensorWriter.entry("a", "2")));
  }

  @Test
  void tensors() {
    // 4 TiB, and products that wrap around.
    refusedTensor(
        "TSR-0206", t -> t.clearDims().addDims(1L << 20).addDims(1L << 20).clearFloatData());
    refusedTensor("TSR-0206", t -> t.clearDims().addDims(1L << 32).addDims(1L << 32));
    refusedTensor("TSR-0206", t -> t.clearDims().addDims(1L << 62).addDims(4).addDims(0));
    refusedTensor("TSR-0206", t -> t.clearDims().addDims(-2));
    refusedTensor("TSR-0206", t -> t.clearDataType());
    refusedTensor("TSR-0206", t -> t.setDataType(99));
    assertTrue(
        refusedTensor("TSR-0206", t -> t.setRawData(ByteString.copyFrom(new byte[8])))
            .contains("both"));
    refusedTensor("TSR-0206", t -> t.clearFloatData().addInt64Data(1).addInt64Data(2));
    refusedTensor("TSR-0206", t -> t.addFloatData(3));
    refusedTensor("TSR-0206", t -> t.clearFloatData());
    refusedTensor("TSR-0206", t -> t.clearFloatData().setRawData(ByteString.copyFrom(new byte[7])));
    refusedTensor("TSR-0206", t -> t.clearFloatData().setRawData(ByteString.copyFrom(new byte[9])));
    refusedTensor(
        "TSR-0206",
        t -> t.clearFloatData().setDataType(8).setRawData(ByteString.copyFrom(new byte[8])));
    refusedTensor("TSR-0206", t -> t.clearDims().addDims(0));
    refusedTensor(
        "TSR-0206", t -> t.clearFloatData().setDataType(21).clearDims().addDims(3).addInt32Data(1));
    refusedTensor(
        "TSR-0206", t -> t.setSegment(TensorProto.Segment.newBuilder().setBegin(0).setEnd(1)));
    refusedTensor(
        "TSR-0206",
        t ->
            t.clearFloatData()
                .setDataType(8)
                .addStringData(ByteString.copyFrom(new byte[] {-1}))
                .addStringData(ByteString.EMPTY));
    refusedTensor(
        "TSR-0206",
        t -> {
          for (int i = 0; i < 100; i++) {
            t.addDims(1);
          }
        });
  }

  @Test
  void sparse() throws IOException {
    TensorProto values =
        TensorProto.newBuilder()
            .setName("s")
            .setDataType(1)
            .addDims(2)
            .addFloatData(3)
            .addFloatData(4)
            .build();
    TensorProto indices =
        TensorProto.newBuilder().setDataType(7).addDims(2).addInt64Data(1).addInt64Data(5).build();
    SparseTensorProto good =
        SparseTensorProto.newBuilder()
            .setValues(values)
            .setIndices(indices)
            .addDims(2)
            .addDims(3)
            .build();
    Graph graph = read(model(graph().addSparseInitializer(good)));
    Tensor dense =
        graph.constants().values().stream()
            .filter(c -> c.shape().length == 2)
            .findFirst()
            .orElseThrow()
            .load();
    assertEquals(Tensor.of(new float[] {0, 3, 0, 0, 0, 4}, 2, 3), dense);
    refusedGraph("TSR-0208", g -> g.addSparseInitializer(good.toBuilder().setDims(1, 2)));
    refusedGraph(
        "TSR-0208",
        g ->
            g.addSparseInitializer(
                good.toBuilder().setIndices(indices.toBuilder().setInt64Data(1, 1))));
    refusedGraph(
        "TSR-0208",
        g ->
            g.addSparseInitializer(
                good.toBuilder().setIndices(indices.toBuilder().setInt64Data(0, -1))));
    refusedGraph(
        "TSR-0208",
        g ->
            g.addSparseInitializer(
                good.toBuilder()
                    .setIndices(
                        indices.toBuilder().setDims(0, 1).clearInt64Data().addInt64Data(1))));
    refusedGraph("TSR-0204", g -> g.addSparseInitializer(good.toBuilder().setDims(0, 1L << 30)));
    refusedGraph("TSR-0206", g -> g.addSparseInitializer(good.toBuilder().setDims(0, 1L << 62)));
  }

  @Test
  void graphs() {
    assertTrue(
        refusedGraph(
                "TSR-0209",
                g -> g.clearNode().addNode(node("Add", "x b", "y")).addNode(node("Relu", "y", "b")))
            .contains("cycle"));
    refusedGraph("TSR-0209", g -> g.setNode(0, node("Add", "x y", "y")));
    refusedGraph("TSR-0209", g -> g.addNode(node("Relu", "x", "y")));
    refusedGraph("TSR-0209", g -> g.addNode(node("Relu", "x", "w")));
    refusedGraph("TSR-0209", g -> g.addInput(floats("x")));
    refusedGraph("TSR-0209", g -> g.addInput(floats("")));
    refusedGraph("TSR-0209", g -> g.addInitializer(weight()));
    refusedGraph("TSR-0209", g -> g.addInitializer(weight().clearName()));
    refusedGraph("TSR-0209", g -> g.addOutput(floats("nobody")));
    refusedGraph("TSR-0209", g -> g.addOutput(floats("y")));
    refusedGraph("TSR-0210", g -> g.addNode(node("Relu", "nobody", "z")));
    refusedGraph("TSR-0211", g -> g.addInput(ValueInfoProto.newBuilder().setName("untyped")));
    String longName = "n".repeat(1 << 20);
    assertTrue(
        refusedGraph("TSR-0210", g -> g.addNode(node("Relu", longName, "z"))).length() < 2000);
  }

  @Test
  void orderOfNodesInTheFileDoesNotMatter() throws IOException {
    Graph graph =
        read(
            model(
                graph()
                    .clearNode()
                    .addNode(node("Relu", "a", "y"))
                    .addNode(node("Add", "x w", "a"))));
    assertEquals("Add", graph.nodes().getFirst().op().type());
  }

  @Test
  void nodes() {
    refusedGraph("TSR-0210", g -> g.addNode(node("", "x", "z")));
    refusedGraph("TSR-0210", g -> g.addNode(NodeProto.newBuilder().setOpType("Nothing")));
    refusedGraph("TSR-0210", g -> g.addNode(node("Relu", "x", "z").setDomain("not.imported")));
    AttributeProto axis = AttributeProto.newBuilder().setName("axis").setType(2).setI(1).build();
    refusedAttributes(axis, axis);
    refusedAttributes(axis.toBuilder().setF(1).build());
    refusedAttributes(axis.toBuilder().setType(1).build());
    refusedAttributes(axis.toBuilder().setType(77).build());
    refusedAttributes(axis.toBuilder().clearI().clearType().build());
    refusedAttributes(axis.toBuilder().clearName().build());
    refusedAttributes(
        AttributeProto.newBuilder().setName("a").setType(2).setRefAttrName("b").build());
    refusedGraph(
        "TSR-0210", g -> g.addNode(NodeProto.newBuilder().setOpType("Constant").addOutput("c")));
    refusedGraph(
        "TSR-0210",
        g ->
            g.addNode(
                NodeProto.newBuilder().setOpType("Constant").addOutput("c").addAttribute(axis)));
  }

  private void refusedAttributes(AttributeProto... attributes) {
    refusedGraph(
        "TSR-0210",
        g -> g.addNode(node("Op", "x", "z").addAllAttribute(Arrays.asList(attributes))));
  }

  private static FunctionProto.Builder function(String name, String... calls) {
    FunctionProto.Builder function =
        FunctionProto.newBuilder()
            .setDomain("f")
            .setName(name)
            .addInput("a")
            .addOutput("b" + calls.length)
            .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
            .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("f").setVersion(1));
    for (int i = 0; i < calls.length; i++) {
      boolean local = !calls[i].equals("Relu");
      function.addNode(
          node(calls[i], i == 0 ? "a" : "b" + i, "b" + (i + 1)).setDomain(local ? "f" : ""));
    }
    return function;
  }

  private static ModelProto.Builder calling(String function) {
    return model(graph().addNode(node(function, "x", "z").setDomain("f")))
        .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("f").setVersion(1));
  }

  @Test
  void functions() throws IOException {
    Graph graph =
        read(
            calling("F")
                .addFunctions(function("F", "Relu", "G"))
                .addFunctions(function("G", "Relu", "Relu")));
    assertEquals(4, graph.nodes().size());
    refused("TSR-0212", calling("F").addFunctions(function("F", "F")));
    refused(
        "TSR-0212", calling("F").addFunctions(function("F", "G")).addFunctions(function("G", "F")));
    refused(
        "TSR-0212",
        calling("F").addFunctions(function("F", "Relu")).addFunctions(function("F", "Relu")));
    refused("TSR-0212", calling("F").addFunctions(function("F", "Relu").setOutput(0, "nobody")));
    ModelProto.Builder deep = calling("F0");
    ModelProto.Builder wide = calling("F0");
    for (int i = 0; i < 150; i++) {
      deep.addFunctions(function("F" + i, "F" + (i + 1)));
      wide.addFunctions(
          i < 40 ? function("F" + i, "F" + (i + 1), "F" + (i + 1)) : function("F" + i, "Relu"));
    }
    assertTrue(refused("TSR-0204", deep).contains("deep"));
    assertTrue(refused("TSR-0204", wide).contains("nodes"));
  }

  @Test
  void aWeightInAFunctionIsReadOnce() throws IOException {
    AttributeProto value =
        AttributeProto.newBuilder()
            .setName("value")
            .setType(4)
            .setT(
                TensorProto.newBuilder()
                    .setDataType(2)
                    .addDims(3000)
                    .setRawData(ByteString.copyFrom(new byte[3000])))
            .build();
    NodeProto weight =
        NodeProto.newBuilder().setOpType("Constant").addOutput("w").addAttribute(value).build();
    ModelProto.Builder model = calling("F0");
    for (int i = 0; i < 16; i++) {
      model.addFunctions(
          i < 15
              ? function("F" + i, "F" + (i + 1), "F" + (i + 1))
              : function("F" + i, "Relu").addNode(weight));
    }
    Graph graph = read(model);
    assertEquals(1 << 15, graph.constants().size() - 1);
    assertEquals(
        2, graph.constants().values().stream().map(System::identityHashCode).distinct().count());
  }

  @Test
  void functionAttributesAndPassedThroughInputs() throws IOException {
    AttributeProto given =
        AttributeProto.newBuilder().setName("alpha").setType(1).setF(0.5f).build();
    AttributeProto reference =
        AttributeProto.newBuilder().setName("alpha").setType(1).setRefAttrName("alpha").build();
    AttributeProto optional =
        AttributeProto.newBuilder().setName("beta").setType(1).setRefAttrName("beta").build();
    FunctionProto.Builder function =
        FunctionProto.newBuilder()
            .setDomain("f")
            .setName("F")
            .addInput("a")
            .addOutput("b")
            .addOutput("a")
            .addAttribute("alpha")
            .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
            .addNode(node("LeakyRelu", "a", "b").addAttribute(reference).addAttribute(optional));
    ModelProto.Builder model =
        model(
                graph()
                    .addNode(
                        node("F", "x", "z1").addOutput("z2").setDomain("f").addAttribute(given)))
            .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("f").setVersion(1))
            .addFunctions(function);
    Graph graph = read(model);
    assertEquals("{alpha=FloatAttr[value=0.5]}", graph.nodes().get(1).attributes().toString());
    assertEquals("Identity", graph.nodes().get(2).op().type());
  }

  // External data.

  private static ModelProto.Builder external(String location, String... more) {
    TensorProto.Builder tensor =
        weight()
            .clearFloatData()
            .setDataLocation(1)
            .addExternalData(TensorWriter.entry("location", location));
    for (int i = 0; i < more.length; i += 2) {
      tensor.addExternalData(TensorWriter.entry(more[i], more[i + 1]));
    }
    return model(graph().setInitializer(0, tensor));
  }

  @Test
  void externalRanges() throws IOException {
    Files.write(
        folder.resolve("w.bin"), new byte[] {0, 0, 0, 0, 0, 0, (byte) 0x80, 0x3F, 0, 0, 0, 0x40});
    Graph graph = read(external("w.bin", "offset", "4", "length", "8"));
    assertEquals(
        Tensor.of(new float[] {1, 2}, 2), graph.constants().values().iterator().next().load());
    refused("TSR-0207", external("w.bin", "offset", "8"));
    refused("TSR-0207", external("w.bin", "offset", "13"));
    refused("TSR-0207", external("w.bin", "offset", "-1"));
    refused("TSR-0207", external("w.bin", "offset", "x"));
    refused("TSR-0207", external("w.bin", "offset", "9223372036854775807"));
    refused("TSR-0207", external("w.bin", "offset", "9223372036854775808"));
    refused("TSR-0207", external("w.bin", "offset", "18446744073709551612", "length", "8"));
    refused("TSR-0207", external("w.bin", "length", "9000000000000000000"));
    refused("TSR-0207", external("w.bin", "length", "4"));
    refused("TSR-0207", external("w.bin", "__class__", "x"));
    refused("TSR-0207", external("w.bin", "offset", "0", "offset", "4"));
    refused("TSR-0207", external("absent.bin"));
    refused("TSR-0207", external(""));
    refused("TSR-0207", external("."));
    refused("TSR-0207", external("*/_ORT_MEM_ADDR_/*", "offset", "4096", "length", "8"));
  }

  @Test
  void externalPaths() throws IOException {
    Path outside = Files.createDirectory(folder.resolve("outside"));
    Path secret = Files.write(outside.resolve("secret.bin"), new byte[8]);
    folder = Files.createDirectory(folder.resolve("model"));
    refused("TSR-0207", external("../outside/secret.bin"));
    refused("TSR-0207", external("a/../../outside/secret.bin"));
    refused("TSR-0207", external("..\\outside\\secret.bin"));
    refused("TSR-0207", external(secret.toString()));
    refused("TSR-0207", external("C:\\secret.bin"));
    refused("TSR-0207", external("w\0.bin"));
    // The same through a Constant and through a sparse tensor.
    TensorProto tensor = external("../outside/secret.bin").getGraph().getInitializer(0);
    AttributeProto value =
        AttributeProto.newBuilder().setName("value").setType(4).setT(tensor).build();
    refusedGraph(
        "TSR-0207",
        g ->
            g.addNode(
                NodeProto.newBuilder().setOpType("Constant").addOutput("c").addAttribute(value)));
    SparseTensorProto sparse =
        SparseTensorProto.newBuilder()
            .setValues(tensor.toBuilder().setName("s"))
            .addDims(2)
            .build();
    refusedGraph("TSR-0207", g -> g.addSparseInitializer(sparse));
  }

  @Test
  void externalLinks() throws IOException {
    Path outside = Files.createDirectory(folder.resolve("outside"));
    Path secret = Files.write(outside.resolve("secret.bin"), new byte[8]);
    Path base = folder;
    folder = Files.createDirectory(base.resolve("model"));
    try {
      Files.createSymbolicLink(folder.resolve("link.bin"), secret);
      Files.createSymbolicLink(folder.resolve("folder"), outside);
      Files.createLink(folder.resolve("hard.bin"), secret);
    } catch (IOException | UnsupportedOperationException e) {
      Assumptions.abort("this file system has no links: " + e);
    }
    assertTrue(refused("TSR-0207", external("link.bin")).contains("--external-data-root DIR"));
    assertTrue(
        refused("TSR-0207", external("folder/secret.bin")).contains("--external-data-root DIR"));
    assertTrue(refused("TSR-0207", external("hard.bin")).contains("--allow-hard-links"));
    assertEquals(1, read(external("hard.bin"), "allow-hard-links", "true").nodes().size());
    assertTrue(
        refused("TSR-0207", external("link.bin"), "external-data-root", outside.toString())
            .contains("--allow-hard-links"));
    Files.delete(folder.resolve("hard.bin"));
    assertEquals(
        1, read(external("link.bin"), "external-data-root", outside.toString()).nodes().size());
    Files.createSymbolicLink(
        folder.resolve("inside.bin"), Files.write(folder.resolve("real.bin"), new byte[8]));
    assertEquals(1, read(external("inside.bin")).nodes().size());
  }

  @Test
  void filesThatAreNone() {
    assertEquals(
        "TSR-0202",
        assertThrows(
                TersorException.class, () -> ONNX.read(folder.resolve("absent.onnx"), Map.of()))
            .code());
    assertEquals(
        "TSR-0202", assertThrows(TersorException.class, () -> ONNX.read(folder, Map.of())).code());
  }
}
