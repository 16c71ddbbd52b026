package org.tersor.ir.graph;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.tersor.runtime.Executable;
import org.tersor.runtime.TersorException;

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

  /** Prefix of outputs that the next call gets as inputs, before the name of the input. */
  private static final String STATE = TERSOR + "state.";

  private ModelMetadata() {}

  /** What a graph declares as state, in the order of its inputs. */
  public static List<Executable.State> states(Graph graph) {
    List<Executable.State> states = new ArrayList<>();
    for (Value input : graph.inputs()) {
      String output = graph.metadata().get(STATE + input.name());
      if (output != null) {
        states.add(new Executable.State(output, input.name()));
      }
    }
    return states;
  }

  /** The same graph with declared state; it stays with the model when it is written. */
  public static Graph withStates(Graph graph, List<Executable.State> states) {
    Map<String, String> entries = new LinkedHashMap<>();
    for (Executable.State state : states) {
      require(graph.inputs(), state.input(), "input");
      require(graph.outputs(), state.output(), "output");
      entries.put(STATE + state.input(), state.output());
    }
    return entries.isEmpty() ? graph : with(graph, entries);
  }

  private static void require(List<Value> ports, String name, String what) {
    if (ports.stream().noneMatch(port -> port.name().equals(name))) {
      throw new TersorException(
          "TSR-0715",
          "a state names the "
              + what
              + " '"
              + name
              + "', which the model does not have; it has "
              + ports.stream().map(Value::name).toList());
    }
  }

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
