package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.OpContext;

/** What ai.onnx.ml does with a row of scores. */
enum PostTransform {
  NONE,
  SOFTMAX,
  LOGISTIC,
  /** Softmax of the scores that are not zero; those stay zero. */
  SOFTMAX_ZERO,
  /** sqrt 2 times the inverse error function of 2 x - 1. */
  PROBIT;

  static PostTransform of(OpContext c) {
    String name = c.stringAttr("post_transform", "NONE");
    for (PostTransform transform : values()) {
      if (transform.name().equals(name)) {
        return transform;
      }
    }
    throw c.error("TSR-0304", "post_transform '" + name + "' is not known");
  }

  /** In place. */
  void apply(double[] row) {
    double largest = Double.NEGATIVE_INFINITY;
    for (double x : row) {
      largest = Math.max(largest, x);
    }
    double sum = 0;
    for (double x : row) {
      sum += counts(x) ? Math.exp(x - largest) : 0;
    }
    for (int i = 0; i < row.length; i++) {
      double x = row[i];
      row[i] =
          switch (this) {
            case NONE -> x;
            case LOGISTIC -> 1 / (1 + Math.exp(-x));
            case SOFTMAX, SOFTMAX_ZERO -> counts(x) ? Math.exp(x - largest) / sum : x;
            case PROBIT -> Math.sqrt(2) * inverseErf(2 * x - 1);
          };
    }
  }

  private boolean counts(double x) {
    return this != SOFTMAX_ZERO || x != 0;
  }

  private static final double WINITZKI = 0.147;

  /** The approximation by Winitzki that everybody uses here. */
  private static double inverseErf(double x) {
    double log = Math.log((1 - x) * (1 + x));
    double a = 2 / (Math.PI * WINITZKI) + 0.5 * log;
    return Math.copySign(Math.sqrt(Math.sqrt(a * a - log / WINITZKI) - a), x);
  }

  /**
   * The transformed score at a point.
   *
   * @param score at {@code rows} and {@code column}
   */
  KExpr apply(KernelBuilder kernel, List<Axis> rows, Axis column, KExpr score) {
    KExpr zero = K.literal(score.scalar(), 0.0);
    return switch (this) {
      case NONE -> score;
      case LOGISTIC -> K.unary(UnaryOp.SIGMOID, score);
      case SOFTMAX, SOFTMAX_ZERO -> {
        Reduction reduction = new Reduction(kernel, rows, List.of(column));
        KExpr largest = reduction.reduce("score_max", ReduceOp.MAX, score);
        KExpr power = K.unary(UnaryOp.EXP, K.sub(score, largest));
        KExpr counts = this == SOFTMAX ? K.bool(true) : K.ne(score, zero);
        KExpr sum = reduction.sum("score_sum", K.select(counts, power, zero));
        yield K.select(counts, K.div(power, sum), score);
      }
      // Near 0 it is a difference of nearly equal numbers.
      case PROBIT -> K.cast(score.scalar(), probit(K.cast(Scalar.F64, score)));
    };
  }

  private static KExpr probit(KExpr p) {
    KExpr two = K.literal(p.scalar(), 2.0);
    KExpr one = K.literal(p.scalar(), 1.0);
    KExpr x = K.sub(K.mul(two, p), one);
    KExpr log = K.unary(UnaryOp.LOG, K.mul(K.sub(one, x), K.add(one, x)));
    KExpr a =
        K.add(
            K.literal(p.scalar(), 2 / (Math.PI * WINITZKI)),
            K.mul(K.literal(p.scalar(), 0.5), log));
    KExpr inner =
        K.unary(UnaryOp.SQRT, K.sub(K.mul(a, a), K.div(log, K.literal(p.scalar(), WINITZKI))));
    KExpr size = K.unary(UnaryOp.SQRT, K.sub(inner, a));
    KExpr signed = K.select(K.lt(x, K.literal(p.scalar(), 0.0)), K.neg(size), size);
    return K.mul(K.literal(p.scalar(), Math.sqrt(2)), signed);
  }
}
