package org.tersor.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.io.IOException;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.tersor.ir.graph.Graph;
import org.tersor.onnx.proto.AttributeProto;
import org.tersor.onnx.proto.NodeProto;
import org.tersor.onnx.proto.SparseTensorProto;
import org.tersor.onnx.proto.TensorProto;
import org.tersor.onnx.proto.ValueInfoProto;
import org.tersor.runtime.Tensor;

/**
 * Tensors, graphs and nodes that contradict themselves: each must end in a diagnostic with the
 * right code, quickly and in bounded memory.
 */
@Timeout(20)
class HostileGraphsTest extends HostileModels {
  @Test
  void theUnspoiltModelIsRead() throws IOException {
    assertEquals(1, read(model(graph())).nodes().size());
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
}
