package org.tersor.passes.quant;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.tersor.ir.dsl.AffineDecode;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.format.FormatCodec;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.op.WeightLayout;
import org.tersor.passes.quant.method.LayerInputs;
import org.tersor.passes.quant.method.WeightMethod;
import org.tersor.passes.quant.method.WeightProblem;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * A weight in a number format, rounded to the nearest codes.
 *
 * @param buffers of the format, in order
 * @param scales float32 scale of each row (or one), where the format has one and no blocks
 */
record WeightEncoding(List<Tensor> buffers, Optional<Tensor> scales) {

  /**
   * Encodes. Where a bias would not fit int32 codes of scale {@code inputScale * scale}, the scale
   * of its row is raised until it does.
   *
   * @param inputScale scale of the codes that the weights are multiplied with; 0: none
   * @param bias one number for each row, or for each row of each group; empty: none
   */
  static WeightEncoding of(
      NumberFormat format,
      Tensor weight,
      WeightLayout layout,
      double inputScale,
      Optional<Tensor> bias) {
    FormatCodec codec = new FormatCodec(format);
    long[] shape = layout.encodedShape(weight.shape());
    Map<String, Tensor> encoded =
        codec.encode(
            encoded(weight, layout),
            shape,
            new float[0],
            adjustment(codec, inputScale, rows(weight, layout), bias));
    List<Tensor> buffers = List.copyOf(encoded.values());
    return new WeightEncoding(
        buffers, affine(codec.definition()).map(a -> a.scales(buffers, shape)));
  }

  private static int rows(Tensor weight, WeightLayout layout) {
    long[] shape = layout.encodedShape(weight.shape());
    return (int) Math.max(1, Tensor.count(shape) / Math.max(1, shape[shape.length - 1]));
  }

  private static FormatCodec.Adjustment adjustment(
      FormatCodec codec, double inputScale, int rows, Optional<Tensor> bias) {
    Optional<String> field = affine(codec.definition()).flatMap(AffineDecode::scaleField);
    return (fitted, row) -> {
      if (field.isEmpty() || inputScale == 0 || bias.isEmpty()) {
        return fitted;
      }
      boolean shared = codec.level() == FormatDef.Level.TENSOR;
      double largest = largest(bias.get(), row, rows, shared);
      double needed = 1.0001 * 2 * largest / (4294967296.0 - 2) / inputScale;
      return fitted.value(field.get()) < needed ? fitted.with(field.get(), (float) needed) : fitted;
    };
  }

  /** As {@link #of}, with codes that a method chooses. */
  static WeightEncoding of(
      NumberFormat format,
      Tensor weight,
      WeightLayout layout,
      double inputScale,
      Optional<Tensor> bias,
      WeightMethod method,
      List<LayerInputs> inputs,
      Consumer<String> report) {
    WeightProblem problem = problem(format, weight, layout, inputScale, bias, inputs, report);
    return of(problem, method.choose(problem), layout.encodedShape(weight.shape()));
  }

  static WeightEncoding of(WeightProblem problem, WeightProblem.Coded coded, long[] shape) {
    List<Tensor> buffers =
        List.copyOf(problem.codec().assemble(shape, coded.parameters(), coded.codes()).values());
    return new WeightEncoding(
        buffers, affine(problem.codec().definition()).map(a -> a.scales(buffers, shape)));
  }

  static WeightProblem problem(
      NumberFormat format,
      Tensor weight,
      WeightLayout layout,
      double inputScale,
      Optional<Tensor> bias,
      List<LayerInputs> inputs,
      Consumer<String> report) {
    FormatCodec codec = new FormatCodec(format);
    float[] values = encoded(weight, layout);
    long[] shape = layout.encodedShape(weight.shape());
    int columns = (int) shape[shape.length - 1];
    return new WeightProblem(
        format,
        adjustment(codec, inputScale, rows(weight, layout), bias),
        values,
        columns == 0 ? 0 : values.length / columns,
        columns,
        inputs,
        report);
  }

  /** Elements in encoding order. */
  static float[] encoded(Tensor weight, WeightLayout layout) {
    int[] offsets = layout.offsets(weight.shape());
    float[] values = new float[weight.size()];
    for (int e = 0; e < values.length; e++) {
      values[e] = (float) weight.getDouble(offsets[e]);
    }
    return values;
  }

