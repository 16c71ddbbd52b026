package org.tersor.passes.quant;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * What quantization did to each layer, and why some lost more than others. Made by {@link
 * Diagnostician}.
 *
 * @param layers in order of the graph
 * @param samples what each sample's outputs lost, in the order of the samples
 * @param boxes the float graph, to be drawn
 */
public record Diagnosis(List<Layer> layers, List<Sample> samples, List<Box> boxes) {

  /**
   * A layer with quantized weights.
   *
   * @param node its name in plans
   * @param format of its weights
   * @param bytes of its weights, scales included
   * @param floatBytes of its weights as float32
   * @param isolated signal to noise in dB of its result where only this layer is quantized
   * @param accumulated the same in the graph that is executed; empty where no value of it exists
   * @param weights distribution of the float weights
   * @param weightClip the smallest and largest number that its codes stand for
   * @param input distribution of its input
   * @param inputClip what its input's codes stand for; empty: the input is float
   * @param causes of its error, largest first; empty where nothing stands out
   */
  public record Layer(
      String node,
      String operator,
      String format,
      long bytes,
      long floatBytes,
      double isolated,
      Optional<Double> accumulated,
      Bars weights,
      Range weightClip,
      Bars input,
      Optional<Range> inputClip,
      List<Cause> causes) {}

  /** An interval of numbers. */
  public record Range(double low, double high) {}

  /**
   * Something about a layer that costs accuracy.
   *
   * @param kind a word for scripts: dominant-channel, outliers, clipped, one-sided, concat-ranges,
   *     bias, inherited
   * @param severity how far beyond the usual, 1 being the threshold
   * @param words for people: what was seen, and what can be done
   */
  public record Cause(String kind, double severity, String words) {}

  /**
   * A sample.
   *
   * @param index in the order in which they were given
   * @param sqnr signal to noise in dB of the model's float outputs
   */
  public record Sample(int index, double sqnr) {}

  /**
   * A node of the graph.
   *
   * @param from indices of the boxes whose results it reads
   * @param sqnr of the layer, where it is a quantized one: accumulated, else isolated
   */
  public record Box(String name, String operator, List<Integer> from, Optional<Double> sqnr) {
    public Box {
      from = List.copyOf(from);
    }
  }

  /** Counts of numbers in equal steps from low to high. */
  public record Bars(double low, double high, List<Long> counts) {
    static final int STEPS = 64;

    public Bars {
      counts = List.copyOf(counts);
    }

    /** Of numbers within a range that was found before; others are left out. */
    static Bars of(double low, double high, long[] counts) {
      return new Bars(low, high, Arrays.stream(counts).boxed().toList());
    }
  }
}
