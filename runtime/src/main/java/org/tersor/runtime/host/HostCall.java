package org.tersor.runtime.host;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * One call of a {@link HostOp}.
 *
 * @param node the node, as diagnostics name it
 * @param inputs one per input of the node, empty where an optional one is absent
 * @param settings attributes as text, defaults filled in
 * @param outputs how many results are expected
 */
public record HostCall(
    String node, List<Optional<Datum>> inputs, Map<String, List<String>> settings, int outputs) {
  public HostCall {
    inputs = List.copyOf(inputs);
  }

  public boolean has(int input) {
    return input < inputs.size() && inputs.get(input).isPresent();
  }

  /** Input {@code index}, whatever it is. */
  public Datum datum(int index) {
    if (!has(index)) {
      throw error("TSR-0301", "input " + index + " is missing");
    }
    return inputs.get(index).orElseThrow();
  }

  public Tensor tensor(int index) {
    return switch (datum(index)) {
      case Tensor tensor -> tensor;
      case Datum.Maybe(Optional<Datum> value)
          when value.isPresent() && value.get() instanceof Tensor tensor ->
          tensor;
      case Datum other ->
          throw error("TSR-0302", "input " + index + " must be a tensor, not " + other);
    };
  }

  /** The elements of a string tensor. */
  public String[] strings(int index) {
    Tensor tensor = tensor(index);
    if (tensor.dtype() != DType.STRING) {
      throw error("TSR-0302", "input " + index + " must hold strings, not " + tensor);
    }
    return tensor.strings();
  }

  /** The elements of a sequence; what is inside of a present optional counts as well. */
  public List<Datum> sequence(int index) {
    return switch (datum(index)) {
      case Datum.Sequence(List<Datum> elements) -> elements;
      case Datum.Maybe(Optional<Datum> value)
          when value.isPresent() && value.get() instanceof Datum.Sequence(List<Datum> elements) ->
          elements;
      case Datum other ->
          throw error("TSR-0302", "input " + index + " must be a sequence, not " + other);
    };
  }

  /** The only element of an integer tensor. */
  public long integer(int index) {
    Tensor tensor = tensor(index);
    if (!tensor.dtype().isInteger() || tensor.size() != 1) {
      throw error("TSR-0303", "input " + index + " must be one integer, not " + tensor);
    }
    return tensor.getLong(0);
  }

  /** All values of a setting; none if it is absent. */
  public List<String> settings(String name) {
    return settings.getOrDefault(name, List.of());
  }

  /** The only value of a setting. */
  public String setting(String name) {
    List<String> values = settings(name);
    if (values.size() != 1) {
      throw error("TSR-0304", "setting '" + name + "' must be one value, not " + values);
    }
    return values.getFirst();
  }

  /** The only value of a setting as an integer. */
  public long longSetting(String name) {
    return parse(name, setting(name));
  }

  /** The values of a setting as integers. */
  public long[] longSettings(String name) {
    return settings(name).stream().mapToLong(text -> parse(name, text)).toArray();
  }

  private long parse(String name, String text) {
    try {
      return Long.parseLong(text);
    } catch (NumberFormatException _) {
      throw error("TSR-0304", "setting '" + name + "' is no integer: '" + text + "'");
    }
  }

  /** A zero tensor; its size, which may come from hostile data, is checked first. */
  public Tensor allocate(DType dtype, long... shape) {
    long count;
    try {
      count = Math.multiplyExact(Tensor.count(shape), (long) dtype.slots());
    } catch (ArithmeticException _) {
      count = Long.MAX_VALUE;
    }
    if (count > Integer.MAX_VALUE - 16) {
      throw error(
          "TSR-0303",
          "a result of shape " + java.util.Arrays.toString(shape) + " is larger than an array");
    }
    return Tensor.zeros(dtype, shape);
  }

  /** {@code index} counted from the front; negative ones count from the end. */
  public int position(long index, int size, String what) {
    if (index < -size || index >= size) {
      throw error("TSR-0305", what + " " + index + " is outside " + -size + ".." + (size - 1));
    }
    return (int) (index < 0 ? index + size : index);
  }

  /** A diagnostic that names the node and its operands. */
  public TersorException error(String code, String why) {
    String operands =
        String.join(
            ", ",
            IntStream.range(0, inputs.size())
                .mapToObj(i -> inputs.get(i).map(HostCall::brief).orElse("-"))
                .toList());
    return new TersorException(code, node + " (" + operands + "): " + why);
  }

  /** A sequence may be long: its first element stands for it. */
  private static String brief(Datum datum) {
    return switch (datum) {
      case Datum.Sequence(List<Datum> elements) when elements.size() > 1 ->
          "seq[" + brief(elements.getFirst()) + ", ...; " + elements.size() + "]";
      case Tensor _, Datum.Sequence _, Datum.Maybe _, Datum.Dictionary _ -> datum.toString();
    };
  }
}
