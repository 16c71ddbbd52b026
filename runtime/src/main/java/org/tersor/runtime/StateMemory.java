package org.tersor.runtime;

import java.util.Map;

/** States of one stream of calls, outside of tensors; for one thread at a time. */
public interface StateMemory {
  /**
   * One call, which updates the states.
   *
   * @param inputs all but those that are states here
   * @return all outputs but those that are states here
   */
  Map<String, Tensor> run(Map<String, Tensor> inputs);

  /** A copy of a state, by the name of its input. */
  Tensor get(String input);

  /**
   * Copies a value into a state.
   *
   * @param value of the type and shape of the input
   */
  void set(String input, Tensor value);
}
