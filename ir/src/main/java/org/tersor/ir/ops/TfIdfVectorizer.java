package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToLongFunction;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * TfIdfVectorizer: how often each n-gram of a pool occurs in each row of X [C] or [N, C], its items
 * 0 to max_skip_count others apart; counts, or whether there is one, times weights.
 */
final class TfIdfVectorizer extends OpBase {
  /** Largest width of a result. */
  private static final long MOST_COLUMNS = 1L << 28;

  /** Four items, then three pairs. */
  private static final String SAMPLE =
      " ngram_counts=dims(0 4); ngram_indexes=dims(6 5 4 3 2 1 0)|dims(0 1 2 3 4 5 6)|dims(3 0 8 1 2 6 4); weights=copies(7, 0.5..2.0);"
          + " min_gram_length!=1..2; max_gram_length!=min_gram_length..2; max_skip_count!=0..3;"
          + " mode!=TF|IDF|TFIDF";

  TfIdfVectorizer() {
    super(
        OpSchema.of("", "TfIdfVectorizer", 9)
            .sample(
                "T=i32|i64; X[b*0-1 n]=2..7; pool_int64s=dims(2 3 5 4 5 6 7 8 6 7); pool_strings=-;"
                    + SAMPLE
                    + " || T=string; X[b*0-1 n]; pool_int64s=-;"
                    + " pool_strings=words('a', 'B', 'abc', 'ß', 'a', 'B', 'B', 'abc', 'ß', 'a');"
                    + SAMPLE)
            .input("X", "T")
            .output("Y", "F")
            .types("T", Types.set(DType.STRING, DType.I32, DType.I64))
            .types("F", Types.set(DType.F32))
            .required("max_gram_length", AttributeKind.INT)
            .required("max_skip_count", AttributeKind.INT)
            .required("min_gram_length", AttributeKind.INT)
            .required("mode", AttributeKind.STRING)
            .required("ngram_counts", AttributeKind.INTS)
            .required("ngram_indexes", AttributeKind.INTS)
            .attribute("pool_int64s", AttributeKind.INTS)
            .attribute("pool_strings", AttributeKind.STRINGS)
            .attribute("weights", AttributeKind.FLOATS)
            .tolerance(OpSchema.Tolerance.EXACT));
  }

  private static long columns(OpContext c) {
    long[] indexes = indexes(c);
    long most = -1;
    for (long index : indexes) {
      if (index < 0 || index >= MOST_COLUMNS) {
        throw c.error("TSR-0305", "an n-gram's index is " + index);
      }
      most = Math.max(most, index);
    }
    return most + 1;
  }

  @Override
  List<ValueType> types(OpContext c) {
    DimExpr columns = DimExpr.of(columns(c));
    if (!c.in(0).isRanked()) {
      return List.of(TensorType.unranked(DType.F32));
    }
    return switch (c.rank(0)) {
      case 0, 1 -> List.of(TensorType.of(DType.F32, List.of(columns)));
      case 2 -> List.of(TensorType.of(DType.F32, List.of(c.dims(0).getFirst(), columns)));
      default -> throw c.error("TSR-0303", "X must be [C] or [N, C]");
    };
  }

  private static List<Object> items(OpContext c) {
    List<Object> items = new ArrayList<>();
    if (c.dtype(0) == DType.STRING) {
      items.addAll(c.stringsAttr("pool_strings").orElse(List.of()));
    } else {
      for (long item : c.intsAttr("pool_int64s").orElse(new long[0])) {
        items.add(item);
      }
    }
    return items;
  }

  /** Number of each n-gram of the lengths that count, in the order of the pool. */
  private static Map<List<Object>, Integer> grams(OpContext c) {
    List<Object> items = items(c);
    long[] starts = c.intsAttr("ngram_counts").orElse(new long[0]);
    int indexes = indexes(c).length;
    Map<List<Object>, Integer> grams = new HashMap<>();
    int number = 0;
    for (int n = 1; n <= starts.length; n++) {
      long from = starts[n - 1];
      long to = n < starts.length ? starts[n] : items.size();
      if (from < 0 || to < from || to > items.size() || (to - from) % n != 0) {
        throw c.error(
            "TSR-0304", "ngram_counts " + Arrays.toString(starts) + " do not divide the pool");
      }
      for (int at = (int) from; at < to; at += n) {
        if (n >= c.intAttr("min_gram_length", 1) && n <= c.intAttr("max_gram_length", 1)) {
          grams.putIfAbsent(List.copyOf(items.subList(at, at + n)), number);
        }
        number++;
      }
    }
    if (number != indexes) {
      throw c.error("TSR-0304", number + " n-grams do not go with " + indexes + " indexes");
    }
    return grams;
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Map<List<Object>, Integer> grams = grams(c);
    long[] indexes = indexes(c);
    Tensor y = Shapes.allocate(c, DType.F32, outType(c, 0).staticShape());
    int width = (int) columns(c);
    int rows = x.rank() == 2 ? (int) x.shape()[0] : 1;
    int length = rows == 0 ? 0 : x.size() / rows;
    for (int row = 0; row < rows; row++) {
      List<Object> items = new ArrayList<>();
      for (int i = row * length; i < (row + 1) * length; i++) {
        items.add(x.dtype() == DType.STRING ? x.strings()[i] : (Object) x.getLong(i));
      }
      for (int n = (int) Math.max(1, c.intAttr("min_gram_length", 1));
          n <= Math.min(length, c.intAttr("max_gram_length", 1));
          n++) {
        // Single items have nothing to skip.
        long skips = n == 1 ? 0 : c.intAttr("max_skip_count", 0);
        for (long step = 1; step <= skips + 1 && (n - 1) * step < length; step++) {
          for (int at = 0; at + (n - 1) * step < length; at++) {
            List<Object> gram = new ArrayList<>();
            for (int k = 0; k < n; k++) {
              gram.add(items.get((int) (at + k * step)));
            }
            Integer found = grams.get(gram);
            if (found != null) {
              y.floats()[row * width + (int) indexes[found]]++;
            }
          }
        }
      }
      weigh(c, y, row * width);
    }
    return List.of(y);
  }

