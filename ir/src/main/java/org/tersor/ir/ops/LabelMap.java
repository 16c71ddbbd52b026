package org.tersor.ir.ops;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * A map from keys to values of two element types, one of which may be strings. Of equal keys the
 * first counts; NaN is a key like another.
 *
 * @param keys [n]
 * @param values [n + 1]: the last one is for what is no key
 */
record LabelMap(Tensor keys, Tensor values) {

  /** Positions 0 to n - 1 as keys. */
  static Tensor positions(int n) {
    long[] numbers = new long[n];
    Arrays.setAll(numbers, i -> i);
    return Tensor.of(numbers, n);
  }

  /** Values followed by the default. */
  static Tensor withDefault(OpContext c, Tensor values, Tensor otherwise) {
    if (otherwise.dtype() != values.dtype() || otherwise.size() != 1) {
      throw c.error("TSR-0304", "the default " + otherwise + " does not fit the values " + values);
    }
    Tensor all = Tensor.zeros(values.dtype(), values.size() + 1L);
    System.arraycopy(values.array(), 0, all.array(), 0, values.size());
    System.arraycopy(otherwise.array(), 0, all.array(), values.size(), 1);
    return all;
  }

  static Tensor strings(List<String> texts) {
    return new Tensor(DType.STRING, new long[] {texts.size()}, texts.toArray(new String[0]));
  }

  static Tensor string(String text) {
    return new Tensor(DType.STRING, new long[0], new String[] {text});
  }

  private static Object key(Tensor tensor, int at) {
    return switch (tensor.dtype()) {
      case STRING -> tensor.strings()[at];
      // Adding 0 makes one of the two zeros.
      case F16, BF16, F32, F64 -> tensor.getDouble(at) + 0.0;
      default -> tensor.getLong(at);
    };
  }

  Tensor apply(OpContext c, Tensor x) {
    Map<Object, Integer> found = new HashMap<>();
    for (int i = 0; i < keys.size(); i++) {
      found.putIfAbsent(key(keys, i), i);
    }
    Tensor out = Shapes.allocate(c, values.dtype(), x.shape());
    for (int i = 0; i < x.size(); i++) {
      Shapes.copy(values, found.getOrDefault(key(x, i), keys.size()), out, i);
    }
    return out;
  }

  /** Nodes that do the same: the position among the keys, then the value there. */
  Value build(GraphBuilder builder, Value x) {
    Value position =
        keys.dtype() == DType.STRING
            ? builder.add(
                OpKey.TERSOR,
                StringOperators.INDEX,
                Map.of("keys", new Attribute.StringsAttr(List.of(keys.strings()))),
                x)
            : builder.add(OpKey.TERSOR, KeyPosition.NAME, Map.of(), x, builder.constant(keys));
    return values.dtype() == DType.STRING
        ? builder.add(
            OpKey.TERSOR,
            StringOperators.PICK,
            Map.of("values", new Attribute.StringsAttr(List.of(values.strings()))),
            position)
        : builder.add("Gather", builder.constant(values), position);
  }
}
