package org.tersor.passes.quant;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.dsl.AffineDecode;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.format.FormatCodec;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.op.WeightLayout;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

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
   * @param bias one number for each row; empty: none
   */
  static WeightEncoding of(
      NumberFormat format,
      Tensor weight,
      WeightLayout layout,
      double inputScale,
      Optional<Tensor> bias) {
    FormatCodec codec = new FormatCodec(format);
    long[] shape = layout.encodedShape(weight.shape());
    int[] offsets = layout.offsets(weight.shape());
    float[] values = new float[weight.size()];
    for (int e = 0; e < values.length; e++) {
      values[e] = (float) weight.getDouble(offsets[e]);
    }
    Optional<AffineDecode> affine =
        AffineDecode.of(codec.definition())
            .filter(a -> a.level() != FormatDef.Level.BLOCK && a.scaleField().isPresent());
    Optional<String> field = affine.flatMap(AffineDecode::scaleField);
    Map<String, Tensor> encoded =
        codec.encode(
            values,
            shape,
            new float[0],
            (fitted, row) -> {
              if (field.isEmpty() || inputScale == 0 || bias.isEmpty()) {
                return fitted;
              }
              boolean shared = codec.level() == FormatDef.Level.TENSOR;
              double largest = largest(bias.get(), row, shared);
              double needed = 1.0001 * 2 * largest / (4294967296.0 - 2) / inputScale;
              return fitted.value(field.get()) < needed
                  ? fitted.with(field.get(), (float) needed)
                  : fitted;
            });
    List<Tensor> buffers = List.copyOf(encoded.values());
    return new WeightEncoding(buffers, affine.map(a -> a.scales(buffers, shape)));
  }

  private static double largest(Tensor bias, int row, boolean shared) {
    double largest = 0;
    for (int i = 0; i < bias.size(); i++) {
      if (shared || i == row) {
        largest = Math.max(largest, Math.abs(bias.getDouble(i)));
      }
    }
    return largest;
  }

  /** Scales of the bias: (float) (input scale * weight scale). */
  static Tensor biasScales(Tensor scales, float inputScale) {
    Tensor result = Tensor.zeros(DType.F32, scales.shape());
    for (int c = 0; c < result.size(); c++) {
      result.setDouble(c, (double) inputScale * scales.getDouble(c));
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
