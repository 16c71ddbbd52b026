package org.tersor.runtime;

import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * A stream of calls of a model with state: what an output was is an input of the next call. State
 * begins with zeros; where its shape stays the same two tensors take turns: a call reads one and
 * writes the other, so nothing is copied, and a call that fails has changed nothing. A state with a
 * capacity ({@link Executable.Growth}) begins empty, and a call writes its new entries alone. One
 * session is for one thread at a time; any number of sessions share an executable.
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

  /** By input: what the state was before, into which the next call writes what it becomes. */
  private final Map<String, Tensor> spares = new LinkedHashMap<>();

  /** Entries of growing states, by the input that tells it. */
  private final Map<String, Long> lengths = new LinkedHashMap<>();

  /** Holds the growing states, if the executable wants it to. */
  private final Optional<StateMemory> memory;

  private final Binding binding;

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
    List<Executable.State> growing =
        states.stream().filter(state -> state.growth().isPresent()).toList();
    this.memory = growing.isEmpty() ? Optional.empty() : model.stateMemory(growing, dims);
    this.binding =
        new Binding(
            model.inputs().stream().filter(port -> !isKept(port.name())).toList(), List.of());
    reset();
  }

  private boolean isKept(String input) {
    return memory.isPresent()
        && states.stream().anyMatch(s -> s.input().equals(input) && s.growth().isPresent());
  }

  /** Zeros in all state, and no entries where it grows. */
  public void reset() {
    for (Executable.Port port : model.inputs()) {
      for (Executable.State state : states) {
        if (state.input().equals(port.name())) {
          state.growth().ifPresent(growth -> lengths.put(growth.length(), 0L));
          if (!isKept(port.name())) {
            values.put(port.name(), Tensor.zeros(port.dtype(), shape(port)));
          }
        }
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

  /**
   * The state by input: the tensors that the next call reads, and copies of growing states, with
   * their entries alone.
   */
  public Map<String, Tensor> state() {
    Map<String, Tensor> all = new LinkedHashMap<>();
    for (Executable.State state : states) {
      Tensor whole =
          isKept(state.input())
              ? memory.orElseThrow().get(state.input())
              : Objects.requireNonNull(values.get(state.input()));
      all.put(
          state.input(),
          state
              .growth()
              .map(growth ->
                  Slices.resized(whole, growth.axis(), lengths.getOrDefault(growth.length(), 0L)))
              .orElse(whole));
    }
    return all;
  }

  /**
   * Sets the state of an input, e.g. to go on with an earlier stream. A growing state has the
   * entries of the value from then on, and with it all that grow together.
   */
  public void setState(String input, Tensor value) {
    Executable.State state =
        states.stream()
            .filter(s -> s.input().equals(input))
            .findFirst()
            .orElseThrow(() ->
                new TersorException(
                    "TSR-0715",
                    "'"
                        + input
                        + "' is no state; there is state in "
                        + states.stream().map(Executable.State::input).toList()));
    if (state.growth().isEmpty()) {
      values.put(input, value);
      return;
    }
    Executable.Growth growth = state.growth().get();
    long[] shape = Binding.shape(port(input), dims);
    if (value.rank() != shape.length || value.shape()[growth.axis()] > shape[growth.axis()]) {
      throw new TersorException(
          "TSR-0715",
          "state '" + input + "' has room for " + Arrays.toString(shape) + "; got " + value);
    }
    Tensor whole = Slices.resized(value, growth.axis(), shape[growth.axis()]);
    if (whole.dtype() != port(input).dtype() || !Arrays.equals(whole.shape(), shape)) {
      throw new TersorException(
          "TSR-0715",
          "state '" + input + "' has room for " + Arrays.toString(shape) + "; got " + value);
    }
    if (isKept(input)) {
      memory.orElseThrow().set(input, whole);
    } else {
      values.put(input, whole);
    }
    lengths.put(growth.length(), value.shape()[growth.axis()]);
  }

  private Executable.Port port(String input) {
    return model.inputs().stream()
        .filter(port -> port.name().equals(input))
        .findFirst()
        .orElseThrow();
  }

  /**
   * One call.
   *
   * @param inputs all inputs but those that are state, or tell how much a state holds
   * @return all outputs but growing states; one that is state is the tensor that the next call
   *     reads
   */
  public Map<String, Tensor> run(Map<String, Tensor> inputs) {
    Map<String, Tensor> all = new LinkedHashMap<>(inputs);
    all.putAll(values);
    lengths.forEach((name, length) -> all.put(name, Tensor.zeros(port(name).dtype(), length)));
    Map<String, Long> next = next(all);
    Map<String, Tensor> results =
        new LinkedHashMap<>(
            memory.isPresent() ? memory.get().run(all) : model.run(all, targets(all.values())));
    for (Executable.State state : states) {
      if (state.growth().isPresent()) {
        results.remove(state.output());
      } else {
        Tensor before = Objects.requireNonNull(values.get(state.input()));
        values.put(state.input(), results.getOrDefault(state.output(), before));
        spares.put(state.input(), before);
      }
    }
    lengths.putAll(next);
    return results;
  }

  /** Growing states themselves, and for others what they were before. */
  private Map<String, Tensor> targets(Collection<Tensor> inputs) {
    Map<String, Tensor> targets = new LinkedHashMap<>();
    for (Executable.Port output : model.outputs()) {
      for (Executable.State state : states) {
        Tensor value = values.get(state.input());
        if (value == null || !state.output().equals(output.name())) {
          continue;
        }
        if (state.growth().isPresent()) {
          targets.put(output.name(), value);
        } else if (keepsShape(value, output)) {
          Tensor spare = spares.get(state.input());
          // What somebody else has by now, or is of an earlier shape, stays as it is.
          if (spare == null
              || !Arrays.equals(spare.shape(), value.shape())
              || Arguments.isAmong(spare, inputs)
              || Arguments.isAmong(spare, targets.values())) {
            spare = Tensor.zeros(value.dtype(), value.shape());
          }
          targets.put(output.name(), spare);
        }
      }
    }
    return targets;
  }

  /** Entries of growing states after a call; a diagnostic if there is no room for them. */
  private Map<String, Long> next(Map<String, Tensor> inputs) {
    Map<String, Long> next = new LinkedHashMap<>();
    if (lengths.isEmpty()) {
      return next;
    }
    Map<String, Long> bound = binding.bind(inputs);
    for (Executable.State state : states) {
      if (state.growth().isPresent()) {
        Executable.Growth growth = state.growth().get();
        long entries = growth.next().eval(bound);
        long capacity = Binding.shape(port(state.input()), dims)[growth.axis()];
        if (entries > capacity) {
          throw new TersorException(
              "TSR-0716",
              "state '"
                  + state.input()
                  + "' is full: it has room for "
                  + capacity
                  + " entries, and this call would make it "
                  + entries
                  + "; reset the session or compile with a larger --state-capacity");
        }
        next.put(growth.length(), entries);
      }
    }
    return next;
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
