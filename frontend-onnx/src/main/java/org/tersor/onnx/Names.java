package org.tersor.onnx;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.graph.Value;

/** Names in a file: unique over all graphs of it, since bodies see the names around them. */
final class Names {
  private final Map<Value, String> names = new HashMap<>();
  private final Set<String> taken = new HashSet<>();
  private final Map<String, Integer> suffixes = new HashMap<>();

  /** The value's own name, or the nearest one that is free. */
  String of(Value value) {
    if (!value.isPresent()) {
      return "";
    }
    String known = names.get(value);
    if (known == null) {
      known = fresh(value.name().isEmpty() ? "v" + value.id() : value.name());
      names.put(value, known);
    }
    return known;
  }

  String fresh(String base) {
    String name = base;
    while (!taken.add(name)) {
      name = base + "_" + suffixes.merge(base, 1, Integer::sum);
    }
    return name;
  }
}
