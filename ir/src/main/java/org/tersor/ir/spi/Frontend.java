package org.tersor.ir.spi;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Graph;

/** Reads (and may write) a model file; found by ServiceLoader. */
public interface Frontend {
  /** e.g. "onnx". */
  String id();

  /** File suffixes without the dot. */
  List<String> suffixes();

  /**
   * Reads a model; throws TersorException with a code, never anything else, whatever the bytes are.
   */
  Graph read(Path file, Map<String, String> options);

  /** Writes a model, atomically; a frontend that cannot throws. */
  default void write(Graph graph, Path file, Map<String, String> options) {
    throw new UnsupportedOperationException(id() + " cannot be written");
  }
}
