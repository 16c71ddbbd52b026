package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * com.microsoft QLinearSigmoid, QLinearLeakyRelu and QLinearSoftmax: dequantize, apply the function
 * in float32, quantize. QLinearSoftmax names the opset whose Softmax it means.
 */
final class QLinearActivation extends OpBase {
  enum Kind {
    SIGMOID("QLinearSigmoid"),
    LEAKY_RELU("QLinearLeakyRelu"),
    SOFTMAX("QLinearSoftmax");

    private final String operator;

    Kind(String operator) {
      this.operator = operator;
    }
  }

  private final Kind kind;

  QLinearActivation(Kind kind) {
    super(schema(kind));
    this.kind = kind;
  }

  private static final String QUANTIZED =
      "X_scale[]=positive; X_zero_point![]; Y_scale[]=positive; Y_zero_point![]";

  private static OpSchema.Builder schema(Kind kind) {
    OpSchema.Builder schema = OpSchema.of("com.microsoft", kind.operator, 1);
    switch (kind) {
      case SIGMOID -> schema.sample("X[d*]; " + QUANTIZED);
      case LEAKY_RELU ->
          schema
              .attribute("alpha", AttributeKind.FLOAT)
              .sample("X[d*]; alpha=0.01..0.5; " + QUANTIZED);
      case SOFTMAX ->
          schema
              .attribute("axis", AttributeKind.INT)
              .attribute("opset", AttributeKind.INT)
              .sample(
                  "X[n d*0-3]; axis!=axis(X); opset!=13; X_scale[]=positive; X_zero_point![];"
                      + " Y_scale[]=0.00390625; Y_zero_point![]=0");
    }
    return schema
        .input("X", "T")
        .input("X_scale", "F")
        .optional("X_zero_point", "T")
        .input("Y_scale", "F")
        .optional("Y_zero_point", "T")
        .output("Y", "T")
        .types("T", Types.set(DType.U8, DType.I8))
        .types("F", Types.set(DType.F32));
  }

  private static int[] range(OpContext c) {
    return Softmax.range(c, c.rank(0), (int) c.intAttr("opset", 13));
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(c.in(0));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), x.shape());
    float sx = Quant.scaleAt(c, 1, 0);
    float sy = Quant.scaleAt(c, 3, 0);
    long zx = Quant.zeroAt(c, 2, 0);
    long zy = Quant.zeroAt(c, 4, 0);
    double[] values = new double[x.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (x.getLong(i) - zx) * sx;
    }
    switch (kind) {
      case SIGMOID -> java.util.Arrays.setAll(values, i -> 1 / (1 + Math.exp(-values[i])));
      case LEAKY_RELU ->
          java.util.Arrays.setAll(
              values, i -> values[i] >= 0 ? values[i] : c.floatAttr("alpha", 0.01f) * values[i]);
      case SOFTMAX -> softmax(values, x.shape(), range(c));
    }
    for (int i = 0; i < values.length; i++) {
      y.setLong(i, Quant.saturate(y.dtype(), (float) values[i] / sy, zy));
    }
    return List.of(y);
  }

  private static void softmax(double[] values, long[] shape, int[] range) {
    int inner = 1;
    for (int d = range[1]; d < shape.length; d++) {
      inner *= (int) shape[d];
    }
    int n = 1;
    for (int d = range[0]; d < range[1]; d++) {
      n *= (int) shape[d];
    }
    for (int i = 0; i < values.length; i++) {
      if (i / inner % n != 0) {
        continue;
      }
      double max = Double.NEGATIVE_INFINITY;
      for (int k = 0; k < n; k++) {
        max = Math.max(max, values[i + k * inner]);
      }
      double sum = 0;
      for (int k = 0; k < n; k++) {
        values[i + k * inner] = Math.exp(values[i + k * inner] - max);
        sum += values[i + k * inner];
      }
      for (int k = 0; k < n; k++) {
        values[i + k * inner] /= sum;
      }
    }
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    KExpr code = K.at(kernel.in(0), Shapes.refs(axes));
    KExpr sx = kernel.scalar(1, Scalar.F32);
    KExpr x = K.mul(K.cast(Scalar.F32, Quant.centered(code, QLinearBinary.zero(kernel, c, 2))), sx);
    KExpr value =
        switch (kind) {
          case SIGMOID -> new Activation(Activation.Kind.SIGMOID, 0, 0).apply(x);
          case LEAKY_RELU ->
              new Activation(Activation.Kind.LEAKY_RELU, c.floatAttr("alpha", 0.01f), 0).apply(x);
          case SOFTMAX -> {
            Reduction r = Reduction.over(kernel, axes, range(c)[0], range(c)[1]);
            // Codes are compared, not values: the same maximum, exactly.
            KExpr max =
                r.reduce("largest", org.tersor.ir.loop.ReduceOp.MAX, K.cast(Scalar.I32, code));
            KExpr shifted = K.mul(K.cast(Scalar.F32, K.sub(K.cast(Scalar.I32, code), max)), sx);
            yield Softmax.share(kernel, r, axes, shifted);
          }
        };
    KExpr scaled = K.div(value, kernel.scalar(3, Scalar.F32));
    kernel.stage(
        kernel.out(0), axes, Quant.saturated(c.dtype(0), scaled, QLinearBinary.zero(kernel, c, 4)));
    return kernel.build();
  }
}
