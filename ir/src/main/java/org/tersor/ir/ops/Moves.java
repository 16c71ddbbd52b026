package org.tersor.ir.ops;

import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * Kernel expressions that move elements without looking at them, of types without arithmetic, too.
 */
final class Moves {
  private Moves() {}

  /**
   * {@code condition ? then : otherwise}; types that may only be moved are chosen by their bits.
   */
  static KExpr select(KExpr condition, KExpr then, KExpr otherwise) {
    Scalar type = then.scalar();
    return hasArithmetic(type)
        ? K.select(condition, then, otherwise)
        : narrow(type, K.select(condition, wide(then), wide(otherwise)));
  }

  static boolean hasArithmetic(Scalar type) {
    return switch (type) {
      case I32, U32, I64, U64, F32, F64, INDEX -> true;
      default -> false;
    };
  }

  private static KExpr wide(KExpr e) {
    if (e.scalar().isSmallFloat()) {
      return K.cast(Scalar.I32, new KExpr.BitsAs(bits(e.scalar()), e));
    }
    return K.cast(Scalar.I32, e);
  }

  private static KExpr narrow(Scalar type, KExpr e) {
    return type.isSmallFloat() ? new KExpr.BitsAs(type, K.cast(bits(type), e)) : K.cast(type, e);
  }

  private static Scalar bits(Scalar type) {
    return type.bytes() == 1 ? Scalar.U8 : Scalar.U16;
  }

  /** The literal of any type. */
  static KExpr literal(Scalar type, double value) {
    return type.isSmallFloat()
        ? K.cast(type, K.f32(value))
        : type == Scalar.BOOL
            ? K.bool(value != 0)
            : type.isFloat() ? K.literal(type, value) : K.literal(type, (long) value);
  }

  /**
   * An element of an integer tensor as an index in 0..extent-1: negative ones count from the end,
   * others end the run.
   */
  static KExpr position(KExpr index, DimExpr extent) {
    KExpr at = new KExpr.Within(index, extent.times(-1), extent.minus(DimExpr.ONE));
    return nearest(K.select(K.lt(at, K.index(0)), K.add(at, K.dim(extent)), at), extent);
  }

  /** The same where nothing counts from the end. */
  static KExpr inside(KExpr index, DimExpr extent) {
    return nearest(new KExpr.Within(index, DimExpr.ZERO, extent.minus(DimExpr.ONE)), extent);
  }

  /** The index in 0..extent-1 that is nearest. */
  static KExpr nearest(KExpr index, DimExpr extent) {
    return K.max(K.min(index, K.sub(K.dim(extent), K.index(1))), K.index(0));
  }
}
