package org.tersor.onnx;

import com.google.protobuf.CodedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.onnx.proto.GraphProto;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.runtime.WholeFile;

/**
 * Writes a model file, and beside it a file of weights where they do not fit. Both appear whole or
 * not at all.
 */
final class ModelWriter {
  /** A protocol buffer ends at 2^31 - 1 bytes; the rest is for nodes. */
  private static final long EXTERNAL_ABOVE = 1_900_000_000L;

  private ModelWriter() {}

  /**
   * @param options {@code external-data-above}: bytes of weights from which on they get a file of
   *     their own
   */
  static void write(Graph graph, Path file, Map<String, String> options) {
    String above = options.getOrDefault("external-data-above", Long.toString(EXTERNAL_ABOVE));
    if (!above.matches("[0-9]{1,18}")) {
      throw Diag.error(
          Diag.EXPORT, "external-data-above must be a number of bytes, not " + Diag.quote(above));
    }
    Path target = file.toAbsolutePath();
    String name = String.valueOf(target.getFileName());
    Path dataFile = target.resolveSibling(name + ".data");
    TensorWriter tensors =
        new TensorWriter(
            bytes(graph) > Math.min(Long.parseLong(above), EXTERNAL_ABOVE), name + ".data");
    ModelProto proto = new GraphExporter(graph, tensors).write();
    String suffix = "." + ProcessHandle.current().pid() + "." + System.nanoTime() + ".tmp";
    Path temporary = target.resolveSibling(name + suffix);
    Path temporaryData = target.resolveSibling(name + ".data" + suffix);
    try {
      try {
        try (OutputStream out = Files.newOutputStream(temporary, StandardOpenOption.CREATE_NEW)) {
          write(proto, tensors, CodedOutputStream.newInstance(out, 1 << 16));
        }
        if (tensors.hasExternal()) {
          try (FileChannel channel =
              FileChannel.open(
                  temporaryData, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            tensors.writeExternal(channel);
          }
          WholeFile.move(temporaryData, dataFile);
        }
        WholeFile.move(temporary, target);
      } finally {
        Files.deleteIfExists(temporary);
        Files.deleteIfExists(temporaryData);
      }
    } catch (IOException e) {
      throw Diag.error(Diag.FILE, file + " cannot be written", e);
    }
  }

  /** The model, its graph last, and the streamed initializers last in the graph. */
  private static void write(ModelProto model, TensorWriter tensors, CodedOutputStream out)
      throws IOException {
    GraphProto graph = model.getGraph();
    long size = graph.getSerializedSize();
    for (TensorWriter.Streamed tensor : tensors.streamed()) {
      size +=
          CodedOutputStream.computeTagSize(GraphProto.INITIALIZER_FIELD_NUMBER)
              + CodedOutputStream.computeUInt64SizeNoTag(tensor.size())
              + tensor.size();
    }
    model.toBuilder().clearGraph().build().writeTo(out);
    out.writeTag(ModelProto.GRAPH_FIELD_NUMBER, 2);
    out.writeUInt64NoTag(size);
    graph.writeTo(out);
    for (TensorWriter.Streamed tensor : tensors.streamed()) {
      out.writeTag(GraphProto.INITIALIZER_FIELD_NUMBER, 2);
      out.writeUInt64NoTag(tensor.size());
      tensor.write(out);
    }
    out.flush();
  }

  private static long bytes(Graph graph) {
    long sum = 0;
    for (Constant constant : graph.constants().values()) {
      sum += TensorWriter.bytes(constant);
    }
    for (Node node : graph.nodes()) {
      for (Graph body : Graph.bodies(node)) {
        sum += bytes(body);
      }
    }
    return sum;
  }
}
