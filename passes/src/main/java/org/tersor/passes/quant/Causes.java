package org.tersor.passes.quant;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Node;
import org.tersor.ir.op.WeightLayout;
import org.tersor.runtime.Tensor;

/**
 * Looks for what is known to cost a layer accuracy. Thresholds mark what is rare in layers that
 * quantize well; a cause is a hint where to look, not a proof.
 */
final class Causes {
  /** Largest channel over the median one. */
  private static final double DOMINANT = 8;

  /** Largest weight of a row over its root mean square; a normal distribution stays below 5. */
  private static final double PEAK = 12;

  /** Share of the range that 99.9 % of an input take. */
  private static final double BULK = 0.25;

  private static final double CLIPPED = 0.001;
  private static final double ONE_SIDED = 0.25;
  private static final double CONCAT = 4;
  private static final double INHERITED_DB = 10;

  private final List<Diagnosis.Cause> causes = new ArrayList<>();
  private final int rows;
  private final double[] largest;
  private final Node node;

  Causes(
      Node node,
      Tally input,
      Optional<Diagnosis.Range> clip,
      Tensor weight,
      WeightLayout layout,
      NumberFormat format) {
    this.node = node;
    long[] shape = layout.encodedShape(weight.shape());
    int width = (int) Math.max(1, shape[shape.length - 1]);
    this.rows = weight.size() / width;
    this.largest = new double[rows];
    weights(weight, layout, width, format);
    input(input, clip);
  }

  @SuppressWarnings("AnnotateFormatMethod") // the annotation would be a dependency of its own
  private void add(String kind, double severity, String words, Object... arguments) {
    causes.add(new Diagnosis.Cause(kind, severity, String.format(Locale.ROOT, words, arguments)));
  }

  private void weights(Tensor weight, WeightLayout layout, int width, NumberFormat format) {
    int[] offsets = layout.offsets(weight.shape());
    double[] peaks = new double[rows];
    int oneSided = 0;
    for (int r = 0; r < rows; r++) {
      double sum = 0;
      double low = 0;
      double high = 0;
      for (int i = 0; i < width; i++) {
        double w = weight.getDouble(offsets[r * width + i]);
        sum += w * w;
        low = Math.min(low, w);
        high = Math.max(high, w);
      }
      largest[r] = Math.max(-low, high);
      peaks[r] = sum == 0 ? 0 : largest[r] / Math.sqrt(sum / width);
      oneSided += width > 1 && (low == 0) != (high == 0) ? 1 : 0;
    }
    boolean shared = format.definition().section(FormatDef.Level.TENSOR).isPresent();
    double middle = median(Arrays.stream(largest).filter(x -> x > 0).toArray());
    double most = Arrays.stream(largest).max().orElse(0);
    if (shared && rows > 3 && most > DOMINANT * middle) {
      add(
          "dominant-channel",
          most / middle / DOMINANT,
          "one output channel has weights %.0f times larger than the median channel, and all share one scale: use a format with"
              + " a scale for each channel, or equalise layers",
          most / middle);
    }
    if (median(peaks) > PEAK) {
      add(
          "outliers",
          median(peaks) / PEAK,
          "a few weights of each row are %.0f times its root mean square, so most codes stay near zero: use blocks, or fold a gain"
              + " before it into the layer that makes its input",
          median(peaks));
    }
    boolean symmetric = format.definition().section(FormatDef.Level.BLOCK).isEmpty();
    if (symmetric && oneSided > ONE_SIDED * rows) {
      add(
          "one-sided",
          oneSided / (ONE_SIDED * rows),
          "%d of %d rows have weights of one sign only: a symmetric grid wastes half of its codes there, an affine one does not",
          oneSided,
          rows);
    }
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted.length == 0 ? 0 : sorted[sorted.length / 2];
  }

  private void input(Tally input, Optional<Diagnosis.Range> clip) {
    if (clip.isEmpty()) {
      return;
    }
    if (input.dominance() > DOMINANT) {
      add(
          "dominant-channel",
          input.dominance() / DOMINANT,
          "channel %d of the input is %.0f times larger than the median channel, and all share one scale: smooth it into the weights,"
              + " or equalise layers",
          input.dominant(),
          input.dominance());
    }
    double lost = input.outside(clip.get());
    if (lost > CLIPPED) {
      add(
          "clipped",
          lost / CLIPPED,
          "%.2f %% of the input lie outside of the range that calibration chose: use more samples or a wider calibrator",
          100 * lost);
    } else if (input.bulk() < BULK) {
      add(
          "outliers",
          BULK / input.bulk(),
          "99.9 %% of the input take %.0f %% of its range, a few numbers the rest: use a calibrator that clips (percentile, mse)",
          100 * input.bulk());
    }
  }

  /** The layer's own result, which its quantizer codes with one scale. */
  void result(Tally result) {
    if (result.dominance() > DOMINANT) {
      add(
          "dominant-channel",
          result.dominance() / DOMINANT,
          "channel %d of the result is %.0f times larger than the median channel, and all share one scale: equalise with the layer that"
              + " reads it, or give the result more bits",
          result.dominant(),
          result.dominance());
    }
  }

  /** Error that came from layers before. */
  Causes inherited(double isolated, Optional<Double> accumulated) {
    accumulated
        .filter(a -> isolated - a > INHERITED_DB)
        .ifPresent(a ->
            add(
                "inherited",
                (isolated - a) / INHERITED_DB,
                "alone it keeps %.1f dB, in the model %.1f dB: the error comes from layers before it",
                isolated,
                a));
    return this;
  }

  /** Whether int32 codes of the bias would leave their range at the scales of 8-bit codes. */
  void bias(Tensor bias, double inputScale) {
    int clipped = 0;
    for (int r = 0; r < bias.size() && bias.size() == rows; r++) {
      double step = inputScale * largest[r] / 127;
      clipped += step > 0 && Math.abs(bias.getDouble(r)) / step > Integer.MAX_VALUE ? 1 : 0;
    }
    if (clipped > 0) {
      add(
          "bias",
          clipped,
          "%d of %d biases are too large for int32 codes, so the weights of their channels got a coarser scale",
          clipped,
          rows);
    }
  }

  /** Inputs of a Concat share one scale. */
  void concat(List<Tally> parts) {
    double[] sizes = parts.stream().mapToDouble(Tally::largest).filter(x -> x > 0).toArray();
    double ratio =
        sizes.length < 2
            ? 1
            : Arrays.stream(sizes).max().orElse(1) / Arrays.stream(sizes).min().orElse(1);
    if (ratio > CONCAT) {
      add(
          "concat-ranges",
          ratio / CONCAT,
          "the Concat before it joins ranges that differ by a factor of %.0f under one scale: the smaller ones lose codes",
          ratio);
    }
  }

  /** Most severe first. */
  List<Diagnosis.Cause> found() {
    causes.sort(Comparator.comparingDouble(Diagnosis.Cause::severity).reversed());
    return List.copyOf(causes);
  }

  @Override
  public String toString() {
    return node.label() + " " + causes;
  }
}
