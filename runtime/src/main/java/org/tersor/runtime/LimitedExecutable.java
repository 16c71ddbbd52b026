package org.tersor.runtime;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** An executable whose calls each have limits of their own. */
public record LimitedExecutable(Executable model, RunLimits limits) implements Executable {
  @Override
  public List<Port> inputs() {
    return model.inputs();
  }

  @Override
  public List<Port> outputs() {
    return model.outputs();
  }

  @Override
  public Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs) {
    return new Cancellation(limits).during(() -> model.run(inputs, outputs));
  }

  @Override
  public Map<String, Tensor> run(
      Map<String, Tensor> inputs, Map<String, Tensor> outputs, Map<String, Long> symbols) {
    return new Cancellation(limits).during(() -> model.run(inputs, outputs, symbols));
  }

  @Override
  public Optional<StateMemory> stateMemory(List<State> growing, Map<String, Long> dims) {
    return model.stateMemory(growing, dims).map(memory -> new LimitedMemory(memory, limits));
  }

  private record LimitedMemory(StateMemory memory, RunLimits limits) implements StateMemory {
    @Override
    public Map<String, Tensor> run(Map<String, Tensor> inputs) {
      return new Cancellation(limits).during(() -> memory.run(inputs));
    }

    @Override
    public Tensor get(String input) {
      return memory.get(input);
    }

    @Override
    public void set(String input, Tensor value) {
      memory.set(input, value);
    }
  }

  @Override
  public Map<String, Datum> call(Map<String, ? extends Datum> inputs) {
    return new Cancellation(limits).during(() -> model.call(inputs));
  }

  @Override
  public List<State> states() {
    return model.states();
  }

  @Override
  public String describe() {
    return model.describe();
  }
}
