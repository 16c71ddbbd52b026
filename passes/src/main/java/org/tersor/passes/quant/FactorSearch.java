package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.DoubleUnaryOperator;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.ir.op.WeightLayout;
import org.tersor.passes.CompileOptions;
import org.tersor.passes.Compiler;
import org.tersor.passes.graph.ChannelScales;
import org.tersor.passes.graph.Names;
import org.tersor.passes.quant.method.LayerInputs;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.passes.quant.method.WeightProblem;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Finds the factors of an {@link ChannelFactors}, and applies factors that a plan keeps. */
final class FactorSearch {
  private static final double FLOOR = 1e-5;
  private static final int ROUNDS = 30;

  private final Names names;
  private final Graph base;
  private final List<String> reports = new ArrayList<>();

  FactorSearch(Graph base) {
    this.base = base;
    this.names = new Names(base);
  }

  /** What was found: factors by name of the value. */
  Map<String, Tensor> find(
      ChannelFactors how, NumberFormat format, Map<Node, WeightLayout> weights, WeightTuner tuner) {
    Map<String, ChannelScales> places = new LinkedHashMap<>();
    for (Node node : weights.keySet()) {
      Value value = node.input(0);
      Optional<ChannelScales> place =
          ChannelScales.at(base, value)
              .filter(p -> p.readers().stream().allMatch(weights::containsKey));
      if (place.isPresent()) {
        places.putIfAbsent(names.of(value), place.get());
      } else if (!(how instanceof ChannelFactors.None)) {
        report(names.of(value), how, "nothing before it takes factors, or not all that read it");
      }
    }
    Map<String, Tensor> factors = new LinkedHashMap<>();
    switch (how) {
      case ChannelFactors.None none -> {}
      case ChannelFactors.CrossLayer cross -> acrossLayers(places, factors);
      case ChannelFactors.ActivationAware aware ->
          places.forEach(
              (name, place) -> byError(name, place, how, format, weights, tuner, factors));
      case ChannelFactors.Smooth smooth ->
          places.forEach(
              (name, place) -> byError(name, place, how, format, weights, tuner, factors));
    }
    return factors;
  }

  List<String> reports() {
    return reports;
  }

  private void report(String name, ChannelFactors how, String what) {
    String line = name + ": " + how.text() + ": " + what;
    if (!reports.contains(line)) {
      reports.add(line);
    }
  }

  private void acrossLayers(Map<String, ChannelScales> places, Map<String, Tensor> factors) {
    Graph current = base;
    Map<String, double[]> all = new LinkedHashMap<>();
    int round = 0;
    double moved = Double.POSITIVE_INFINITY;
    while (round < ROUNDS && moved > 1e-3) {
      moved = 0;
      for (Map.Entry<String, ChannelScales> place : places.entrySet()) {
        ChannelScales now = ChannelScales.at(current, place.getValue().value()).orElseThrow();
        Optional<double[]> from = now.makerPeaks(current);
        if (from.isEmpty()) {
          continue;
        }
        double[] to = now.readerPeaks(current);
        double[] step = new double[to.length];
        for (int c = 0; c < step.length; c++) {
          boolean dead = !(from.get()[c] > 0) || !(to[c] > 0);
          step[c] = dead ? 1 : (float) Math.sqrt(from.get()[c] / to[c]);
          moved = Math.max(moved, Math.abs(step[c] - 1));
        }
        current = now.apply(current, step);
        double[] product =
            Objects.requireNonNull(all.computeIfAbsent(place.getKey(), k -> filled(to.length, 1)));
        Arrays.setAll(product, c -> product[c] * step[c]);
      }
      round++;
    }
    for (Map.Entry<String, double[]> entry : all.entrySet()) {
      factors.put(entry.getKey(), tensor(entry.getValue()));
      report(
          entry.getKey(),
          new ChannelFactors.CrossLayer(false),
          text(entry.getValue()) + " after " + round + " rounds");
    }
  }

  private static double[] filled(int n, double value) {
    double[] all = new double[n];
    Arrays.fill(all, value);
    return all;
  }

  private static String text(double[] factors) {
    return String.format(
        java.util.Locale.ROOT,
        "factors %.4g..%.4g",
        Arrays.stream(factors).min().orElse(1),
        Arrays.stream(factors).max().orElse(1));
  }

  private static Tensor tensor(double[] values) {
    Tensor tensor = Tensor.zeros(DType.F32, values.length);
    for (int i = 0; i < values.length; i++) {
      tensor.setDouble(i, values[i]);
    }
    return tensor;
  }

