package org.tersor.passes.quant;

import java.util.Optional;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Codes of a weight.
 *
 * @param scales one per channel, or a scalar
 */
record Weights(Tensor codes, Tensor scales) {

  /**
   * Symmetric codes in the restricted range. Where the bias would not fit int32 codes of scale
   * {@code inputScale * scale}, the scale of its channel is raised until it does.
   */
  static Weights encode(
      Tensor weight, QuantPlan.WeightScheme scheme, double inputScale, Optional<Tensor> bias) {
    int channels = scheme.axis() < 0 ? 1 : (int) weight.shape()[scheme.axis()];
    int inner = 1;
    for (int d = scheme.axis() + 1; scheme.axis() >= 0 && d < weight.rank(); d++) {
      inner *= (int) weight.shape()[d];
    }
    double[] magnitude = new double[channels];
    for (int i = 0; i < weight.size(); i++) {
      int c = i / inner % channels;
      magnitude[c] = Math.max(magnitude[c], Math.abs(weight.getDouble(i)));
    }
    Affine[] affine = new Affine[channels];
    Tensor scales = scheme.axis() < 0 ? Tensor.zeros(DType.F32) : Tensor.zeros(DType.F32, channels);
    for (int c = 0; c < channels; c++) {
      affine[c] = Affine.symmetric(scheme.codes(), magnitude[c]);
      double largestBias = largest(bias, c, channels);
      double needed =
          inputScale == 0 ? 0 : 1.0001 * 2 * largestBias / (4294967296.0 - 2) / inputScale;
      if (affine[c].scale() < needed) {
        affine[c] = new Affine(scheme.codes(), (float) needed, 0);
      }
      scales.setDouble(c, affine[c].scale());
    }
    Tensor codes = Tensor.zeros(scheme.codes(), weight.shape());
    for (int i = 0; i < weight.size(); i++) {
      codes.setLong(i, affine[i / inner % channels].restrictedCode(weight.getDouble(i)));
    }
    return new Weights(codes, scales);
  }

  private static double largest(Optional<Tensor> bias, int channel, int channels) {
    if (bias.isEmpty()) {
      return 0;
    }
    double largest = 0;
    for (int i = 0; i < bias.get().size(); i++) {
      if (channels == 1 || i == channel) {
        largest = Math.max(largest, Math.abs(bias.get().getDouble(i)));
      }
    }
    return largest;
  }

  /** Scales of the bias: (float) (input scale * weight scale). */
  Tensor biasScales(float inputScale) {
    Tensor result = Tensor.zeros(DType.F32, scales.shape());
    for (int c = 0; c < result.size(); c++) {
      result.setDouble(c, (double) inputScale * scales.getDouble(c));
    }
    return result;
  }

  Tensor biasCodes(Tensor bias, float inputScale) {
    Tensor result = Tensor.zeros(DType.I32, bias.shape());
    Tensor biasScales = biasScales(inputScale);
    for (int i = 0; i < result.size(); i++) {
      double code =
          Math.rint(bias.getDouble(i) / biasScales.getDouble(biasScales.size() == 1 ? 0 : i));
      result.setLong(i, (long) Math.max(Integer.MIN_VALUE, Math.min(Integer.MAX_VALUE, code)));
    }
    return result;
  }
}
