package org.tersor.plugins.gguf;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.spi.Frontend;
import org.tersor.runtime.TersorException;

/**
 * GGUF, versions 2 and 3: models of the llama architecture with the tokenizer that comes in the
 * file. Weights stay in the mapped file and in their number format. GGUF is not written.
 */
public final class GgufFrontend implements Frontend {
  /** For ServiceLoader. */
  public GgufFrontend() {}

  @Override
  public String id() {
    return "gguf";
  }

  @Override
  public List<String> suffixes() {
    return List.of("gguf");
  }

  @Override
  public Graph read(Path file, Map<String, String> options) {
    try {
      GgufFile gguf = GgufFile.read(file);
      String architecture =
          gguf.text("general.architecture")
              .orElseThrow(
                  () -> Diag.error(Diag.MODEL, "metadata 'general.architecture' is missing"));
      if (!architecture.equals("llama")) {
        throw Diag.error(
            Diag.UNSUPPORTED,
            "architecture " + Diag.quote(architecture) + " is not supported; 'llama' is");
      }
      return new LlamaGraph(gguf).build();
    } catch (TersorException e) {
      throw new TersorException(e.code(), file + ": " + e.getMessage(), e);
    }
  }
}