  private static long[] indexes(OpContext c) {
    return c.intsAttr("ngram_indexes").orElse(new long[0]);
  }

  private static String mode(OpContext c) {
    String mode = c.stringAttr("mode", "");
    if (!List.of("TF", "IDF", "TFIDF").contains(mode)) {
      throw c.error("TSR-0304", "mode '" + mode + "' is not defined");
    }
    return mode;
  }

  /** The weight of each column. */
  private static float[] columnWeights(OpContext c) {
    long[] indexes = indexes(c);
    List<Float> weights = c.floatsAttr("weights").orElse(List.of());
    if (!weights.isEmpty() && weights.size() != indexes.length) {
      throw c.error("TSR-0304", weights.size() + " weights for " + indexes.length + " n-grams");
    }
    float[] byColumn = new float[(int) columns(c)];
    Arrays.fill(byColumn, 1);
    for (int g = 0; g < weights.size(); g++) {
      byColumn[(int) indexes[g]] = weights.get(g);
    }
    return byColumn;
  }

  private static void weigh(OpContext c, Tensor y, int start) {
    String mode = mode(c);
    if (mode.equals("TF")) {
      return;
    }
    float[] weights = columnWeights(c);
    for (int k = 0; k < weights.length; k++) {
      float count = y.floats()[start + k];
      y.floats()[start + k] =
          mode.equals("IDF") ? (count > 0 ? weights[k] : 0) : count * weights[k];
    }
  }

  /** Strings become the positions of equal items of the pool; what is no item is none of them. */
  @Override
  Lowering strings(OpContext c) {
    return new Lowering.Decompose(b -> {
      List<Object> items = items(c).stream().distinct().toList();
      Map<Object, Integer> places = new HashMap<>();
      items.forEach(item -> places.put(item, places.size()));
      List<String> texts = items.stream().map(Object::toString).toList();
      Value x =
          b.add(
              OpKey.TERSOR,
              StringOperators.INDEX,
              Map.of("keys", new Attribute.StringsAttr(texts)),
              c.node().input(0));
      return List.of(weighed(b, c, x, item -> java.util.Objects.requireNonNull(places.get(item))));
    });
  }

  @Override
  Lowering code(OpContext c) {
    return new Lowering.Decompose(
        b -> List.of(weighed(b, c, c.node().input(0), item -> (Long) item)));
  }

  private static Value weighed(
      GraphBuilder b, OpContext c, Value x, ToLongFunction<Object> number) {
    Map<Integer, List<long[]>> byLength = new TreeMap<>();
    byLength.put(1, new ArrayList<>());
    grams(c)
        .forEach((gram, place) -> {
          long[] row = new long[gram.size() + 1];
          for (int i = 0; i < gram.size(); i++) {
            row[i] = number.applyAsLong(gram.get(i));
          }
          row[gram.size()] = indexes(c)[place];
          byLength.computeIfAbsent(gram.size(), n -> new ArrayList<>()).add(row);
        });
    List<Value> counts = new ArrayList<>();
    byLength.forEach((n, grams) -> counts.add(counts(b, c, x, n, grams)));
    Value sum = counts.size() == 1 ? counts.getFirst() : b.add("Sum", counts.toArray(Value[]::new));
    float[] weights = columnWeights(c);
    return switch (mode(c)) {
      case "TF" -> sum;
      case "IDF" ->
          b.add(
              "Mul",
              b.add("Min", sum, b.constant(Tensor.of(new float[] {1}))),
              b.constant(Tensor.of(weights, weights.length)));
      default -> b.add("Mul", sum, b.constant(Tensor.of(weights, weights.length)));
    };
  }

  /** How often n-grams of one length occur; the table of them is sorted for the search. */
  private static Value counts(GraphBuilder b, OpContext c, Value x, int n, List<long[]> grams) {
    grams.sort((p, q) -> Arrays.compare(p, 0, n, q, 0, n));
    long[] table = grams.stream().flatMapToLong(Arrays::stream).toArray();
    // Single items have nothing to skip.
    long skips = n == 1 ? 0 : c.intAttr("max_skip_count", 0);
    return b.add(
        OpKey.TERSOR,
        GramCounts.NAME,
        Map.of("columns", new Attribute.IntAttr(columns(c)), "skips", new Attribute.IntAttr(skips)),
        x,
        b.constant(Tensor.of(table, grams.size(), n + 1)));
  }
}
