package org.tersor.codegen.c;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Type;

/**
 * Names of loop IR in scope, and the C identifiers they became: never the text itself, always
 * followed by a number.
 */
final class Scope {
  /** A value; {@code maskWidth} is the width of a bool vector's lanes. */
  record Variable(String c, Type type, int maskWidth) {}

  /**
   * A buffer: an array in memory, or (with {@code registers}) one variable per element; {@code
   * shared}: seen by all threads of a block; {@code each}: elements that a lane of a block has for
   * itself, 0 if it has none.
   */
  record Memory(String c, Type element, List<Variable> registers, boolean shared, int each) {
    Memory(String c, Type element, List<Variable> registers, boolean shared) {
      this(c, element, registers, shared, 0);
    }

    /** The element at an index. */
    String at(String index) {
      return c + (each == 0 ? "[" + index + "]" : "[TSR_OWN(" + index + ", " + each + ")]");
    }

    boolean inRegisters() {
      return !registers.isEmpty();
    }

    Scalar scalar() {
      return element.scalar();
    }
  }

  private final Deque<Map<String, Variable>> variables = new ArrayDeque<>();
  private final Deque<Map<String, Memory>> memories = new ArrayDeque<>();
  private int counter;

  Scope() {
    push();
  }

  void push() {
    variables.push(new HashMap<>());
    memories.push(new HashMap<>());
  }

  void pop() {
    variables.pop();
    memories.pop();
  }

  /** A fresh C identifier that reminds of {@code name}. */
  String fresh(String name) {
    StringBuilder id = new StringBuilder();
    for (int i = 0; i < Math.min(name.length(), 40); i++) {
      char c = name.charAt(i);
      id.append(c < 128 && Character.isLetterOrDigit(c) ? c : '_');
    }
    if (id.isEmpty() || Character.isDigit(id.charAt(0))) {
      id.insert(0, 'v');
    }
    return id.append('_').append(counter++).toString();
  }

  Variable declare(String name, Type type, int maskWidth) {
    Variable variable = new Variable(fresh(name), type, maskWidth);
    variables.getFirst().put(name, variable);
    return variable;
  }

  void declare(String name, Memory memory) {
    memories.getFirst().put(name, memory);
  }

  Variable variable(String name) {
    for (Map<String, Variable> frame : variables) {
      Variable variable = frame.get(name);
      if (variable != null) {
        return variable;
      }
    }
    throw new IllegalStateException("loop IR uses the undefined name " + name);
  }

  Memory memory(String name) {
    for (Map<String, Memory> frame : memories) {
      Memory memory = frame.get(name);
      if (memory != null) {
        return memory;
      }
    }
    throw new IllegalStateException("loop IR uses the undefined buffer " + name);
  }
}
