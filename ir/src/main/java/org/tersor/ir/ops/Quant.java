package org.tersor.ir.ops;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.op.EvalContext;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.ir.op.OpContext;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Minifloat;
import org.tersor.runtime.Tensor;

/**
 * Arithmetic that the quantized operators share. Requantisation is in float32 in the order that
 * ONNX Runtime uses: the scales are combined first, the accumulator is converted and multiplied,
 * the product is rounded half to even, the zero point is added and the result saturates.
 */
final class Quant {
  private Quant() {}

  /** Whether an operand is one number: rank 0, or one element in one dimension. */
  static boolean isScalar(OpContext c, int index) {
    return c.dims(index).isEmpty() || (c.rank(index) == 1 && c.dims(index).getFirst().isConst(1));
  }

  /** Index into a scale or zero point that is one number or has one element per {@code channel}. */
  static List<KExpr> perChannel(OpContext c, int index, KExpr channel) {
    if (c.rank(index) > 1) {
      throw c.error("TSR-0303", "input " + index + " must be a scalar or of rank 1");
    }
    return c.dims(index).isEmpty() ? List.of() : List.of(isScalar(c, index) ? K.index(0) : channel);
  }

  /** Position in a scale or zero point that is one number or has one element per channel. */
  static int at(Tensor tensor, int channel) {
    return tensor.size() == 1 ? 0 : channel;
  }

  /** A float32 scale. */
  static KExpr scale(KernelBuilder kernel, int index, List<KExpr> at) {
    return K.cast(Scalar.F32, K.at(kernel.in(index), at));
  }

  /** A zero point as int32; a literal 0 where it is absent or known to be 0 everywhere. */
  static KExpr zero(KernelBuilder kernel, OpContext c, int index, List<KExpr> at) {
    return isZero(c, index) ? K.i32(0) : K.cast(Scalar.I32, K.at(kernel.in(index), at));
  }

  static boolean isZero(OpContext c, int index) {
    if (!c.hasInput(index)) {
      return true;
    }
    Optional<Tensor> known = c.constant(index);
    return known.isPresent() && known.get().dtype().isInteger() && allZero(known.get());
  }

  private static boolean allZero(Tensor tensor) {
    for (int i = 0; i < tensor.size(); i++) {
      if (tensor.getLong(i) != 0) {
        return false;
      }
    }
    return true;
  }

  /** {@code i32(value) - zero}. */
  static KExpr centered(KExpr value, KExpr zero) {
    return K.sub(K.cast(Scalar.I32, value), zero);
  }

  /** Rounds half to even, adds the int32 zero point, saturates, converts. */
  static KExpr saturated(DType type, KExpr value, KExpr zero) {
    KExpr rounded = K.unary(UnaryOp.RINT, value);
    KExpr moved = isLiteralZero(zero) ? rounded : K.add(rounded, K.cast(Scalar.F32, zero));
    return clamped(type, moved);
  }

  private static boolean isLiteralZero(KExpr zero) {
    return zero instanceof KExpr.IntLit literal && literal.value() == 0;
  }

  /** A whole float32 number as an integer type, saturating. */
  static KExpr clamped(DType type, KExpr value) {
    KExpr low = K.max(value, K.f32((double) type.minValue()));
    return K.castInRange(Scalar.of(type), K.min(low, K.f32((double) type.maxValue())));
  }

  /** {@code rint(value) + zero}, saturated. */
  static long saturate(DType type, double value, long zero) {
    double moved = Math.rint(value) + zero;
    return (long) Math.max((double) type.minValue(), Math.min((double) type.maxValue(), moved));
  }

  /** A float as a small float type. */
  static int encode(DType type, double value, boolean saturate) {
    return Minifloat.of(type).encode(value, saturate);
  }

  /** A zero point, 0 where it is absent. */
  static long zeroAt(EvalContext c, int index, int at) {
    return c.hasInput(index) ? c.input(index).getLong(at(c.input(index), at)) : 0;
  }

  static float scaleAt(EvalContext c, int index, int at) {
    return (float) c.input(index).getDouble(at(c.input(index), at));
  }

  /**
   * Output type of a quantizing operator: of its zero point, else as an attribute says, else u8.
   */
  static DType outputType(OpContext c, int zeroPoint) {
    if (c.hasInput(zeroPoint)) {
      return c.dtype(zeroPoint);
    }
    long code = c.intAttr("output_dtype", 0);
    return code == 0 ? DType.U8 : OnnxTypes.of(c, code);
  }

  /** All dimensions of {@code dims} but with {@code extent} at {@code axis}. */
  static List<DimExpr> with(List<DimExpr> dims, int axis, DimExpr extent) {
    List<DimExpr> changed = new java.util.ArrayList<>(dims);
    changed.set(axis, extent);
    return List.copyOf(changed);
  }
}
