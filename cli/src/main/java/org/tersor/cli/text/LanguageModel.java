package org.tersor.cli.text;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Session;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * How a language model is called: which input takes tokens, which inputs and outputs are the cache
 * of keys and values, and where the logits come out.
 *
 * @param ids integers [1, sequence]
 * @param positions integers [1, sequence] that number the tokens, if the model takes them
 * @param mask ones [1, past + sequence], if the model takes them
 * @param logits [1, sequence, vocabulary]
 * @param cache outputs by the input that takes them in the next call
 * @param lengths inputs that tell how much a cache of fixed size holds
 */
public record LanguageModel(
    Port ids,
    Optional<Port> positions,
    Optional<Port> mask,
    Port logits,
    Map<Port, Port> cache,
    List<Port> lengths) {

  /** Recognises a model's ports; a diagnostic if it is no language model or has other inputs. */
  public static LanguageModel of(Executable model) {
    return of(model.inputs(), model.outputs(), model.states());
  }

  /** As {@link #of(Executable)}, of a model whose cache is copied by every call. */
  public static LanguageModel of(List<Port> inputs, List<Port> outputs) {
    return of(inputs, outputs, List.of());
  }

  private static LanguageModel of(
      List<Port> inputs, List<Port> outputs, List<Executable.State> states) {
    Set<String> told =
        states.stream()
            .flatMap(state -> state.growth().stream())
            .map(Executable.Growth::length)
            .collect(Collectors.toSet());
    List<Port> lengths = inputs.stream().filter(port -> told.contains(port.name())).toList();
    Map<String, Port> byName = new LinkedHashMap<>();
    outputs.forEach(port -> byName.put(port.name(), port));
    Map<Port, Port> cache = new LinkedHashMap<>();
    Optional<Port> positions = Optional.empty();
    Optional<Port> mask = Optional.empty();
    Set<Port> others = new LinkedHashSet<>();
    for (Port port : inputs) {
      Port present = byName.get(port.name().replaceFirst("^past(_key_values)?", "present"));
      if (present != null && port.dtype().isFloat() && !port.name().equals(present.name())) {
        cache.put(port, present);
      } else if (port.name().equals("position_ids")) {
        positions = Optional.of(port);
      } else if (port.name().equals("attention_mask")) {
        mask = Optional.of(port);
      } else if (!lengths.contains(port)) {
        others.add(port);
      }
    }
    Optional<Port> logits =
        Optional.ofNullable(byName.get("logits"))
            .or(() -> outputs.stream().filter(p -> !cache.containsValue(p)).findFirst());
    Port ids = others.isEmpty() ? inputs.getFirst() : others.iterator().next();
    if (others.size() != 1
        || !ids.dtype().isInteger()
        || ids.shape().size() != 2
        || logits.isEmpty()
        || logits.get().shape().size() != 3) {
      throw new TersorException(
          "TSR-0909",
          "this is no language model as Tersor calls them: one integer input [1, sequence], outputs"
              + " logits [1, sequence, vocabulary], and for a cache inputs past_key_values.X with"
              + " outputs present.X. Its inputs are "
              + inputs.stream().map(Port::name).collect(Collectors.joining(", "))
              + "; its outputs "
              + outputs.stream().map(Port::name).collect(Collectors.joining(", ")));
    }
    return new LanguageModel(ids, positions, mask, logits.get(), cache, lengths);
  }

  /** The cache before the first token. */
  public Map<String, Tensor> emptyCache() {
    DimExpr batch = ids.shape().getFirst();
    Map<String, Tensor> empty = new LinkedHashMap<>();
    for (Port port : cache.keySet()) {
      long[] shape = new long[port.shape().size()];
      for (int d = 0; d < shape.length; d++) {
        DimExpr dim = port.shape().get(d);
        shape[d] = dim.isConst() ? dim.constValue() : dim.equals(batch) ? 1 : 0;
      }
      empty.put(port.name(), Tensor.zeros(port.dtype(), shape));
    }
    lengths.forEach(port -> empty.put(port.name(), Tensor.zeros(port.dtype(), 0)));
    return empty;
  }

  /**
   * The inputs of a call.
   *
   * @param past tokens that the cache holds
   */
  public Map<String, Tensor> inputs(int[] tokens, int past, Map<String, Tensor> cached) {
    Map<String, Tensor> inputs = new LinkedHashMap<>(cached);
    Tensor numbers = Tensor.zeros(ids.dtype(), 1, tokens.length);
    for (int i = 0; i < tokens.length; i++) {
      numbers.setLong(i, tokens[i]);
    }
    inputs.put(ids.name(), numbers);
    positions.ifPresent(port -> {
      Tensor places = Tensor.zeros(port.dtype(), 1, tokens.length);
      for (int i = 0; i < tokens.length; i++) {
        places.setLong(i, past + i);
      }
      inputs.put(port.name(), places);
    });
    mask.ifPresent(port -> {
      Tensor ones = Tensor.zeros(port.dtype(), 1, past + tokens.length);
      for (int i = 0; i < past + tokens.length; i++) {
        if (port.dtype() == DType.BOOL || port.dtype().isInteger()) {
          ones.setLong(i, 1);
        } else {
          ones.setDouble(i, 1);
        }
      }
      inputs.put(port.name(), ones);
    });
    return inputs;
  }

  /** The inputs of a call with a whole text. */
  public Map<String, Tensor> inputs(int[] tokens) {
    return inputs(tokens, 0, emptyCache());
  }

  /** A stream of calls that keeps the cache, as the model declares it or its ports' names say. */
  public Session session(Executable model) {
    List<Executable.State> states = new ArrayList<>(model.states());
    if (states.isEmpty()) {
      cache.forEach(
          (input, output) -> states.add(new Executable.State(output.name(), input.name())));
    }
    return new Session(model, states, beginning(model, states));
  }

  /** One sequence, of which nothing has been seen. */
  private Map<String, Long> beginning(Executable model, List<Executable.State> states) {
    Map<String, Long> dims = new LinkedHashMap<>();
    for (Port port : model.inputs()) {
      if (states.stream().anyMatch(state -> state.input().equals(port.name()))) {
        port.shape().forEach(dim -> dim.symbols().forEach(symbol -> dims.put(symbol, 0L)));
      }
    }
    ids.shape().getFirst().symbols().forEach(symbol -> dims.put(symbol, 1L));
    return dims;
  }
}
