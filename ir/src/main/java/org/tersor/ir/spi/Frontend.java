package org.tersor.ir.spi;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.ValueType;

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

  /**
   * Types that a file declares for values that its nodes make, by name of the value. {@link #read}
   * does not believe them, since they follow from the nodes; they are here to be compared.
   */
  default Map<String, ValueType> declared(Path file) {
    return Map.of();
  }

  /** Writes a model, atomically; a frontend that cannot throws. */
  default void write(Graph graph, Path file, Map<String, String> options) {
    throw new UnsupportedOperationException(id() + " cannot be written");
  }
}
