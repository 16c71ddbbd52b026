package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;

/**
 * The function at the end of a fused com.microsoft operator.
 *
 * @param kind which
 * @param a first parameter
 * @param b second parameter
 */
record Activation(Kind kind, double a, double b) {

  enum Kind {
    NONE,
    RELU,
    TANH,
    SIGMOID,
    /** a is the slope below 0. */
    LEAKY_RELU,
    /** Between a and b. */
    CLIP,
    /** max(0, min(1, a * x + b)). */
    HARD_SIGMOID
  }

  static final Activation NONE = new Activation(Kind.NONE, 0, 0);

  static OpSchema.Builder attributes(OpSchema.Builder schema) {
    return schema
        .attribute("activation", AttributeKind.STRING)
        .attribute("activation_params", AttributeKind.FLOATS)
        .attribute("activation_alpha", AttributeKind.FLOAT)
        .attribute("activation_beta", AttributeKind.FLOAT)
        .attribute("activation_gamma", AttributeKind.FLOAT);
  }

  /** Of FusedConv: parameters in activation_params. */
  static Activation ofConv(OpContext c) {
    List<Float> p = c.floatsAttr("activation_params").orElse(List.of());
    return of(c, p.size() > 0 ? p.get(0) : Float.NaN, p.size() > 1 ? p.get(1) : Float.NaN);
  }

  /** Of FusedGemm: parameters in activation_alpha and activation_beta. */
  static Activation ofGemm(OpContext c) {
    return of(
        c, c.floatAttr("activation_alpha", Float.NaN), c.floatAttr("activation_beta", Float.NaN));
  }

  private static Activation of(OpContext c, float a, float b) {
    String name = c.stringAttr("activation", "");
    return switch (name) {
      case "" -> NONE;
      case "Relu" -> new Activation(Kind.RELU, 0, 0);
      case "Tanh" -> new Activation(Kind.TANH, 0, 0);
      case "Sigmoid" -> new Activation(Kind.SIGMOID, 0, 0);
      case "LeakyRelu" -> new Activation(Kind.LEAKY_RELU, or(a, 0.01f), 0);
      case "Clip" -> new Activation(Kind.CLIP, or(a, -Float.MAX_VALUE), or(b, Float.MAX_VALUE));
      case "HardSigmoid" -> new Activation(Kind.HARD_SIGMOID, or(a, 0.2f), or(b, 0.5f));
      default -> throw c.error("TSR-0304", "activation '" + name + "' is not known");
    };
  }

  private static float or(float value, float otherwise) {
    return Float.isNaN(value) ? otherwise : value;
  }

  double apply(double x) {
    return switch (kind) {
      case NONE -> x;
      case RELU -> Math.max(x, 0);
      case TANH -> Math.tanh(x);
      case SIGMOID -> 1 / (1 + Math.exp(-x));
      case LEAKY_RELU -> x >= 0 ? x : a * x;
      case CLIP -> Math.min(Math.max(x, a), b);
      case HARD_SIGMOID -> Math.max(0, Math.min(1, a * x + b));
    };
  }

  KExpr apply(KExpr x) {
    return switch (kind) {
      case NONE -> x;
      case RELU -> K.max(x, number(x, 0));
      case TANH -> K.unary(UnaryOp.TANH, x);
      case SIGMOID -> K.unary(UnaryOp.SIGMOID, x);
      case LEAKY_RELU -> K.select(K.ge(x, number(x, 0)), x, K.mul(number(x, a), x));
      case CLIP -> K.min(K.max(x, number(x, a)), number(x, b));
      case HARD_SIGMOID ->
          K.max(number(x, 0), K.min(number(x, 1), K.add(K.mul(number(x, a), x), number(x, b))));
    };
  }

  private static KExpr number(KExpr like, double value) {
    return K.literal(like.scalar(), value);
  }
}