  private void byError(
      String name,
      ChannelScales place,
      ChannelFactors how,
      NumberFormat format,
      Map<Node, WeightLayout> weights,
      WeightTuner tuner,
      Map<String, Tensor> factors) {
    List<Operand> operands =
        place.readers().stream()
            .map(node ->
                new Operand(node, Objects.requireNonNull(weights.get(node)), names.of(node), false))
            .toList();
    Map<Operand, List<LayerInputs>> inputs = tuner.observe(operands);
    List<Reader> readers = new ArrayList<>();
    for (Operand operand : operands) {
      List<LayerInputs> seen = inputs.getOrDefault(operand, List.of());
      if (seen.isEmpty()) {
        report(name, how, "no input was seen");
        return;
      }
      Tensor weight = base.constant(operand.value()).orElseThrow().load();
      readers.add(new Reader(place, format, weight, operand.layout(), seen));
    }
    double[] sizes = readers.getFirst().perChannel(LayerInputs::magnitudes, false);
    double[] peaks = readers.getFirst().perChannel(LayerInputs::peaks, true);
    double[] largest = place.readerPeaks(base);
    boolean smooth = how instanceof ChannelFactors.Smooth;
    List<double[]> candidates = new ArrayList<>();
    List<Double> settings = new ArrayList<>();
    if (how instanceof ChannelFactors.Smooth s && s.alpha() >= 0) {
      candidates.add(smoothing(peaks, largest, s.alpha()));
      settings.add(s.alpha());
    } else if (smooth) {
      for (int step = 6; step <= 18; step++) {
        candidates.add(smoothing(peaks, largest, step / 20.0));
        settings.add(step / 20.0);
      }
    } else {
      for (int step = 0; step < 20; step++) {
        double ratio = step / 20.0;
        candidates.add(centred(sizes, x -> Math.max(Math.pow(x, ratio), 1e-4)));
        settings.add(ratio);
      }
    }
    double[] best = candidates.getFirst();
    double chosen = settings.getFirst();
    double least = Double.POSITIVE_INFINITY;
    double first = Double.NaN;
    for (int i = 0; i < candidates.size(); i++) {
      double[] tried = candidates.get(i);
      double noise = smooth ? noise(peaks, tried) : 0;
      double error = readers.stream().mapToDouble(r -> r.error(tried, noise)).sum();
      first = i == 0 ? error : first;
      if (error < least) {
        least = error;
        best = tried;
        chosen = settings.get(i);
      }
    }
    report(
        name,
        how,
        String.format(
            java.util.Locale.ROOT,
            "%s %.2f, %s, error %.4g (%.4g with the first candidate), taken from %s",
            smooth ? "alpha" : "exponent",
            chosen,
            text(best),
            least,
            first,
            place.makerLabel()));
    if (Arrays.stream(best).anyMatch(f -> f != 1)) {
      factors.put(name, tensor(best));
    }
  }

  /** SmoothQuant's factors from the largest inputs and weights of each channel. */
  static double[] smoothing(double[] peaks, double[] largest, double alpha) {
    double[] factors = new double[peaks.length];
    for (int c = 0; c < factors.length; c++) {
      factors[c] =
          peaks[c] == 0
              ? 1
              : Math.pow(Math.max(peaks[c], FLOOR), alpha)
                  / Math.pow(Math.max(largest[c], FLOOR), 1 - alpha);
    }
    return factors;
  }

  /**
   * Divided by the root of the product of the extremes. Channels that were never active are left as
   * they are, and do not count: their extreme would move all others.
   */
  static double[] centred(double[] sizes, DoubleUnaryOperator of) {
    double[] living = Arrays.stream(sizes).filter(x -> x > 0).map(of).toArray();
    double centre =
        Math.sqrt(Arrays.stream(living).min().orElse(1) * Arrays.stream(living).max().orElse(1));
    return Arrays.stream(sizes).map(x -> x > 0 ? of.applyAsDouble(x) / centre : 1).toArray();
  }

  /** Variance of the rounding of activations of 8 bits in a range that the peaks need. */
  private static double noise(double[] peaks, double[] factors) {
    double reach = 0;
    for (int c = 0; c < peaks.length; c++) {
      reach = Math.max(reach, peaks[c] / factors[c]);
    }
    double step = 2 * reach / 255;
    return step * step / 12;
  }

  /** A layer that reads a value. */
  private static final class Reader {
    private final ChannelScales place;
    private final NumberFormat format;
    private final Tensor weight;
    private final WeightLayout layout;
    private final List<LayerInputs> inputs;
    private final int columns;

    Reader(
        ChannelScales place,
        NumberFormat format,
        Tensor weight,
        WeightLayout layout,
        List<LayerInputs> inputs) {
      this.place = place;
      this.format = format;
      this.weight = weight;
      this.layout = layout;
      this.inputs = inputs;
      this.columns = inputs.getFirst().columns();
    }

