package org.tersor.runtime;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** An executable with declared state. */
public record StatefulExecutable(Executable model, List<State> states) implements Executable {
  /** A state that the model cannot have is a diagnostic. */
  public StatefulExecutable {
    states = List.copyOf(states);
    check(model, states);
  }

  /** The model itself where there is no state. */
  public static Executable of(Executable model, List<State> states) {
    return states.isEmpty() ? model : new StatefulExecutable(model, states);
  }

  static void check(Executable model, List<State> states) {
    Set<String> seen = new HashSet<>();
    for (State state : states) {
      Port output = port(model.outputs(), state.output(), "output");
      Port input = port(model.inputs(), state.input(), "input");
      String why = "";
      if (!seen.add(state.input())) {
        why = "the input has another state already";
      } else if (!input.isTensor() || !output.isTensor()) {
        why = "only tensors can be state";
      } else if (input.dtype() != output.dtype()) {
        why = "they are " + output.dtype().text() + " and " + input.dtype().text();
      } else if (input.shape().size() != output.shape().size()) {
        why = "they have " + output.shape().size() + " and " + input.shape().size() + " dimensions";
      }
      if (!why.isEmpty()) {
        throw new TersorException(
            "TSR-0715",
            "output '"
                + state.output()
                + "' cannot be the next input '"
                + state.input()
                + "': "
                + why);
      }
    }
  }

  private static Port port(List<Port> ports, String name, String what) {
    return ports.stream()
        .filter(port -> port.name().equals(name))
        .findFirst()
        .orElseThrow(() ->
            new TersorException(
                "TSR-0715",
                "a state names the "
                    + what
                    + " '"
                    + name
                    + "', which the model does not have; it has "
                    + ports.stream().map(Port::name).toList()));
  }

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
    return model.run(inputs, outputs);
  }

  @Override
  public Map<String, Tensor> run(
      Map<String, Tensor> inputs, Map<String, Tensor> outputs, Map<String, Long> symbols) {
    return model.run(inputs, outputs, symbols);
  }

  @Override
  public Optional<StateMemory> stateMemory(List<State> growing, Map<String, Long> dims) {
    return model.stateMemory(growing, dims);
  }

  @Override
  public Map<String, Datum> call(Map<String, ? extends Datum> inputs) {
    return model.call(inputs);
  }

  @Override
  public String describe() {
    StringBuilder text = new StringBuilder();
    states.forEach(s ->
        text.append("state: ")
            .append(s.output())
            .append(" -> ")
            .append(s.input())
            .append(s.growth().map(g -> ", in place along axis " + g.axis()).orElse(""))
            .append('\n'));
    return text.append(model.describe()).toString();
  }
}
