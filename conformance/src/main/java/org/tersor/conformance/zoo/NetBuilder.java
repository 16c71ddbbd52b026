package org.tersor.conformance.zoo;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.conformance.SeededRandom;
import org.tersor.ir.graph.Attribute;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.Graph;
import org.tersor.ir.graph.GraphBuilder;
import org.tersor.ir.graph.Value;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Layers of image classifiers over a {@link GraphBuilder}. Weights are He-initialised, batch norm
 * statistics fit the activations. With {@code qdq} batch norms are folded, weights are int8 per
 * output channel, biases int32, and every activation that a quantized runtime would hold as
 * integers goes through QuantizeLinear and DequantizeLinear.
 */
final class NetBuilder {
  /** Activation after a layer. */
  enum Act {
    NONE,
    RELU,
    RELU6
  }

  /**
   * An activation [batch, channels, height, width] with its statistics; scale 0 if it is not
   * quantized.
   */
  record Layer(Value value, Moments moments, boolean positive, double scale) {}

  private static final float EPSILON = 1e-5f;

  private final GraphBuilder g = new GraphBuilder(Map.of("", 17), 0);
  private final SeededRandom random;
  private final Optional<DType> qdq;
  private int count;

  /**
   * @param qdq element type of quantized activations, I8 or U8
   */
  NetBuilder(long seed, Optional<DType> qdq) {
    this.random = new SeededRandom(seed);
    this.qdq = qdq;
  }

  Layer input(long... shape) {
    Value value = g.input("input", TensorType.of(DType.F32, shape));
    return quantized(value, Moments.normal((int) shape[1], 0, 1), false);
  }

  Layer conv(
      Layer x, int out, int kernel, int stride, int pad, int groups, boolean batchNorm, Act act) {
    int in = x.moments.mean().length / groups;
    String name = "conv" + ++count;
    int fan = in * kernel * kernel;
    float[] weights = normal(out * fan, StrictMath.sqrt(2.0 / fan));
    float[] bias = batchNorm ? new float[out] : normal(out, .05);
    Moments y = convolved(x.moments, weights, bias, out, in, kernel * kernel, groups);
    Map<String, Attribute> attributes =
        Map.of(
            "kernel_shape",
            ints(kernel, kernel),
            "strides",
            ints(stride, stride),
            "pads",
            ints(pad, pad, pad, pad),
            "dilations",
            ints(1, 1),
            "group",
            new Attribute.IntAttr(groups));
    long[] shape = {out, in, kernel, kernel};
    Value value;
    if (!batchNorm) {
      value =
          g.add(
              "Conv",
              attributes,
              x.value,
              weight(name, weights, shape, fan),
              bias(name, bias, x, weights, fan));
    } else {
      Norm norm = norm(y, out);
      y = new Moments(doubles(norm.beta), squares(norm.gamma));
      if (qdq.isPresent()) {
        float[] offset = norm.fold(weights, fan);
        value =
            g.add(
                "Conv",
                attributes,
                x.value,
                weight(name, weights, shape, fan),
                bias(name, offset, x, weights, fan));
      } else {
        value = g.add("Conv", attributes, x.value, weight(name, weights, shape, fan));
        value =
            g.add(
                "BatchNormalization",
                Map.of("epsilon", new Attribute.FloatAttr(EPSILON)),
                value,
                vector(name + ".gamma", norm.gamma),
                vector(name + ".beta", norm.beta),
                vector(name + ".mean", norm.mean),
                vector(name + ".var", norm.variance));
      }
    }
    return activate(value, y, act);
  }

  private Layer activate(Value value, Moments y, Act act) {
    return switch (act) {
      case NONE -> quantized(value, y, false);
      case RELU -> quantized(g.add("Relu", value), y.relu(), true);
      case RELU6 ->
          quantized(
              g.add("Clip", value, g.constant(scalar(0)), g.constant(scalar(6))), y.relu(), true);
    };
  }

  Layer add(Layer a, Layer b, Act act) {
    return activate(g.add("Add", a.value, b.value), a.moments.plus(b.moments), act);
  }