    /** The channel that a column of a group of rows reads. */
    private int channel(int group, int column) {
      int perGroup = place.channels() * place.repeat() / inputs.size();
      int taps = columns / perGroup;
      return (group * perGroup + column / taps) / place.repeat();
    }

    double[] perChannel(
        java.util.function.Function<LayerInputs, double[]> statistic, boolean largest) {
      double[] result = new double[place.channels()];
      int[] count = new int[result.length];
      for (int g = 0; g < inputs.size(); g++) {
        double[] values = statistic.apply(inputs.get(g));
        for (int j = 0; j < columns; j++) {
          int c = channel(g, j);
          result[c] = largest ? Math.max(result[c], values[j]) : result[c] + values[j];
          count[c]++;
        }
      }
      for (int c = 0; c < result.length && !largest; c++) {
        result[c] /= Math.max(1, count[c]);
      }
      return result;
    }

    /** Squared error of the results with coded weights, and with noise of the scaled inputs. */
    double error(double[] factors, double noise) {
      WeightProblem plain =
          WeightEncoding.problem(format, weight, layout, 0, Optional.empty(), inputs, n -> {});
      int rows = plain.rows();
      int perGroup = rows / inputs.size();
      float[] scaled = new float[rows * columns];
      for (int r = 0; r < rows; r++) {
        for (int j = 0; j < columns; j++) {
          scaled[r * columns + j] =
              (float) (plain.weight(r, j) * factors[channel(r / perGroup, j)]);
        }
      }
      WeightProblem problem = plain.withWeights(scaled);
      WeightProblem.Coded coded = WeightMethod.parse("rtn").choose(problem);
      double sum = 0;
      for (int r = 0; r < rows; r++) {
        double[] values = problem.values(coded, r);
        for (int j = 0; j < columns; j++) {
          sum += noise * values[j] * values[j];
          values[j] = values[j] / factors[channel(r / perGroup, j)] - plain.weight(r, j);
        }
        sum += problem.inputs(r).energy(values);
      }
      return sum;
    }
  }

  /** The graph with factors; a diagnostic if one has no place. */
  static Graph apply(Graph base, Map<String, Tensor> factors) {
    if (factors.isEmpty()) {
      return base;
    }
    Names names = new Names(base);
    Map<String, Value> values = new LinkedHashMap<>();
    base.nodes().forEach(n -> n.outputs().forEach(o -> values.put(names.of(o), o)));
    Graph current = base;
    for (Map.Entry<String, Tensor> entry : factors.entrySet()) {
      Value value = values.get(entry.getKey());
      Graph at = current;
      Tensor f = entry.getValue();
      double[] numbers = new double[f.size()];
      boolean positive = true;
      for (int c = 0; c < numbers.length; c++) {
        numbers[c] = f.getDouble(c);
        positive &= numbers[c] > 0 && Double.isFinite(numbers[c]);
      }
      Optional<ChannelScales> place =
          Optional.ofNullable(value)
              .flatMap(v -> ChannelScales.at(at, v))
              .filter(p -> p.channels() == numbers.length);
      if (place.isEmpty() || !positive) {
        throw new TersorException(
            "TSR-0422",
            "the plan scales "
                + numbers.length
                + " channels of '"
                + entry.getKey()
                + "', which this graph cannot: it was made for another model, or edited");
      }
      current = place.get().apply(current, numbers);
    }
    return current;
  }

  /** How far results change by factors that should not change them, on the first sample. */
  static String unchanged(
      Compiler compiler,
      Graph given,
      Graph scaled,
      Iterable<Map<String, Tensor>> samples,
      Quantizer.Options options) {
    for (Map<String, Tensor> sample : samples) {
      CompileOptions compile = Quantizer.quiet(options);
      Map<String, Tensor> before = compiler.link(given, options.backend(), compile).run(sample);
      Map<String, Tensor> after = compiler.link(scaled, options.backend(), compile).run(sample);
      double worst = 0;
      for (Map.Entry<String, Tensor> output : before.entrySet()) {
        Tensor x = output.getValue();
        Tensor y = after.getOrDefault(output.getKey(), x);
        double largest = 0;
        double difference = 0;
        for (int i = 0; i < x.size() && x.dtype().isFloat(); i++) {
          largest = Math.max(largest, Math.abs(x.getDouble(i)));
          difference = Math.max(difference, Math.abs(x.getDouble(i) - y.getDouble(i)));
        }
        worst = largest == 0 ? worst : Math.max(worst, difference / largest);
      }
      if (!(worst <= 1e-3)) {
        throw new TersorException(
            "TSR-0422",
            "factors between channels changed the float model's results by "
                + worst
                + " of the largest; this is an error of Tersor: leave out the equalization");
      }
      return String.format(
          java.util.Locale.ROOT, "factors change the float results by %.2g of the largest", worst);
    }
    return "factors were not checked on data: there is none";
  }
}
