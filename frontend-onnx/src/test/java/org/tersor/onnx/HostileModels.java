package org.tersor.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.ir.graph.Graph;
import org.tersor.onnx.proto.GraphProto;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.onnx.proto.NodeProto;
import org.tersor.onnx.proto.OperatorSetIdProto;
import org.tersor.onnx.proto.TensorProto;
import org.tersor.onnx.proto.TypeProto;
import org.tersor.onnx.proto.ValueInfoProto;
import org.tersor.runtime.TersorException;

/** The valid model that tests of hostile files spoil, and what they ask of the reader. */
abstract class HostileModels {
  static final OnnxFrontend ONNX = new OnnxFrontend();

  @TempDir Path folder;

  // The valid model that every test spoils: y = Add(x, w).

  static ValueInfoProto floats(String name) {
    return ValueInfoProto.newBuilder()
        .setName(name)
        .setType(TypeProto.newBuilder().setTensorType(TypeProto.Tensor.newBuilder().setElemType(1)))
        .build();
  }

  static NodeProto.Builder node(String op, String input, String output) {
    NodeProto.Builder node = NodeProto.newBuilder().setOpType(op).addOutput(output);
    for (String name : List.of(input.split(" ", -1))) {
      node.addInput(name);
    }
    return node;
  }

  static TensorProto.Builder weight() {
    return TensorProto.newBuilder()
        .setName("w")
        .setDataType(1)
        .addDims(2)
        .addFloatData(1)
        .addFloatData(2);
  }

  static GraphProto.Builder graph() {
    return GraphProto.newBuilder()
        .setName("g")
        .addInput(floats("x"))
        .addOutput(floats("y"))
        .addInitializer(weight())
        .addNode(node("Add", "x w", "y"));
  }

  static ModelProto.Builder model(GraphProto.Builder graph) {
    return ModelProto.newBuilder()
        .setIrVersion(8)
        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
        .setGraph(graph);
  }

  Path write(byte[] bytes) throws IOException {
    return Files.write(folder.resolve("model.onnx"), bytes);
  }

  Graph read(ModelProto.Builder model, String... options) throws IOException {
    Map<String, String> map = options.length == 0 ? Map.of() : Map.of(options[0], options[1]);
    return ONNX.read(write(model.build().toByteArray()), map);
  }

  String refused(String code, ModelProto.Builder model, String... options) {
    TersorException e = assertThrows(TersorException.class, () -> read(model, options));
    assertEquals(code, e.code(), e.getMessage());
    return String.valueOf(e.getMessage());
  }

  String refusedGraph(String code, Consumer<GraphProto.Builder> change) {
    GraphProto.Builder graph = graph();
    change.accept(graph);
    return refused(code, model(graph));
  }

  String refusedTensor(String code, Consumer<TensorProto.Builder> change) {
    TensorProto.Builder tensor = weight();
    change.accept(tensor);
    return refusedGraph(code, g -> g.setInitializer(0, tensor));
  }
}
