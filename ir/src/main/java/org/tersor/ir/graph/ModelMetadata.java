package org.tersor.ir.graph;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * Keys of {@link Graph#metadata}. Keys that begin with {@link #FILE} stand for fields of the file
 * that was read and belong to its frontend; those that begin with {@link #TERSOR} tell how the
 * graph was made; every other key is the model's own (metadata_props of ONNX).
 */
public final class ModelMetadata {
  /** Prefix of fields of the file. */
  public static final String FILE = "onnx.";

  /** The model's doc string. */
  public static final String DOC = FILE + "doc_string";

  /** Prefix of what Tersor writes: version, quantization plan, precision. */
  public static final String TERSOR = "tersor.";

  private ModelMetadata() {}

  /** The same graph with one more entry. */
  public static Graph with(Graph graph, String key, String value) {
    return with(graph, Map.of(key, value));
  }

  /** The same graph with more entries; they replace those of the same key. */
  public static Graph with(Graph graph, Map<String, String> entries) {
    Map<String, String> metadata = new LinkedHashMap<>(graph.metadata());
    metadata.putAll(entries);
    return graph.withMetadata(metadata);
  }

  /**
   * What an artifact tells about its model, each value on one line: {@code doc}, {@code
   * metadata.KEY} of the model's own entries, and Tersor's entries without their prefix.
   */
  public static Map<String, String> facts(Graph graph) {
    Map<String, String> facts = new TreeMap<>();
    graph
        .metadata()
        .forEach((key, value) -> {
          String text = line(value);
          if (key.equals(DOC)) {
            facts.put("doc", text);
          } else if (key.startsWith(TERSOR)) {
            facts.put(line(key.substring(TERSOR.length())), text);
          } else if (!key.startsWith(FILE)) {
            facts.put("metadata." + line(key), text);
          }
        });
    return facts;
  }

  private static String line(String text) {
    return text.replaceAll("[\\p{Cntrl}\\s]+", " ").strip();
  }
}
