package org.tersor.runtime;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A stream of calls of a model with state: what an output was is an input of the next call. State
 * begins with zeros; where its shape stays the same it is updated in place. One session is for one
 * thread at a time; any number of sessions share an executable.
 *
 * <pre>{@code
 * Session session = new Session(executable);
 * for (Tensor window : audio) {
 *   Tensor probability = session.run(Map.of("input", window, "sr", rate)).get("output");
 * }
 * }</pre>
 */
public final class Session {
  private final Executable model;
  private final List<Executable.State> states;
  private final Map<String, Long> dims;
  private final Map<String, Tensor> values = new LinkedHashMap<>();

  /** With the state that the executable declares, and no symbolic dimension in it. */
  public Session(Executable model) {
    this(model, model.states(), Map.of());
  }

  /**
   * @param states of the model; a diagnostic if it cannot have them
   * @param dims values of symbolic dimensions of states at the beginning
   */
  public Session(Executable model, List<Executable.State> states, Map<String, Long> dims) {
    this.model = model;
    this.states = List.copyOf(states);
    this.dims = Map.copyOf(dims);
    StatefulExecutable.check(model, states);
    reset();
  }

  /** Zeros in all state. */
  public void reset() {
    for (Executable.Port port : model.inputs()) {
      if (states.stream().anyMatch(state -> state.input().equals(port.name()))) {
        values.put(port.name(), Tensor.zeros(port.dtype(), shape(port)));
      }
    }
  }

  private long[] shape(Executable.Port port) {
    for (DimExpr dim : port.shape()) {
      for (String symbol : dim.symbols()) {
        if (!dims.containsKey(symbol)) {
          throw new TersorException(
              "TSR-0715",
              "the state '"
                  + port.name()
                  + "' "
                  + port.shape()
                  + " begins with a shape that the dimension "
                  + symbol
                  + " decides; give its value");
        }
      }
    }
    return Binding.shape(port, dims);
  }

  /** The state by input; the tensors are those that the next call reads. */
  public Map<String, Tensor> state() {
    return new LinkedHashMap<>(values);
  }

  /** Sets the state of an input, e.g. to go on with an earlier stream. */
  public void setState(String input, Tensor value) {
    if (values.replace(input, value) == null) {
      throw new TersorException(
          "TSR-0715", "'" + input + "' is no state; there is state in " + values.keySet());
    }
  }

  /**
   * One call.
   *
   * @param inputs all inputs but those that are state
   * @return all outputs; one that is state is the tensor that the next call reads
   */
  public Map<String, Tensor> run(Map<String, Tensor> inputs) {
    Map<String, Tensor> all = new LinkedHashMap<>(inputs);
    all.putAll(values);
    Map<String, Tensor> targets = new LinkedHashMap<>();
    for (Executable.Port output : model.outputs()) {
      for (Executable.State state : states) {
        Tensor value = values.get(state.input());
        if (value != null && state.output().equals(output.name()) && keepsShape(value, output)) {
          targets.put(output.name(), value);
        }
      }
    }
    Map<String, Tensor> results = model.run(all, targets);
    for (Executable.State state : states) {
      values.computeIfPresent(
          state.input(), (input, before) -> results.getOrDefault(state.output(), before));
    }
    return results;
  }

  /** Whether the output has the state's shape, whatever the other inputs are. */
  private static boolean keepsShape(Tensor value, Executable.Port output) {
    if (output.shape().size() != value.rank()) {
      return false;
    }
    for (int d = 0; d < value.rank(); d++) {
      if (!output.shape().get(d).isConst(value.shape()[d])) {
        return false;
      }
    }
    return true;
  }
}
