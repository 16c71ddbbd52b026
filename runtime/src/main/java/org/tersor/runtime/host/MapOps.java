package org.tersor.runtime.host;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/** Maps (ONNX specification, Operators-ml.md: CastMap, DictVectorizer, ZipMap). */
final class MapOps {
  private MapOps() {}

  static List<HostOp> all() {
    return List.of(
        new Op("map.cast", MapOps::cast),
        new Op("map.vectorize", MapOps::vectorize),
        new Op("map.zip", MapOps::zip));
  }

  private static Datum.Dictionary map(HostCall call) {
    if (call.datum(0) instanceof Datum.Dictionary map) {
      return map;
    }
    throw call.error("TSR-0302", "input 0 must be a map, not " + call.datum(0));
  }

  /**
   * The values in the order of their keys, [1, n]. DENSE ignores the keys; SPARSE takes them as
   * columns, of which there are {@code max_map}, the others hold 0 or "".
   */
  private static Datum cast(HostCall call) {
    Datum.Dictionary map = map(call);
    if (map.keys().dtype() == DType.STRING) {
      throw call.error("TSR-0302", "the keys must be integers, not strings");
    }
    DType to = DType.of(call.setting("cast_to"));
    boolean sparse = call.setting("map_form").equals("SPARSE");
    int[] order = order(map.keys());
    long columns = sparse ? call.longSetting("max_map") : order.length;
    if (columns < 0) {
      throw call.error("TSR-0304", "max_map is " + columns);
    }
    Tensor out = call.allocate(to, 1, columns);
    for (int i = 0; i < order.length; i++) {
      long column = sparse ? map.keys().getLong(order[i]) : i;
      if (column < 0 || column >= columns) {
        throw call.error("TSR-0305", "key " + column + " is outside 0.." + (columns - 1));
      }
      convert(call, map.values(), order[i], out, (int) column);
    }
    return out;
  }

  private static int[] order(Tensor keys) {
    return java.util.stream.IntStream.range(0, keys.size())
        .boxed()
        .sorted(java.util.Comparator.comparingLong(keys::getLong))
        .mapToInt(Integer::intValue)
        .toArray();
  }

  private static void convert(HostCall call, Tensor from, int i, Tensor to, int at) {
    if (to.dtype() == DType.STRING) {
      to.strings()[at] =
          from.dtype() == DType.STRING ? from.strings()[i] : NumberText.format(from, i);
    } else if (from.dtype() == DType.STRING) {
      try {
        NumberText.parse(from.strings()[i], to, at);
      } catch (NumberFormatException _) {
        throw call.error("TSR-0302", "the value of key " + i + " is not a number");
      }
    } else {
      to.setDouble(at, from.getDouble(i));
    }
  }

  /** [1, vocabulary]: the value of each key of the vocabulary, 0 or "" where the map has none. */
  private static Datum vectorize(HostCall call) {
    Datum.Dictionary map = map(call);
    List<String> vocabulary = call.settings("vocabulary");
    boolean strings = map.keys().dtype() == DType.STRING;
    Map<String, Integer> at = new HashMap<>();
    for (int i = 0; i < map.keys().size(); i++) {
      at.put(strings ? map.keys().strings()[i] : Long.toString(map.keys().getLong(i)), i);
    }
    Tensor out = call.allocate(map.values().dtype(), 1, vocabulary.size());
    for (int c = 0; c < vocabulary.size(); c++) {
      Integer found = at.get(vocabulary.get(c));
      if (found != null) {
        System.arraycopy(map.values().array(), found, out.array(), c, 1);
      }
    }
    return out;
  }

  /** [n, classes] or [classes] to a sequence of maps from class to value. */
  private static Datum zip(HostCall call) {
    Tensor x = call.tensor(0);
    List<String> classes = call.settings("classes");
    int columns = classes.size();
    if (x.rank() == 0 || x.rank() > 2 || x.shape()[x.rank() - 1] != columns) {
      throw call.error(
          "TSR-0303", "[n, " + columns + "] for " + columns + " classes is needed, not " + x);
    }
    DType keyType = DType.of(call.setting("key"));
    long[] numbers = keyType == DType.STRING ? new long[0] : call.longSettings("classes");
    Tensor keys = call.allocate(keyType, columns);
    for (int k = 0; k < columns; k++) {
      if (keys.dtype() == DType.STRING) {
        keys.strings()[k] = classes.get(k);
      } else {
        keys.longs()[k] = numbers[k];
      }
    }
    List<Datum> maps = new ArrayList<>();
    for (int row = 0; row < (x.rank() == 1 ? 1 : x.shape()[0]); row++) {
      Tensor values = call.allocate(x.dtype(), columns);
      System.arraycopy(x.array(), row * columns, values.array(), 0, columns);
      maps.add(new Datum.Dictionary(keys, values));
    }
    return new Datum.Sequence(maps);
  }
}
