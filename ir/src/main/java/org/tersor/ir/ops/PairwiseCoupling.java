package org.tersor.ir.ops;

import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.OpKey;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.Lowering;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;

/**
 * Probabilities of classes [N, K] from scores of their pairs [N, P] (T.-F. Wu, C.-J. Lin, R. C.
 * Weng, "Probability estimates for multi-class classification by pairwise coupling", second
 * method): each score becomes the probability 1 / (1 + exp(a s + b)) that the pair's first class is
 * the right one, and those are reconciled step by step, at most {@code max(100, K)} times.
 */
final class PairwiseCoupling extends OpBase {
  static final String NAME = "pairwise_coupling";

  /** Distance of a probability from 0 and 1. */
  private static final double LEAST = 1e-7;

  /** Over the number of classes: largest error at which it ends. */
  private static final double ERROR = 0.005;

  private static final int ROUNDS = 100;

  private static final String TEXT =
      """
      kernel coupling(in0: f32, in1: f32, out0: mut f32, q: mut f64, r: mut f64, p: mut f64,
          qp: mut f64; rows, k, pairs, rounds) {
        for n in 0..rows {
          local pair = 0;
          for i in 0..k {
            for j in i + 1..k {
              let line = f64(in0[n * pairs + pair]) * f64(in1[pair]) + f64(in1[pairs + pair]);
              let first = min(max(sigmoid(-line), $LEAST$_f64), 1 - $LEAST$_f64);
              r[i * k + j] = first;
              r[j * k + i] = 1 - first;
              pair = pair + 1;
            }
          }
          for t in 0..k {
            p[t] = 1.0_f64 / f64(k);
            local sum = 0.0_f64;
            for j in 0..k {
              if j != t {
                sum = sum + r[j * k + t] * r[j * k + t];
                q[t * k + j] = -(r[j * k + t] * r[t * k + j]);
              }
            }
            q[t * k + t] = sum;
          }
          local round = 0;
          while round < rounds {
            local total = 0.0_f64;
            for t in 0..k {
              local sum = 0.0_f64;
              for j in 0..k {
                sum = sum + q[t * k + j] * p[j];
              }
              qp[t] = sum;
              total = total + p[t] * sum;
            }
            local error = 0.0_f64;
            for t in 0..k {
              error = max(error, abs(qp[t] - total));
            }
            round = select(error < $ERROR$_f64 / f64(k), rounds, round + 1);
            if error >= $ERROR$_f64 / f64(k) {
              for t in 0..k {
                let diff = (total - qp[t]) / q[t * k + t];
                let scale = 1 + diff;
                p[t] = p[t] + diff;
                total = (total + diff * (diff * q[t * k + t] + 2 * qp[t])) / scale / scale;
                for j in 0..k {
                  qp[j] = (qp[j] + diff * q[t * k + j]) / scale;
                  p[j] = p[j] / scale;
                }
              }
            }
          }
          for t in 0..k {
            out0[n * k + t] = f32(p[t]);
          }
        }
      }
      """;

  PairwiseCoupling() {
    super(
        OpSchema.of(OpKey.TERSOR, NAME, 1)
            .input("scores", "F")
            .input("lines", "F")
            .output("probabilities", "F")
            .types("F", Types.set(DType.F32))
            .required("classes", AttributeKind.INT)
            .tolerance(OpSchema.Tolerance.ACCUMULATION));
  }

  private static int classes(OpContext c) {
    return (int) c.intAttr("classes", 0);
  }

  @Override
  List<ValueType> types(OpContext c) {
    return List.of(TensorType.of(DType.F32, List.of(c.dims(0).getFirst(), DimExpr.of(classes(c)))));
  }

  @Override
  List<Tensor> values(EvalContext c) {
    Tensor scores = c.input(0);
    int rows = (int) scores.shape()[0];
    int pairs = (int) scores.shape()[1];
    int k = classes(c);
    Tensor out = Shapes.allocate(c, DType.F32, rows, k);
    for (int n = 0; n < rows; n++) {
      double[] own = new double[pairs];
      for (int i = 0; i < pairs; i++) {
        own[i] =
            scores.getDouble(n * pairs + i) * c.input(1).getDouble(i)
                + c.input(1).getDouble(pairs + i);
      }
      double[] p = of(own, k);
      for (int t = 0; t < k; t++) {
        out.setDouble(n * k + t, p[t]);
      }
    }
    return List.of(out);
  }

  /**
   * @param lines a s + b of each pair (0, 1), (0, 2), ..., (1, 2), ...
   */
  static double[] of(double[] lines, int k) {
    double[][] r = new double[k][k];
    int pair = 0;
    for (int i = 0; i < k; i++) {
      for (int j = i + 1; j < k; j++) {
        r[i][j] = Math.clamp(1 / (1 + Math.exp(lines[pair++])), LEAST, 1 - LEAST);
        r[j][i] = 1 - r[i][j];
      }
    }
    double[][] q = new double[k][k];
    double[] p = new double[k];
    for (int t = 0; t < k; t++) {
      p[t] = 1.0 / k;
      for (int j = 0; j < k; j++) {
        if (j != t) {
          q[t][t] += r[j][t] * r[j][t];
          q[t][j] = -r[j][t] * r[t][j];
        }
      }
    }
    double[] qp = new double[k];
    for (int round = 0; round < Math.max(ROUNDS, k); round++) {
      double total = 0;
      for (int t = 0; t < k; t++) {
        qp[t] = 0;
        for (int j = 0; j < k; j++) {
          qp[t] += q[t][j] * p[j];
        }
        total += p[t] * qp[t];
      }
      double error = 0;
      for (int t = 0; t < k; t++) {
        error = Math.max(error, Math.abs(qp[t] - total));
      }
      if (error < ERROR / k) {
        break;
      }
      for (int t = 0; t < k; t++) {
        double diff = (total - qp[t]) / q[t][t];
        p[t] += diff;
        total = (total + diff * (diff * q[t][t] + 2 * qp[t])) / (1 + diff) / (1 + diff);
        for (int j = 0; j < k; j++) {
          qp[j] = (qp[j] + diff * q[t][j]) / (1 + diff);
          p[j] /= 1 + diff;
        }
      }
    }
    return p;
  }

  @Override
  Lowering code(OpContext c) {
    int k = classes(c);
    DimExpr square = DimExpr.of((long) k * k);
    DimExpr line = DimExpr.of(k);
    return LoopText.compute(
        List.of(in(c, 0), in(c, 1)),
        List.of(out(c, 0, outType(c, 0))),
        List.of(
            new Buf("q", Scalar.F64, List.of(square)),
            new Buf("r", Scalar.F64, List.of(square)),
            new Buf("p", Scalar.F64, List.of(line)),
            new Buf("qp", Scalar.F64, List.of(line))),
        TEXT,
        List.of(c.dims(0).getFirst(), line, c.dims(0).get(1), DimExpr.of(Math.max(ROUNDS, k))),
        Map.of("LEAST", Double.toString(LEAST), "ERROR", Double.toString(ERROR)));
  }
}
