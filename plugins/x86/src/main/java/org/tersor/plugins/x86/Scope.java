package org.tersor.plugins.x86;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.loop.Scalar;

/** What names stand for. */
final class Scope {
  /** A variable, of the loop of that level. */
  record Variable(Val value, int level, boolean changes, Optional<Linear> form) {}

  /** Memory; it begins at a register or in the frame. */
  sealed interface Start {
    record InRegister(Reg reg, int level) implements Start {}

    record InFrame(int offset) implements Start {}
  }

  /** A buffer in memory, or in registers if {@code registers} has any. */
  record Buffer(Scalar element, Start start, List<Val> registers) {}

  private Map<String, Variable> variables = new HashMap<>();
  private Map<String, Buffer> buffers = new HashMap<>();
  private final Deque<Map<String, Variable>> outerVariables = new ArrayDeque<>();
  private final Deque<Map<String, Buffer>> outerBuffers = new ArrayDeque<>();

  void push() {
    outerVariables.push(variables);
    outerBuffers.push(buffers);
    variables = new HashMap<>(variables);
    buffers = new HashMap<>(buffers);
  }

  void pop() {
    variables = outerVariables.pop();
    buffers = outerBuffers.pop();
  }

  void declare(String name, Variable variable) {
    variables.put(name, variable);
  }

  void declare(String name, Buffer buffer) {
    buffers.put(name, buffer);
  }

  Variable variable(String name) {
    return Optional.ofNullable(variables.get(name))
        .orElseThrow(() -> new IllegalStateException("no variable " + name));
  }

  Buffer buffer(String name) {
    return Optional.ofNullable(buffers.get(name))
        .orElseThrow(() -> new IllegalStateException("no buffer " + name));
  }
}
