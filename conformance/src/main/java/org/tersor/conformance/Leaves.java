package org.tersor.conformance;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/**
 * What a value is made of, as named tensors: {@code x.length}, {@code x[0]}, ... of a sequence,
 * {@code x.keys} (sorted) and {@code x.values} of a map, {@code x.present} of an empty optional.
 * Two values are equal if their leaves are.
 */
public final class Leaves {
  private Leaves() {}

  public static Map<String, Tensor> of(String name, Datum datum) {
    Map<String, Tensor> leaves = new LinkedHashMap<>();
    add(name, datum, leaves);
    return leaves;
  }

  /** Of all values. */
  public static Map<String, Tensor> of(Map<String, ? extends Datum> data) {
    Map<String, Tensor> leaves = new LinkedHashMap<>();
    data.forEach((name, datum) -> add(name, datum, leaves));
    return leaves;
  }

  private static void add(String name, Datum datum, Map<String, Tensor> leaves) {
    switch (datum) {
      case Tensor tensor -> leaves.put(name, tensor);
      case Datum.Sequence(List<Datum> elements) -> {
        leaves.put(name + ".length", Tensor.of(new long[] {elements.size()}));
        for (int i = 0; i < elements.size(); i++) {
          add(name + "[" + i + "]", elements.get(i), leaves);
        }
      }
      case Datum.Maybe(Optional<Datum> value) -> {
        if (value.isPresent()) {
          add(name, value.get(), leaves);
        } else {
          leaves.put(name + ".present", Tensor.zeros(DType.BOOL));
        }
      }
      case Datum.Dictionary(Tensor keys, Tensor values) -> {
        int[] order = order(keys);
        leaves.put(name + ".keys", permuted(keys, order));
        leaves.put(name + ".values", permuted(values, order));
      }
    }
  }

  private static int[] order(Tensor keys) {
    Comparator<Integer> byKey =
        keys.dtype() == DType.STRING
            ? Comparator.comparing(i -> keys.strings()[i])
            : Comparator.comparingLong(keys::getLong);
    return IntStream.range(0, keys.size())
        .boxed()
        .sorted(byKey)
        .mapToInt(Integer::intValue)
        .toArray();
  }

  private static Tensor permuted(Tensor from, int[] order) {
    Tensor to = Tensor.zeros(from.dtype(), order.length);
    for (int i = 0; i < order.length; i++) {
      System.arraycopy(from.array(), order[i], to.array(), i, 1);
    }
    return to;
  }
}
