package org.tersor.onnx;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.ValueType;
import org.tersor.onnx.proto.AttributeProto;
import org.tersor.onnx.proto.GraphProto;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.onnx.proto.NodeProto;
import org.tersor.onnx.proto.TensorProto;
import org.tersor.onnx.proto.TypeProto;
import org.tersor.onnx.proto.ValueInfoProto;
import org.tersor.runtime.TersorException;

/**
 * What a file says about the types of values that its nodes make. The import does not believe it,
 * since it follows from the nodes; other runtimes refuse a file where it contradicts them.
 */
public final class Declarations {
  private static final int EXTERNAL = 1; // TensorProto.DataLocation

  private Declarations() {}

  /** Declared types of the outermost graph's values and outputs, by name; broken ones left out. */
  static Map<String, ValueType> read(Path file) {
    GraphProto graph = ProtoFile.read(file, ModelProto.getDefaultInstance()).message().getGraph();
    TypeReader types = new TypeReader(new LinkedHashMap<>());
    Map<String, ValueType> declared = new LinkedHashMap<>();
    for (List<ValueInfoProto> infos : List.of(graph.getValueInfoList(), graph.getOutputList())) {
      for (ValueInfoProto info : infos) {
        try {
          declared.put(info.getName(), types.read(info.getType(), info.getName()));
        } catch (TersorException e) {
          // A hint that cannot be read says nothing.
        }
      }
    }
    return declared;
  }

  /**
   * Writes a copy of a model without declared types of intermediate values and without shapes of
   * outputs, bodies included; everything else, unknown fields too, stays. TSR-0207 if weights are
   * in other files, which the copy could not find.
   */
  public static void strip(Path model, Path copy) {
    try (InputStream in = Files.newInputStream(model);
        OutputStream out = Files.newOutputStream(copy)) {
      ModelProto proto = ModelProto.parseFrom(in);
      proto.toBuilder().setGraph(strip(proto.getGraph())).build().writeTo(out);
    } catch (IOException e) {
      throw Diag.error(Diag.FILE, model + " cannot be copied without its declared shapes", e);
    }
  }

  private static GraphProto strip(GraphProto graph) {
    for (TensorProto tensor : graph.getInitializerList()) {
      if (tensor.getDataLocation() == EXTERNAL) {
        throw Diag.error(
            Diag.EXTERNAL,
            "a copy of the model without declared shapes would not find its external data");
      }
    }
    GraphProto.Builder result = graph.toBuilder().clearValueInfo();
    for (int i = 0; i < graph.getOutputCount(); i++) {
      TypeProto type = graph.getOutput(i).getType();
      if (type.getValueCase() == TypeProto.ValueCase.TENSOR_TYPE) {
        result.setOutput(
            i,
            graph.getOutput(i).toBuilder()
                .setType(
                    type.toBuilder().setTensorType(type.getTensorType().toBuilder().clearShape())));
      }
    }
    for (int i = 0; i < graph.getNodeCount(); i++) {
      NodeProto node = graph.getNode(i);
      if (node.getAttributeList().stream().anyMatch(a -> a.hasG() || a.getGraphsCount() > 0)) {
        result.setNode(i, strip(node));
      }
    }
    return result.build();
  }

  private static NodeProto strip(NodeProto node) {
    NodeProto.Builder result = node.toBuilder().clearAttribute();
    for (AttributeProto attribute : node.getAttributeList()) {
      AttributeProto.Builder copy = attribute.toBuilder();
      if (attribute.hasG()) {
        copy.setG(strip(attribute.getG()));
      }
      for (int g = 0; g < attribute.getGraphsCount(); g++) {
        copy.setGraphs(g, strip(attribute.getGraphs(g)));
      }
      result.addAttribute(copy);
    }
    return result.build();
  }
}