  Layer concat(Layer a, Layer b) {
    return quantized(
        g.add("Concat", Map.of("axis", new Attribute.IntAttr(1)), a.value, b.value),
        a.moments.concat(b.moments),
        a.positive && b.positive);
  }

  Layer maxPool(Layer x, int kernel, int stride, int pad, boolean ceil) {
    Map<String, Attribute> attributes =
        Map.of(
            "kernel_shape",
            ints(kernel, kernel),
            "strides",
            ints(stride, stride),
            "pads",
            ints(pad, pad, pad, pad),
            "ceil_mode",
            new Attribute.IntAttr(ceil ? 1 : 0));
    Value value = g.add("MaxPool", attributes, x.value);
    return qdq.isPresent()
        ? new Layer(again(value, x), x.moments.pooled(), x.positive, x.scale)
        : new Layer(value, x.moments.pooled(), x.positive, 0);
  }

  Layer globalAverage(Layer x) {
    Moments average =
        new Moments(
            x.moments.mean(), Arrays.stream(x.moments.variance()).map(v -> .05 * v).toArray());
    return quantized(g.add("GlobalAveragePool", x.value), average, x.positive);
  }

  Layer flatten(Layer x) {
    return new Layer(
        g.add("Flatten", Map.of("axis", new Attribute.IntAttr(1)), x.value),
        x.moments,
        x.positive,
        x.scale);
  }

  Layer linear(Layer x, int out) {
    int in = x.moments.mean().length;
    float[] weights = normal(out * in, StrictMath.sqrt(1.0 / in));
    float[] bias = normal(out, .02);
    Moments y = convolved(x.moments, weights, bias, out, in, 1, 1);
    Value value =
        g.add(
            "Gemm",
            Map.of("transB", new Attribute.IntAttr(1)),
            x.value,
            weight("fc", weights, new long[] {out, in}, in),
            bias("fc", bias, x, weights, in));
    return quantized(value, y, false);
  }

  Graph build(String name, Layer output) {
    Value last = g.value("output", org.tersor.ir.graph.ValueType.UNKNOWN);
    g.addNode("output", "", "Identity", Map.of(), List.of(output.value), List.of(last));
    g.output(last);
    return g.build(name, Map.of());
  }

  // --- weights ---

