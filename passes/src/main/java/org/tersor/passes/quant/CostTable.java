package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.op.OpRegistry;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.Names;
import org.tersor.runtime.TersorException;

/**
 * Measured times of layers of several sizes on one processor, in float32 and with 8-bit integers.
 * From them the time of other layers is predicted: that of the two most alike, by products.
 *
 * @param target what ran them
 * @param processor which it was measured on
 */
public record CostTable(String target, String processor, List<Row> rows) {
  private static final String TITLE = "tersor-costs-1";

  /**
   * One layer.
   *
   * @param floatNanos time of one call in float32
   * @param integerNanos the same with 8-bit operands and result
   */
  public record Row(String name, LayerWork work, double floatNanos, double integerNanos) {
    public Row {
      if (!(floatNanos > 0 && integerNanos > 0)) {
        throw new IllegalArgumentException(name + ": " + floatNanos + ", " + integerNanos);
      }
    }
  }

  /**
   * What layers will take, each alone.
   *
   * @param integerNanos what it takes with 8-bit integers
   */
  public record Layer(String name, double floatNanos, double integerNanos) {
    /** Above 1: integers are faster. */
    public double speedup() {
      return floatNanos / integerNanos;
    }
  }

  public CostTable {
    rows = List.copyOf(rows);
    if (rows.isEmpty()) {
      throw new IllegalArgumentException("no rows");
    }
  }

  /** Predicts one layer. */
  public Layer predict(String name, LayerWork work) {
    List<Row> near =
        rows.stream()
            .sorted(Comparator.comparingDouble((Row r) -> r.work().distance(work)))
            .limit(2)
            .toList();
    double weights = 0;
    double inFloat = 0;
    double inIntegers = 0;
    for (Row row : near) {
      double weight = 1 / (1e-3 + row.work().distance(work));
      weights += weight;
      inFloat += weight * Math.log(row.floatNanos() / row.work().products());
      inIntegers += weight * Math.log(row.integerNanos() / row.work().products());
    }
    return new Layer(
        name,
        work.products() * Math.exp(inFloat / weights),
        work.products() * Math.exp(inIntegers / weights));
  }

  /**
   * Predicts the layers of a float graph that have weights, by their names in plans.
   *
   * @param integer those that compute with integers; others take their time in float for both
   */
  public List<Layer> predict(Graph base, OpRegistry operators, Predicate<Node> integer) {
    Names names = new Names(base);
    List<Layer> layers = new ArrayList<>();
    LayerWork.of(base, operators)
        .forEach((node, work) -> {
          Layer l = predict(names.of(node), work);
          layers.add(integer.test(node) ? l : new Layer(l.name(), l.floatNanos(), l.floatNanos()));
        });
    return layers;
  }

  /**
   * As {@link #predict(Graph, OpRegistry, Predicate)}, before calibration: of every layer that can
   * compute with integers and whose weights the format can hold.
   */
  public List<Layer> predict(Graph base, Compiler compiler, String weights) {
    Selection selection =
        Selection.of(
            base,
            compiler.registry().operators(),
            compiler.registry().format(weights).definition(),
            true,
            Keep.NONE);
    return predict(base, compiler.registry().operators(), selection.integer()::contains);
  }

  /** The table as text, which {@link #parse} reads. */
  public String text() {
    StringBuilder text = new StringBuilder();
    text.append(TITLE).append('\n');
    text.append("target\t").append(target).append('\n');
    text.append("processor\t").append(processor).append('\n');
    for (Row row : rows) {
      text.append(
          String.format(
              Locale.ROOT,
              "%s\t%.0f\t%.0f\t%.9g\t%.6g\t%.6g%n",
              row.name(),
              row.work().products(),
              row.work().depth(),
              row.work().intensity(),
              row.floatNanos(),
              row.integerNanos()));
    }
    return text.toString();
  }

  /** Reads a table. */
  public static CostTable parse(String text) {
    List<String> lines = text.lines().toList();
    if (lines.isEmpty() || !lines.getFirst().equals(TITLE)) {
      throw wrong("it does not begin with " + TITLE);
    }
    Map<String, String> header = new LinkedHashMap<>();
    List<Row> rows = new ArrayList<>();
    for (String line : lines.subList(1, lines.size())) {
      String[] words = line.split("\t", -1);
      try {
        if (words.length == 2) {
          header.put(words[0], words[1]);
        } else if (words.length == 6) {
          rows.add(
              new Row(
                  words[0],
                  new LayerWork(number(words[1]), number(words[2]), number(words[3])),
                  number(words[4]),
                  number(words[5])));
        } else {
          throw wrong("'" + line + "' has " + words.length + " columns");
        }
      } catch (IllegalArgumentException e) {
        throw wrong("'" + line + "': " + e.getMessage());
      }
    }
    if (rows.isEmpty()) {
      throw wrong("it has no rows");
    }
    return new CostTable(
        header.getOrDefault("target", ""), header.getOrDefault("processor", ""), rows);
  }

  private static double number(String word) {
    double value = Double.parseDouble(word);
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException(word + " is no time or size");
    }
    return value;
  }

  private static TersorException wrong(String what) {
    return new TersorException(
        "TSR-0425", "this is no table of costs: " + what + "; 'tersor bench --costs' writes one");
  }
}
