package org.tersor.runtime;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A compiled model. Thread-safe; a call keeps no state behind and nothing needs closing. A wrong
 * name, type or shape is reported by {@link TersorException} before anything runs.
 */
public interface Executable {
  /** Inputs in the order of the model. */
  List<Port> inputs();

  /** Outputs in the order of the model. */
  List<Port> outputs();

  /**
   * Runs the model.
   *
   * @param inputs a tensor for every input, by name
   * @param outputs tensors to write results into, by name; outputs not named here are allocated
   * @return all outputs by name, in the order of the model
   */
  Map<String, Tensor> run(Map<String, Tensor> inputs, Map<String, Tensor> outputs);

  default Map<String, Tensor> run(Map<String, Tensor> inputs) {
    return run(inputs, Map.of());
  }

  /**
   * As {@link #run(Map, Map)}, for a part of a model.
   *
   * @param symbols values of dimensions that no input's shape tells; may hold others
   */
  default Map<String, Tensor> run(
      Map<String, Tensor> inputs, Map<String, Tensor> outputs, Map<String, Long> symbols) {
    return run(inputs, outputs);
  }

  /**
   * Runs a model that may have inputs or outputs that are no tensors.
   *
   * @return all outputs by name, in the order of the model
   */
  default Map<String, Datum> call(Map<String, ? extends Datum> inputs) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    inputs.forEach((name, datum) -> tensors.put(name, datum.tensor("input '" + name + "'")));
    return new LinkedHashMap<>(run(tensors));
  }

  /**
   * Runs the model on zeros until its runs become no faster, so that the first real call finds
   * compiled code: on a JVM the first runs take a hundred times as long as later ones. Does nothing
   * for a model with inputs that are no tensors.
   *
   * @param dims values of symbolic dimensions; others are 1
   * @param limit longest time, checked between runs; two seconds make a small model fast
   * @return the time taken
   */
  default Duration warmUp(Map<String, Long> dims, Duration limit) {
    return WarmUp.run(this, dims, limit);
  }

  /** Outputs that the next call of a stream gets as inputs, see {@link Session}. */
  default List<State> states() {
    return List.of();
  }

  /**
   * Memory of a stream's states where this executable works; empty if it works on tensors as they
   * are.
   *
   * @param growing states with a capacity
   * @param dims values of symbols in their shapes, the same in all calls of the stream; may hold
   *     others
   */
  default Optional<StateMemory> stateMemory(List<State> growing, Map<String, Long> dims) {
    return Optional.empty();
  }

  /** Facts for a person: backend, vector width, nodes run on the host, memory. */
  default String describe() {
    return getClass().getSimpleName();
  }

  /**
   * An output that the next call gets as an input.
   *
   * @param output name of the output
   * @param input name of the input, of the output's type
   * @param growth how it fills memory of a fixed size, if it does
   */
  record State(String output, String input, Optional<Growth> growth) {
    /** A state that is what the output is. */
    public State(String output, String input) {
      this(output, input, Optional.empty());
    }
  }

  /**
   * Calls append to a state of fixed capacity, which is the extent of input and output along the
   * axis. Before a call it holds as many entries as the length input, a vector whose values are not
   * read, has elements; those behind them are whatever they were. Where the output is the memory of
   * the input, nothing but new entries is written.
   *
   * @param length name of that input
   * @param next entries after a call, over the symbols of its dimensions; the length input's
   *     dimension is the symbol for those before it
   */
  record Growth(int axis, String length, DimExpr next) {
    /** Reads {@link #text}. */
    public static Growth parse(String text) {
      String[] parts = text.split(" ", 3);
      if (parts.length != 3 || !parts[0].matches("[0-9]{1,3}")) {
        throw new TersorException("TSR-0707", "'" + text + "' does not say how a state grows");
      }
      return new Growth(Integer.parseInt(parts[0]), parts[2], DimExpr.parse(parts[1]));
    }

    /** Axis, next without blanks, length: for artifacts. */
    public String text() {
      return axis + " " + next.toString().replace(" ", "") + " " + length;
    }
  }

  /**
   * A named input or output; symbolic dimensions are bound by the shapes of the inputs of a call.
   *
   * @param wraps outermost first; none for a tensor. Of what is wrapped only the element type
   *     counts.
   */
  record Port(String name, DType dtype, List<DimExpr> shape, List<Wrap> wraps) {
    public Port {
      shape = List.copyOf(shape);
      wraps = List.copyOf(wraps);
    }

    /** A tensor. */
    public Port(String name, DType dtype, List<DimExpr> shape) {
      this(name, dtype, shape, List.of());
    }

    public boolean isTensor() {
      return wraps.isEmpty();
    }
  }

  /** What a port's tensors are wrapped in, see {@link Datum}. */
  enum Wrap {
    SEQUENCE,
    OPTIONAL,
    /** A map with I64 keys; the port's element type is that of its values. */
    INTEGER_MAP,
    /** A map with STRING keys. */
    STRING_MAP
  }
}
