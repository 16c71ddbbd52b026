package org.tersor.ir.ops;

import java.util.List;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.runtime.DType;

/**
 * Operands of convolutions of bytes, and what becomes of their int32 sums: the sums themselves, or
 * codes of another grid, saturate(rint(i32 sum * (sx * sw / sy)) + zy), with an int32 bias.
 *
 * @param requantised whether they become codes
 */
record IntegerSums(boolean requantised) {
  private static final int BIAS = 8;

  /** The operands and their types. */
  OpSchema.Builder schema(OpSchema.Builder schema) {
    OpSchema.Builder operands =
        requantised
            ? schema
                .input("x", "T1")
                .input("x_scale", "F")
                .input("x_zero_point", "T1")
                .input("w", "T2")
                .input("w_scale", "F")
                .input("w_zero_point", "T2")
                .input("y_scale", "F")
                .input("y_zero_point", "T3")
                .optional("B", "T4")
                .output("y", "T3")
                .types("F", Types.set(DType.F32))
                .types("T3", Types.set(DType.U8, DType.I8))
                .types("T4", Types.set(DType.I32))
            : schema
                .input("x", "T1")
                .input("w", "T2")
                .optional("x_zero_point", "T1")
                .optional("w_zero_point", "T2")
                .output("y", "T3")
                .types("T3", Types.set(DType.I32));
    return operands
        .types("T1", Types.set(DType.U8, DType.I8))
        .types("T2", Types.set(DType.U8, DType.I8))
        .tolerance(requantised ? OpSchema.Tolerance.ROUNDING : OpSchema.Tolerance.EXACT);
  }

  /** Index of the weight. */
  int w() {
    return requantised ? 3 : 1;
  }

  private int wZero() {
    return requantised ? 5 : 3;
  }

  /** Type of the results; scales and zero points must be numbers or vectors. */
  DType type(OpContext c) {
    for (int i = 1; i < c.inputCount(); i++) {
      if (i != w() && c.hasInput(i) && c.in(i).isRanked() && c.rank(i) > 1) {
        throw c.error("TSR-0303", "input " + i + " must be a scalar or of rank 1");
      }
    }
    return requantised ? c.dtype(7) : DType.I32;
  }

  /** Zero point of x. */
  long xZero(EvalContext c) {
    return Quant.zeroAt(c, 2, 0);
  }

  /** Zero point of the weights of a channel. */
  long wZero(EvalContext c, int channel) {
    return Quant.zeroAt(c, wZero(), channel);
  }

  /**
   * What becomes of a sum.
   *
   * @param output channel of the result
   * @param channel of the weight's scales
   */
  long result(EvalContext c, int sum, int output, int channel) {
    if (!requantised) {
      return sum;
    }
    int total = sum + (c.hasInput(BIAS) ? (int) c.input(BIAS).getLong(output) : 0);
    float scale = Quant.scaleAt(c, 1, 0) * Quant.scaleAt(c, 4, channel) / Quant.scaleAt(c, 6, 0);
    return Quant.saturate(c.dtype(7), (float) total * scale, c.input(7).getLong(0));
  }

  /** x without its zero point. */
  KExpr x(KernelBuilder kernel, OpContext c, List<KExpr> at) {
    return Quant.centered(K.at(kernel.in(0), at), zero(kernel, c, 2, K.index(0)));
  }

  /** A weight without its zero point. */
  KExpr w(KernelBuilder kernel, OpContext c, List<KExpr> at, KExpr channel) {
    return Quant.centered(K.at(kernel.in(w()), at), zero(kernel, c, wZero(), channel));
  }

  private static KExpr zero(KernelBuilder kernel, OpContext c, int index, KExpr channel) {
    return Quant.zero(
        kernel, c, index, c.hasInput(index) ? Quant.perChannel(c, index, channel) : List.of());
  }

  /** As {@link #result(EvalContext, int, int, int)}. */
  KExpr result(KernelBuilder kernel, OpContext c, KExpr sum, KExpr output, KExpr channel) {
    if (!requantised) {
      return sum;
    }
    KExpr total = c.hasInput(BIAS) ? K.add(sum, K.at(kernel.in(BIAS), output)) : sum;
    KExpr sx = Quant.scale(kernel, 1, Quant.perChannel(c, 1, K.index(0)));
    KExpr sw = Quant.scale(kernel, 4, Quant.perChannel(c, 4, channel));
    KExpr sy = Quant.scale(kernel, 6, Quant.perChannel(c, 6, K.index(0)));
    KExpr value = K.mul(K.cast(Scalar.F32, total), K.div(K.mul(sx, sw), sy));
    KExpr zy = Quant.zero(kernel, c, 7, Quant.perChannel(c, 7, K.index(0)));
    return Quant.saturated(c.dtype(7), value, zy);
  }
}
