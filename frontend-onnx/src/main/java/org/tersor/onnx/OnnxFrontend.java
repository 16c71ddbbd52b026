package org.tersor.onnx;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.spi.Frontend;
import org.tersor.onnx.proto.ModelProto;
import org.tersor.runtime.TersorException;

/**
 * ONNX, IR versions 1 to 13. Options of {@link #read}: {@code external-data-root}, a folder beside
 * the model's own that external data may lie in after links are followed; {@code allow-hard-links},
 * {@code true} to read external data that has several hard links; {@code max-nodes}, the number of
 * nodes that a model may have once its functions are inlined, a million if absent.
 */
public final class OnnxFrontend implements Frontend {
  /** For ServiceLoader. */
  public OnnxFrontend() {}

  @Override
  public String id() {
    return "onnx";
  }

  @Override
  public List<String> suffixes() {
    return List.of("onnx");
  }

  @Override
  public Graph read(Path file, Map<String, String> options) {
    ProtoFile.Parsed<ModelProto> model = ProtoFile.read(file, ModelProto.getDefaultInstance());
    try {
      return new GraphImporter(model, ExternalData.of(file, options), maxNodes(options)).read();
    } catch (TersorException e) {
      throw new TersorException(e.code(), file + ": " + e.getMessage(), e);
    }
  }

  private static int maxNodes(Map<String, String> options) {
    String given = options.getOrDefault("max-nodes", Integer.toString(GraphImporter.MAX_NODES));
    try {
      return Integer.parseInt(given);
    } catch (NumberFormatException e) {
      throw Diag.error(Diag.LIMIT, "max-nodes must be a number, not " + Diag.quote(given), e);
    }
  }

  @Override
  public Map<String, ValueType> declared(Path file) {
    return Declarations.read(file);
  }

  /**
   * Writes a model whose operators are all of ONNX domains. Weights of more than 1.9 GB (or {@code
   * external-data-above} bytes) go into FILE.data beside it.
   */
  @Override
  public void write(Graph graph, Path file, Map<String, String> options) {
    ModelWriter.write(graph, file, options);
  }
}
