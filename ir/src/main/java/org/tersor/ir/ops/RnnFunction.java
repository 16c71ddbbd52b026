package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.OpContext;

/**
 * An activation of a recurrent operator.
 *
 * @param a alpha, where the function has one
 * @param b beta, where the function has one
 */
record RnnFunction(Kind kind, double a, double b) {

  enum Kind {
    SIGMOID(Double.NaN, Double.NaN),
    TANH(Double.NaN, Double.NaN),
    RELU(Double.NaN, Double.NaN),
    SOFTSIGN(Double.NaN, Double.NaN),
    SOFTPLUS(Double.NaN, Double.NaN),
    LEAKYRELU(0.01, Double.NaN),
    THRESHOLDEDRELU(1, Double.NaN),
    ELU(1, Double.NaN),
    AFFINE(1, 0),
    SCALEDTANH(1, 1),
    HARDSIGMOID(0.2, 0.5);

    private final double alpha;
    private final double beta;

    /** Defaults of the parameters; NaN: the function has none. */
    Kind(double alpha, double beta) {
      this.alpha = alpha;
      this.beta = beta;
    }
  }

  /**
   * {@code count} functions from the attributes activations, activation_alpha and activation_beta.
   */
  static List<RnnFunction> of(OpContext c, List<Kind> defaults, int directions) {
    List<String> names = c.stringsAttr("activations").orElse(List.of());
    List<Float> alphas = c.floatsAttr("activation_alpha").orElse(List.of());
    List<Float> betas = c.floatsAttr("activation_beta").orElse(List.of());
    int count = defaults.size() * directions;
    if (!names.isEmpty() && names.size() != count) {
      throw c.error("TSR-0304", "activations must have " + count + " names");
    }
    List<RnnFunction> functions = new ArrayList<>();
    int nextAlpha = 0;
    int nextBeta = 0;
    for (int i = 0; i < count; i++) {
      Kind kind = names.isEmpty() ? defaults.get(i % defaults.size()) : kind(c, names.get(i));
      boolean hasAlpha = !Double.isNaN(kind.alpha);
      boolean hasBeta = !Double.isNaN(kind.beta);
      double a = hasAlpha && nextAlpha < alphas.size() ? alphas.get(nextAlpha++) : kind.alpha;
      double b = hasBeta && nextBeta < betas.size() ? betas.get(nextBeta++) : kind.beta;
      functions.add(new RnnFunction(kind, a, b));
    }
    return functions;
  }

  private static Kind kind(OpContext c, String name) {
    for (Kind kind : Kind.values()) {
      if (kind.name().equals(name.toUpperCase(Locale.ROOT))) {
        return kind;
      }
    }
    throw c.error("TSR-0304", "activation '" + name + "' is not known");
  }

  double apply(double x) {
    return switch (kind) {
      case SIGMOID -> 1 / (1 + Math.exp(-x));
      case TANH -> Math.tanh(x);
      case RELU -> Math.max(x, 0);
      case SOFTSIGN -> x / (1 + Math.abs(x));
      case SOFTPLUS -> Math.log1p(Math.exp(-Math.abs(x))) + Math.max(x, 0);
      case LEAKYRELU -> x >= 0 ? x : a * x;
      case THRESHOLDEDRELU -> x > a ? x : 0;
      case ELU -> x >= 0 ? x : a * Math.expm1(x);
      case AFFINE -> a * x + b;
      case SCALEDTANH -> a * Math.tanh(b * x);
      case HARDSIGMOID -> Math.max(0, Math.min(1, a * x + b));
    };
  }

  KExpr apply(KExpr x) {
    KExpr zero = number(x, 0);
    KExpr one = number(x, 1);
    return switch (kind) {
      case SIGMOID -> K.unary(UnaryOp.SIGMOID, x);
      case TANH -> K.unary(UnaryOp.TANH, x);
      case RELU -> K.max(x, zero);
      case SOFTSIGN -> K.div(x, K.add(one, K.unary(UnaryOp.ABS, x)));
      case SOFTPLUS -> {
        KExpr small = K.unary(UnaryOp.EXP, K.neg(K.unary(UnaryOp.ABS, x)));
        yield K.add(K.unary(UnaryOp.LOG1P, small), K.max(x, zero));
      }
      case LEAKYRELU -> K.select(K.ge(x, zero), x, K.mul(number(x, a), x));
      case THRESHOLDEDRELU -> K.select(K.gt(x, number(x, a)), x, zero);
      case ELU -> K.select(K.ge(x, zero), x, K.mul(number(x, a), K.unary(UnaryOp.EXPM1, x)));
      case AFFINE -> K.add(K.mul(number(x, a), x), number(x, b));
      case SCALEDTANH -> K.mul(number(x, a), K.unary(UnaryOp.TANH, K.mul(number(x, b), x)));
      case HARDSIGMOID -> K.max(zero, K.min(one, K.add(K.mul(number(x, a), x), number(x, b))));
    };
  }

  private static KExpr number(KExpr like, double value) {
    return K.literal(like.scalar(), value);
  }
}