  private float[] normal(int n, double deviation) {
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) (deviation * random.nextGaussian());
    }
    return values;
  }

  /** What a convolution makes of independent channels. */
  private static Moments convolved(
      Moments x, float[] w, float[] bias, int out, int in, int area, int groups) {
    double[] mean = new double[out];
    double[] variance = new double[out];
    for (int o = 0; o < out; o++) {
      int first = o / (out / groups) * in;
      mean[o] = bias[o];
      for (int i = 0; i < in * area; i++) {
        double v = w[o * in * area + i];
        mean[o] += v * x.mean()[first + i / area];
        variance[o] += v * v * x.variance()[first + i / area];
      }
    }
    return new Moments(mean, variance);
  }

  /** Batch norm that brings an activation to about mean 0 and deviation 1. */
  private record Norm(float[] gamma, float[] beta, float[] mean, float[] variance) {
    /** Scales the weights, gives the bias. */
    float[] fold(float[] weights, int fan) {
      float[] bias = new float[gamma.length];
      for (int o = 0; o < bias.length; o++) {
        float factor = (float) (gamma[o] / Math.sqrt(variance[o] + EPSILON));
        for (int i = o * fan; i < (o + 1) * fan; i++) {
          weights[i] *= factor;
        }
        bias[o] = beta[o] - mean[o] * factor;
      }
      return bias;
    }
  }

  private Norm norm(Moments y, int out) {
    Norm norm = new Norm(new float[out], new float[out], new float[out], new float[out]);
    for (int o = 0; o < out; o++) {
      norm.gamma[o] = (float) random.uniform(.6, 1.2);
      norm.beta[o] = (float) (.2 * random.nextGaussian());
      norm.mean[o] = (float) y.mean()[o];
      norm.variance[o] = (float) (y.variance()[o] * random.uniform(.8, 1.25));
    }
    return norm;
  }

  private Value weight(String name, float[] weights, long[] shape, int fan) {
    if (qdq.isEmpty()) {
      return g.constant(name + ".weight", Constant.of(Tensor.of(weights, shape)));
    }
    byte[] codes = new byte[weights.length];
    float[] scales = scales(weights, fan);
    for (int i = 0; i < codes.length; i++) {
      codes[i] = (byte) Math.max(-127, Math.min(127, Math.rint(weights[i] / scales[i / fan])));
    }
    Value q = g.constant(name + ".weight_q", Constant.of(new Tensor(DType.I8, shape, codes)));
    Value zero =
        g.constant(name + ".weight_zp", Constant.of(Tensor.zeros(DType.I8, scales.length)));
    return g.add(
        "DequantizeLinear",
        Map.of("axis", new Attribute.IntAttr(0)),
        q,
        vector(name + ".weight_scale", scales),
        zero);
  }

  private static float[] scales(float[] weights, int fan) {
    float[] scales = new float[weights.length / fan];
    for (int i = 0; i < weights.length; i++) {
      scales[i / fan] = Math.max(scales[i / fan], Math.max(1e-8f, Math.abs(weights[i]) / 127));
    }
    return scales;
  }

  private Value bias(String name, float[] bias, Layer x, float[] weights, int fan) {
    if (qdq.isEmpty()) {
      return vector(name + ".bias", bias);
    }
    float[] scales = scales(weights, fan);
    int[] codes = new int[bias.length];
    for (int o = 0; o < codes.length; o++) {
      scales[o] *= (float) x.scale;
      codes[o] = (int) Math.rint(bias[o] / (double) scales[o]);
    }
    Value q = g.constant(name + ".bias_q", Constant.of(Tensor.of(codes, codes.length)));
    Value zero = g.constant(name + ".bias_zp", Constant.of(Tensor.zeros(DType.I32, codes.length)));
    return g.add(
        "DequantizeLinear",
        Map.of("axis", new Attribute.IntAttr(0)),
        q,
        vector(name + ".bias_scale", scales),
        zero);
  }

  // --- activations ---

  /**
   * Through a Q and DQ pair, if that is wanted: positive ones use all codes, others lie around the
   * middle.
   */
  private Layer quantized(Value value, Moments moments, boolean positive) {
    if (qdq.isEmpty()) {
      return new Layer(value, moments, positive, 0);
    }
    double scale = (float) (moments.bound() / (positive ? 255 : 127));
    return new Layer(pair(value, scale, positive), moments, positive, scale);
  }

  private Value again(Value value, Layer like) {
    return pair(value, like.scale, like.positive);
  }

  private Value pair(Value value, double scale, boolean positive) {
    DType dtype = qdq.orElseThrow();
    long zero = dtype == DType.U8 ? (positive ? 0 : 128) : positive ? -128 : 0;
    Tensor zeroPoint = Tensor.zeros(dtype);
    zeroPoint.setLong(0, zero);
    Value s = g.constant(scalar((float) scale));
    Value z = g.constant(zeroPoint);
    return g.add("DequantizeLinear", g.add("QuantizeLinear", value, s, z), s, z);
  }

  private Value vector(String name, float[] values) {
    return g.constant(name, Constant.of(Tensor.of(values, values.length)));
  }

  private static Tensor scalar(float value) {
    return Tensor.of(new float[] {value});
  }

  private static double[] doubles(float[] values) {
    double[] result = new double[values.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = values[i];
    }
    return result;
  }

  private static double[] squares(float[] values) {
    return Arrays.stream(doubles(values)).map(v -> v * v).toArray();
  }

  private static Attribute ints(long... values) {
    List<Long> list = new ArrayList<>();
    for (long value : values) {
      list.add(value);
    }
    return new Attribute.IntsAttr(list);
  }
}
