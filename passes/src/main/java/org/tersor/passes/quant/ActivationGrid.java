package org.tersor.passes.quant;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.dsl.AffineDecode;
import org.tersor.ir.dsl.FormatDef;
import org.tersor.ir.dsl.FormatField;
import org.tersor.ir.format.BlockParameters;
import org.tersor.ir.format.FormatCodec;
import org.tersor.ir.format.NumberFormat;
import org.tersor.ir.graph.Attribute;
import org.tersor.passes.graph.FakeQuant;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * The grid of an activation, as its format's text states it: {@code (code - zero) * scale} with one
 * scale for the tensor. Activations are coded while the model runs, by rounding to the nearest
 * code; so other forms of {@code decode} cannot be activation formats.
 */
record ActivationGrid(DType codes, float scale, long zero, long least, long largest) {

  /** Parameters that a format fits to a range. */
  static QuantPlan.Activation fit(NumberFormat format, double min, double max) {
    FormatDef.Section section = section(format);
    BlockParameters fitted = format.fit(new float[] {(float) min, (float) max}, new float[0]);
    Map<String, Double> parameters = new LinkedHashMap<>();
    for (FormatField field : section.fields()) {
      parameters.put(field.name(), fitted.value(field.name()));
    }
    return new QuantPlan.Activation(format.id(), parameters);
  }

  /** The grid of a line of a plan. */
  static ActivationGrid of(NumberFormat format, QuantPlan.Activation activation) {
    AffineDecode decode = affine(format).orElseThrow(() -> refused(format));
    BlockParameters parameters = BlockParameters.none();
    for (FormatField field : section(format).fields()) {
      Double value = activation.parameters().get(field.name());
      if (value == null) {
        throw new TersorException(
            "TSR-0411",
            "an activation in format '"
                + format.id()
                + "' needs field '"
                + field.name()
                + "'; the plan gives "
                + activation.parameters().keySet());
      }
      parameters = parameters.with(field.name(), value);
    }
    List<Tensor> buffers = new FormatCodec(format).blank(parameters, 1);
    float scale = (float) decode.scales(buffers, new long[] {1}).getDouble(0);
    long zero = decode.zeros(buffers, new long[] {1}).getLong(0);
    DType codes = decode.codeType();
    if (!(scale > 0)
        || !Float.isFinite(scale)
        || zero < codes.minValue()
        || zero > codes.maxValue()) {
      throw new TersorException(
          "TSR-0411",
          "activation parameters "
              + activation
              + " give scale "
              + scale
              + " and zero point "
              + zero
              + "; the scale must be positive and the zero point a code");
    }
    long least = format.code(-Float.MAX_VALUE, parameters);
    long largest = format.code(Float.MAX_VALUE, parameters);
    return new ActivationGrid(codes, scale, zero, least, largest);
  }

  /** How a format codes the numbers of a range. */
  static Calibrator.Codes codes(NumberFormat format) {
    ActivationGrid up = of(format, fit(format, 0, 1));
    ActivationGrid down = of(format, fit(format, -1, 0));
    return new Calibrator.Codes() {
      @Override
      public int count() {
        return Math.toIntExact(up.largest() - up.least() + 1);
      }

      @Override
      public boolean symmetric() {
        return up.zero() == down.zero();
      }

      @Override
      public java.util.function.DoubleUnaryOperator over(Calibrator.Range range) {
        ActivationGrid grid = of(format, fit(format, range.min(), range.max()));
        return grid::round;
      }
    };
  }

  /** The value of the nearest code. */
  double round(double x) {
    double code = Math.clamp(Math.rint(x / scale) + zero, (double) least, (double) largest);
    return (code - zero) * scale;
  }

  /** The scale as an operand. */
  Tensor scaleTensor() {
    return new Tensor(DType.F32, new long[0], new float[] {scale});
  }

  /** The zero point as an operand; its type is that of the codes. */
  Tensor zeroTensor() {
    Tensor operand = Tensor.zeros(codes);
    operand.setLong(0, zero);
    return operand;
  }

  /** Attributes of a quantizer. */
  Map<String, Attribute> limits() {
    return fillsType() ? Map.of() : FakeQuant.limits(least, largest);
  }

  /** What the least code stands for. */
  double lowest() {
    return (least - zero) * (double) scale;
  }

  /** What the largest code stands for. */
  double highest() {
    return (largest - zero) * (double) scale;
  }

  /** Whether every number of the type of codes is one. */
  boolean fillsType() {
    return least == codes.minValue() && largest == codes.maxValue();
  }

  private static Optional<AffineDecode> affine(NumberFormat format) {
    return AffineDecode.of(format.definition()).filter(d -> d.level() == FormatDef.Level.TENSOR);
  }

  private static FormatDef.Section section(NumberFormat format) {
    return affine(format)
        .flatMap(d -> format.definition().section(FormatDef.Level.TENSOR))
        .orElseThrow(() -> refused(format));
  }

  private static TersorException refused(NumberFormat format) {
    return new TersorException(
        "TSR-0416",
        "format '"
            + format.id()
            + "' cannot code activations: they are coded while the model runs, so decode must be"
            + " (code - zero) * scale with fields of the tensor and codes of 2 to 16 bits");
  }
}