  /** An encoding whose buffers are given; a diagnostic unless they are those of the format. */
  static WeightEncoding of(NumberFormat format, List<Tensor> buffers, long[] shape, String node) {
    FormatDef definition = format.definition();
    List<Buf> wanted = definition.buffers("W", DimExpr.list(shape));
    boolean fits = wanted.size() == buffers.size();
    for (int i = 0; fits && i < wanted.size(); i++) {
      fits =
          wanted.get(i).element().dtype() == buffers.get(i).dtype()
              && wanted.get(i).shape().equals(DimExpr.list(buffers.get(i).shape()));
    }
    if (!fits) {
      throw new TersorException(
          "TSR-0420",
          "the codes kept for '"
              + node
              + "' are not those of format '"
              + format.id()
              + "' and shape "
              + Arrays.toString(shape)
              + ": the plan was made for another model or edited; quantize again");
    }
    return new WeightEncoding(buffers, affine(definition).map(a -> a.scales(buffers, shape)));
  }

  /** The decoded weight. */
  static Tensor decoded(
      NumberFormat format, WeightEncoding encoding, WeightLayout layout, long[] shape) {
    FormatCodec codec = new FormatCodec(format);
    Map<String, Tensor> named = new java.util.LinkedHashMap<>();
    for (int i = 0; i < encoding.buffers().size(); i++) {
      named.put(Integer.toString(i), encoding.buffers().get(i));
    }
    float[] values = codec.decode(named, layout.encodedShape(shape));
    Tensor result = Tensor.zeros(DType.F32, shape);
    int[] offsets = layout.offsets(shape);
    for (int e = 0; e < values.length; e++) {
      result.setDouble(offsets[e], values[e]);
    }
    return result;
  }

  /**
   * SHA-256 over codes, scales and zero points in encoding order where values are {@code (code -
   * zero) * scale}, else over the buffers; so it can be told from any file that holds the three.
   */
  static String checksum(FormatDef format, List<Tensor> buffers, long[] shape) {
    Optional<AffineDecode> affine = AffineDecode.of(format);
    return affine.isPresent()
        ? Checksums.of(
            affine.get().codes(buffers, shape),
            affine.get().scales(buffers, shape),
            affine.get().zeros(buffers, shape))
        : Checksums.of(buffers.toArray(Tensor[]::new));
  }

  private static Optional<AffineDecode> affine(FormatDef format) {
    return AffineDecode.of(format)
        .filter(a -> a.level() != FormatDef.Level.BLOCK && a.scaleField().isPresent());
  }

  /** Groups that share rows have numbers of their own in the bias. */
  private static double largest(Tensor bias, int row, int rows, boolean shared) {
    double largest = 0;
    for (int i = 0; i < bias.size(); i++) {
      if (shared || i % rows == row) {
        largest = Math.max(largest, Math.abs(bias.getDouble(i)));
      }
    }
    return largest;
  }

  /**
   * Scales of the bias: (float) (input scale * weight scale).
   *
   * @param biases numbers of the bias; more than scales if groups share these
   */
  static Tensor biasScales(Tensor scales, float inputScale, int biases) {
    Tensor result =
        scales.rank() == 0 || scales.size() == biases
            ? Tensor.zeros(DType.F32, scales.shape())
            : Tensor.zeros(DType.F32, biases);
    for (int c = 0; c < result.size(); c++) {
      result.setDouble(c, (double) inputScale * scales.getDouble(c % scales.size()));
    }
    return result;
  }

  static Tensor biasCodes(Tensor bias, Tensor biasScales) {
    Tensor result = Tensor.zeros(DType.I32, bias.shape());
    for (int i = 0; i < result.size(); i++) {
      double code =
          Math.rint(bias.getDouble(i) / biasScales.getDouble(biasScales.size() == 1 ? 0 : i));
      result.setLong(i, (long) Math.clamp(code, Integer.MIN_VALUE, Integer.MAX_VALUE));
    }
    return result;
  }

  /** Bytes that a weight takes in a format. */
  static long bytes(FormatDef format, WeightLayout layout, long[] shape) {
    long bytes = 0;
    for (Buf buffer : format.buffers("W", DimExpr.list(layout.encodedShape(shape)))) {
      bytes += buffer.elements().constValue() * buffer.element().bytes();
    }
    return bytes;
  }

  static boolean isFinite(Tensor weight) {
    for (int i = 0; i < weight.size(); i++) {
      if (!Double.isFinite(weight.getDouble(i))) {
        return false;
      }
    }
    return true;
  }

  /** A text that tells encodings of one weight apart. */
  String key() {
    return scales.map(s -> Arrays.toString(s.floats())).orElse("");
  }
}
