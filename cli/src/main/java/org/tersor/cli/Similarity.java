package org.tersor.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.cli.data.Samples;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.Node;
import org.tersor.ir.graph.Value;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * How alike two models answer: the cosine between their first outputs, sample by sample, and over
 * all samples the noise.
 *
 * @param sqnr power of the reference by power of the difference, in dB
 * @param psnr the reference's range, squared, by mean square of the difference, in dB
 * @param within share of numbers that differ by at most a step of 8 bits over the reference's range
 *     in that sample, or in all samples where each has one number
 */
record Similarity(List<Double> cosines, double sqnr, double psnr, double within) {

  static Similarity measure(
      Executable model, Executable reference, Samples.Data samples, int n, Runnable step) {
    List<Double> cosines = new ArrayList<>();
    Noise noise = new Noise();
    for (int i = 0; i < n; i++) {
      Map<String, Tensor> inputs = samples.read(i, 1);
      Tensor actual = first(model, inputs);
      Tensor exact = first(reference, inputs);
      cosines.add(cosine(actual, exact));
      noise.add(exact, actual);
      step.run();
    }
    return new Similarity(List.copyOf(cosines), noise.sqnr(), noise.psnr(), noise.within());
  }

  /** Sums over samples. */
  private static final class Noise {
    private double signal;
    private double noise;
    private double least = Double.POSITIVE_INFINITY;
    private double largest = Double.NEGATIVE_INFINITY;
    private long count;
    private long near;
    private final List<Double> alone = new ArrayList<>();

    void add(Tensor exact, Tensor actual) {
      double low = Double.POSITIVE_INFINITY;
      double high = Double.NEGATIVE_INFINITY;
      for (int i = 0; i < exact.size(); i++) {
        low = Math.min(low, exact.getDouble(i));
        high = Math.max(high, exact.getDouble(i));
      }
      for (int i = 0; i < exact.size(); i++) {
        double x = exact.getDouble(i);
        double e = Math.abs(x - actual.getDouble(i));
        signal += x * x;
        noise += e * e;
        near += exact.size() > 1 && e <= (high - low) / 255 ? 1 : 0;
        if (exact.size() == 1) {
          alone.add(e);
        }
      }
      count += exact.size();
      least = Math.min(least, low);
      largest = Math.max(largest, high);
    }

    /** Equal answers have 200 dB, so that it can be written as a number. */
    private static double decibels(double ratio) {
      return Math.min(200, 10 * Math.log10(ratio));
    }

    double sqnr() {
      return decibels(signal / noise);
    }

    double psnr() {
      return decibels((largest - least) * (largest - least) * count / noise);
    }

    double within() {
      long close = near + alone.stream().filter(e -> e <= (largest - least) / 255).count();
      return count == 0 ? 1 : close / (double) count;
    }
  }

  double least() {
    return cosines.stream().min(Comparator.naturalOrder()).orElse(1.0);
  }

  double mean() {
    return cosines.stream().mapToDouble(c -> c).average().orElse(1);
  }

  Map<String, Object> json(String backend) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("metric", "cosine");
    json.put("value", least());
    json.put("mean", mean());
    json.put("sqnrDb", sqnr);
    json.put("psnrDb", psnr);
    json.put("withinStep", within);
    json.put("n", cosines.size());
    json.put("perSample", cosines);
    json.put("backend", backend);
    return json;
  }

  /** A model that ends before the Softmax at its end: with what classes scored. */
  static Graph beforeSoftmax(Graph graph) {
    Value output = graph.outputs().getFirst();
    Optional<Node> last = graph.producer(output);
    while (last.isPresent() && keepsScores(last.get())) {
      last = graph.producer(last.get().input(0));
    }
    Node softmax =
        last.filter(n -> n.op().is("Softmax") || n.op().is("LogSoftmax"))
            .orElseThrow(() ->
                new TersorException(
                    "TSR-0906", "output '" + output.name() + "' does not come from a Softmax"));
    List<Value> outputs = new ArrayList<>(graph.outputs());
    outputs.set(0, new Value(softmax.input(0).id(), output.name()));
    return new Graph(
        graph.name(),
        graph.inputs(),
        outputs,
        graph.nodes(),
        graph.constants(),
        graph.types(),
        graph.opsets(),
        graph.metadata());
  }

  private static boolean keepsScores(Node node) {
    return switch (node.op().type()) {
      case "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast" -> true;
      default -> false;
    };
  }

  private static Tensor first(Executable executable, Map<String, Tensor> inputs) {
    return executable.run(inputs).values().iterator().next();
  }

  /** Zeros have no direction: beside zeros they have cosine 1, beside anything else 0. */
  static double cosine(Tensor a, Tensor b) {
    if (a.size() != b.size()) {
      throw new TersorException("TSR-0906", "the models' first outputs differ: " + a + ", " + b);
    }
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (int i = 0; i < a.size(); i++) {
      ab += a.getDouble(i) * b.getDouble(i);
      aa += a.getDouble(i) * a.getDouble(i);
      bb += b.getDouble(i) * b.getDouble(i);
    }
    if (aa == 0 || bb == 0) {
      return aa == bb ? 1 : 0;
    }
    return ab / Math.sqrt(aa * bb);
  }
}
