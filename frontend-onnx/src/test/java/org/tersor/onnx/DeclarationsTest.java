package org.tersor.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.onnx.proto.AttributeProto;
import org.tersor.onnx.proto.GraphProto;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.onnx.proto.TensorShapeProto;
import org.tersor.onnx.proto.TypeProto;
import org.tersor.onnx.proto.ValueInfoProto;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.TersorException;

/** Shapes that a file declares: told, and taken away for other readers. */
class DeclarationsTest extends HostileModels {
  private static ValueInfoProto shaped(String name, long... dims) {
    TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
    for (long dim : dims) {
      shape.addDim(TensorShapeProto.Dimension.newBuilder().setDimValue(dim));
    }
    return ValueInfoProto.newBuilder()
        .setName(name)
        .setType(
            TypeProto.newBuilder()
                .setTensorType(TypeProto.Tensor.newBuilder().setElemType(1).setShape(shape)))
        .build();
  }

  private static GraphProto.Builder declared() {
    return graph()
        .setOutput(0, shaped("y", 7))
        .addValueInfo(shaped("t", 2, 3))
        .addValueInfo(ValueInfoProto.newBuilder().setName("broken"));
  }

  @Test
  void declarationsAreReadAndBrokenOnesLeftOut() throws IOException {
    var types = ONNX.declared(write(model(declared()).build().toByteArray()));
    assertEquals(TensorType.of(DType.F32, new long[] {2, 3}), types.get("t"));
    assertEquals(TensorType.of(DType.F32, new long[] {7}), types.get("y"));
    assertEquals(2, types.size());
  }

  @Test
  void unknownDimensionsNeedNotBeEqual() throws IOException {
    TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
    for (String dim : List.of("?", "?", "-1", "n", "n")) {
      shape.addDim(TensorShapeProto.Dimension.newBuilder().setDimParam(dim));
    }
    GraphProto.Builder graph =
        declared()
            .addValueInfo(
                ValueInfoProto.newBuilder()
                    .setName("u")
                    .setType(
                        TypeProto.newBuilder()
                            .setTensorType(
                                TypeProto.Tensor.newBuilder().setElemType(1).setShape(shape))));
    var types = ONNX.declared(write(model(graph).build().toByteArray()));
    List<DimExpr> dims =
        ((TensorType) Objects.requireNonNull(types.get("u"))).shape().orElseThrow();
    assertEquals(4, new HashSet<>(dims).size());
    assertEquals(dims.get(3), dims.get(4));
  }

  @Test
  void aStrippedCopyKeepsEverythingElse() throws IOException {
    GraphProto.Builder body = declared().clearInput();
    GraphProto.Builder outer =
        declared()
            .addNode(
                node("If", "x", "z")
                    .addAttribute(
                        AttributeProto.newBuilder().setName("then_branch").setType(5).setG(body)));
    ModelProto before = model(outer).setDocString("kept").build();
    Path copy = folder.resolve("copy.onnx");
    Declarations.strip(write(before.toByteArray()), copy);
    ModelProto after = ModelProto.parseFrom(Files.readAllBytes(copy));
    GraphProto inner = after.getGraph().getNode(1).getAttribute(0).getG();
    assertEquals(0, after.getGraph().getValueInfoCount() + inner.getValueInfoCount());
    assertFalse(after.getGraph().getOutput(0).getType().getTensorType().hasShape());
    assertFalse(inner.getOutput(0).getType().getTensorType().hasShape());
    assertEquals(1, after.getGraph().getOutput(0).getType().getTensorType().getElemType());
    assertEquals("kept", after.getDocString());
    assertEquals(before.getGraph().getInitializerList(), after.getGraph().getInitializerList());
  }

  @Test
  void aCopyWouldLoseExternalData() throws IOException {
    GraphProto.Builder graph =
        declared().setInitializer(0, weight().clearFloatData().setDataLocation(1));
    Path file = write(model(graph).build().toByteArray());
    TersorException fault =
        assertThrows(
            TersorException.class, () -> Declarations.strip(file, folder.resolve("copy.onnx")));
    assertEquals(Diag.EXTERNAL, fault.code());
  }
}
