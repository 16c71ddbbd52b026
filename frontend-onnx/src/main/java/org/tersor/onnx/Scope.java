package org.tersor.onnx;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;

/**
 * Names that can be seen at one place of the file. A body sees the names around it, a function only
 * its own.
 */
final class Scope {
  private final Optional<Scope> outer;
  private final Map<String, Value> values = new HashMap<>();

  /**
   * Names whose value exists before they are defined: outputs of a function are those of the call.
   */
  private final Map<String, Value> reserved = new HashMap<>();

  Scope(Optional<Scope> outer) {
    this.outer = outer;
  }

  Optional<Value> find(String name) {
    for (Optional<Scope> scope = Optional.of(this); scope.isPresent(); scope = scope.get().outer) {
      Value value = scope.get().values.get(name);
      if (value != null) {
        return Optional.of(value);
      }
    }
    return Optional.empty();
  }

  boolean definesHere(String name) {
    return values.containsKey(name);
  }

  void define(String name, Value value) {
    values.put(name, value);
  }

  void reserve(String name, Value value) {
    reserved.put(name, value);
  }

  Optional<Value> reserved(String name) {
    return Optional.ofNullable(reserved.get(name));
  }

  /** A graph while it is read; functions are read into the graph that calls them. */
  record Frame(
      List<Node> nodes,
      Map<Value, Constant> constants,
      Map<Value, ValueType> types,
      Map<String, String> metadata) {
    Frame() {
      this(
          new java.util.ArrayList<>(),
          new LinkedHashMap<>(),
          new LinkedHashMap<>(),
          new LinkedHashMap<>());
    }
  }
}
