package org.tersor.onnx;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Set;
import org.tersor.ir.graph.ValueType;
import org.tersor.onnx.proto.GraphProto;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.onnx.proto.ValueInfoProto;

/**
 * What a file declares about its inputs (without those that have a default value) and outputs.
 * Declared outputs are hints: they tell tensors from sequences, not shapes to rely on.
 */
public record OnnxSignature(List<Port> inputs, List<Port> outputs) {
  /** An input or output; its type is {@link ValueType#UNKNOWN} where the file has none. */
  public record Port(String name, ValueType type) {}

  /** Reads the file's header and graph, no weights. */
  public static OnnxSignature read(Path file) {
    GraphProto graph = ProtoFile.read(file, ModelProto.getDefaultInstance()).message().getGraph();
    Set<String> initialised = new HashSet<>();
    graph.getInitializerList().forEach(t -> initialised.add(t.getName()));
    graph.getSparseInitializerList().forEach(t -> initialised.add(t.getValues().getName()));
    TypeReader types = new TypeReader(new LinkedHashMap<>());
    return new OnnxSignature(
        ports(
            graph.getInputList().stream().filter(i -> !initialised.contains(i.getName())).toList(),
            types),
        ports(graph.getOutputList(), types));
  }

  private static List<Port> ports(List<ValueInfoProto> infos, TypeReader types) {
    List<Port> ports = new ArrayList<>();
    for (ValueInfoProto info : infos) {
      ValueType type =
          info.hasType()
              ? types.read(info.getType(), Diag.quote(info.getName()))
              : ValueType.UNKNOWN;
      ports.add(new Port(info.getName(), type));
    }
    return List.copyOf(ports);
  }
}
