package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.Tensor;

/**
 * com.microsoft Gelu x / 2 * (1 + erf(x / sqrt 2)), BiasGelu (of A + B, B along the last
 * dimension), FastGelu (by tanh, optional bias), QuickGelu x * sigmoid(alpha * x).
 */
final class Gelu extends OpBase {
  private static final double ROOT_2_PI = Math.sqrt(2 / Math.PI);
  private static final double CUBIC = 0.044715;

  enum Kind {
    GELU("Gelu"),
    BIAS_GELU("BiasGelu"),
    FAST_GELU("FastGelu"),
    QUICK_GELU("QuickGelu");

    private final String operator;

    Kind(String operator) {
      this.operator = operator;
    }
  }

  private final Kind kind;

  Gelu(Kind kind) {
    super(schema(kind));
    this.kind = kind;
  }

  private static OpSchema.Builder schema(Kind kind) {
    OpSchema.Builder schema =
        OpSchema.of("com.microsoft", kind.operator, 1)
            .input("X", "T")
            .output("Y", "T")
            .types("T", Types.FLOATS);
    return switch (kind) {
      case GELU -> schema;
      case BIAS_GELU -> schema.input("B", "T").sample("X[d*0-2 n]; B[n]");
      case FAST_GELU -> schema.optional("bias", "T").sample("X[d*0-2 n]; bias[n]");
      case QUICK_GELU -> schema.attribute("alpha", AttributeKind.FLOAT);
    };
  }

  private static double alpha(OpContext c) {
    return c.floatAttr("alpha", 1.702f);
  }

  @Override
  List<? extends ValueType> types(OpContext c) {
    return List.of(c.in(0));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor x = c.input(0);
    Tensor y = Shapes.allocate(c, x.dtype(), x.shape());
    for (int i = 0; i < x.size(); i++) {
      double v = x.getDouble(i) + (c.hasInput(1) ? c.input(1).getDouble(i % c.input(1).size()) : 0);
      y.setDouble(
          i,
          switch (kind) {
            case GELU, BIAS_GELU -> v / 2 * (1 + RealMath.erf(v / Math.sqrt(2)));
            case FAST_GELU -> v / 2 * (1 + Math.tanh(ROOT_2_PI * (v + CUBIC * v * v * v)));
            case QUICK_GELU -> v / (1 + Math.exp(-alpha(c) * v));
          });
    }
    return List.of(y);
  }

  @Override
  Lowering code(OpContext c) {
    KernelBuilder kernel = new KernelBuilder(this, c);
    List<Axis> axes = Shapes.axes(c.dims(0));
    KExpr x = kernel.value(0, Shapes.refs(axes));
    if (c.hasInput(1)) {
      x = K.add(x, kernel.value(1, Shapes.index(c.dims(1), c.dims(0), axes)));
    }
    Scalar type = x.scalar();
    KExpr half = K.mul(x, K.literal(type, 0.5));
    KExpr one = K.literal(type, 1.0);
    KExpr value =
        switch (kind) {
          case GELU, BIAS_GELU ->
              K.mul(
                  half,
                  K.add(one, K.unary(UnaryOp.ERF, K.mul(x, K.literal(type, Math.sqrt(0.5))))));
          case FAST_GELU -> {
            KExpr cubic =
                K.add(
                    K.literal(type, ROOT_2_PI),
                    K.mul(K.literal(type, ROOT_2_PI * CUBIC), K.mul(x, x)));
            yield K.mul(half, K.add(one, K.unary(UnaryOp.TANH, K.mul(x, cubic))));
          }
          case QUICK_GELU ->
              K.mul(x, K.unary(UnaryOp.SIGMOID, K.mul(x, K.literal(type, alpha(c)))));
        };
    kernel.stage(kernel.out(0), axes, value);
    return kernel.build();
  }
}
