package org.tersor.passes.lower;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.tersor.ir.loop.LoopFunction;

/** The functions of a program, equal ones once, numbered in order of first use. */
final class FunctionTable {
  private final UnaryOperator<LoopFunction> legalize;
  private final Map<LoopFunction, Integer> indices = new LinkedHashMap<>();
  private final List<LoopFunction> functions = new ArrayList<>();

  FunctionTable(UnaryOperator<LoopFunction> legalize) {
    this.legalize = legalize;
  }

  int add(LoopFunction function) {
    LoopFunction key = rename(function, "");
    Integer known = indices.get(key);
    if (known != null) {
      return known;
    }
    int index = functions.size();
    indices.put(key, index);
    functions.add(rename(function, "k" + index + "_" + sanitize(function.name())));
    return index;
  }

  int size() {
    return functions.size();
  }

  /** All of them, fit for the backend. */
  List<LoopFunction> legal() {
    return functions.parallelStream().map(legalize).toList();
  }

  private static LoopFunction rename(LoopFunction function, String name) {
    return new LoopFunction(name, function.buffers(), function.dims(), function.body());
  }

  /** Lower-case letters, digits and underscores, at most 40. */
  private static String sanitize(String name) {
    String clean = name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9_]", "_");
    return clean.length() > 40 ? clean.substring(0, 40) : clean;
  }
}
