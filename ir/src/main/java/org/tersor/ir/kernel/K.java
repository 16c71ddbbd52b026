package org.tersor.ir.kernel;

import java.util.List;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/**
 * Short constructors of kernel expressions, for static import. Constants fold where it is exact.
 */
public final class K {
  private K() {}

  public static KExpr i32(long value) {
    return new KExpr.IntLit(Scalar.I32, value);
  }

  public static KExpr index(long value) {
    return new KExpr.IntLit(Scalar.INDEX, value);
  }

  public static KExpr bool(boolean value) {
    return new KExpr.IntLit(Scalar.BOOL, value ? 1 : 0);
  }

  public static KExpr f32(double value) {
    return new KExpr.FloatLit(Scalar.F32, (float) value);
  }

  /** A literal of any arithmetic type. */
  public static KExpr literal(Scalar type, double value) {
    return type.isFloat()
        ? new KExpr.FloatLit(type, type == Scalar.F32 ? (float) value : value)
        : new KExpr.IntLit(type, (long) value);
  }

  public static KExpr literal(Scalar type, long value) {
    return type.isFloat() ? new KExpr.FloatLit(type, value) : new KExpr.IntLit(type, value);
  }

  public static KExpr dim(DimExpr value) {
    return value.isConst() ? index(value.constValue()) : new KExpr.Dim(value);
  }

  public static KExpr axis(Axis axis) {
    return axis.extent().isConst(1) ? index(0) : new KExpr.AxisRef(axis);
  }

  public static KExpr at(Buf buffer, List<KExpr> index) {
    return new KExpr.At(buffer, index);
  }

  public static KExpr at(Buf buffer, KExpr... index) {
    return new KExpr.At(buffer, List.of(index));
  }

  public static KExpr unary(UnaryOp op, KExpr a) {
    return new KExpr.Un(op, a);
  }

  public static KExpr binary(BinaryOp op, KExpr a, KExpr b) {
    return new KExpr.Bin(op, a, b);
  }

  public static KExpr add(KExpr a, KExpr b) {
    if (isInt(a, 0)) {
      return b;
    }
    return isInt(b, 0) ? a : intFold(BinaryOp.ADD, a, b);
  }

  public static KExpr sub(KExpr a, KExpr b) {
    return isInt(b, 0) ? a : intFold(BinaryOp.SUB, a, b);
  }

  public static KExpr mul(KExpr a, KExpr b) {
    if (isInt(a, 1)) {
      return b;
    }
    if (isInt(b, 1)) {
      return a;
    }
    return isInt(a, 0) ? a : isInt(b, 0) ? b : intFold(BinaryOp.MUL, a, b);
  }

  public static KExpr div(KExpr a, KExpr b) {
    return new KExpr.Bin(BinaryOp.DIV, a, b);
  }

  /** INDEX quotient, divisor positive. */
  public static KExpr floorDiv(KExpr a, KExpr b) {
    return isInt(b, 1) ? a : intFold(BinaryOp.FLOORDIV, a, b);
  }

  /** INDEX remainder, divisor positive. */
  public static KExpr floorMod(KExpr a, KExpr b) {
    return isInt(b, 1) ? index(0) : intFold(BinaryOp.FLOORMOD, a, b);
  }

  public static KExpr min(KExpr a, KExpr b) {
    return new KExpr.Bin(BinaryOp.MIN, a, b);
  }

  public static KExpr max(KExpr a, KExpr b) {
    return new KExpr.Bin(BinaryOp.MAX, a, b);
  }

  public static KExpr and(KExpr a, KExpr b) {
    return isInt(a, 1) && a.scalar() == Scalar.BOOL
        ? b
        : isInt(b, 1) && b.scalar() == Scalar.BOOL ? a : new KExpr.Bin(BinaryOp.AND, a, b);
  }

  public static KExpr or(KExpr a, KExpr b) {
    return new KExpr.Bin(BinaryOp.OR, a, b);
  }

  public static KExpr not(KExpr a) {
    return new KExpr.Un(UnaryOp.NOT, a);
  }

  public static KExpr neg(KExpr a) {
    return new KExpr.Un(UnaryOp.NEG, a);
  }

  public static KExpr lt(KExpr a, KExpr b) {
    return new KExpr.Cmp(CompareOp.LT, a, b);
  }

  public static KExpr le(KExpr a, KExpr b) {
    return new KExpr.Cmp(CompareOp.LE, a, b);
  }

  public static KExpr ge(KExpr a, KExpr b) {
    return new KExpr.Cmp(CompareOp.GE, a, b);
  }

  public static KExpr gt(KExpr a, KExpr b) {
    return new KExpr.Cmp(CompareOp.GT, a, b);
  }

  public static KExpr eq(KExpr a, KExpr b) {
    return new KExpr.Cmp(CompareOp.EQ, a, b);
  }

  public static KExpr ne(KExpr a, KExpr b) {
    return new KExpr.Cmp(CompareOp.NE, a, b);
  }

  public static KExpr select(KExpr condition, KExpr then, KExpr otherwise) {
    if (condition instanceof KExpr.IntLit literal) {
      return literal.value() != 0 ? then : otherwise;
    }
    return new KExpr.If(condition, then, otherwise);
  }

  /** Conversion with the full semantics of loop-IR Cast; none if the type is already right. */
  public static KExpr cast(Scalar type, KExpr a) {
    return a.scalar() == type ? a : new KExpr.To(type, a, false);
  }

  /** Conversion of a value that is known to fit. */
  public static KExpr castInRange(Scalar type, KExpr a) {
    return a.scalar() == type ? a : new KExpr.To(type, a, true);
  }

  public static KExpr fold(ReduceOp op, List<Axis> axes, KExpr body) {
    return axes.isEmpty() ? body : new KExpr.Fold(op, axes, body);
  }

  public static KExpr sum(List<Axis> axes, KExpr body) {
    return fold(ReduceOp.SUM, axes, body);
  }

  private static boolean isInt(KExpr a, long value) {
    return a instanceof KExpr.IntLit literal && literal.value() == value;
  }

  private static KExpr intFold(BinaryOp op, KExpr a, KExpr b) {
    if (a instanceof KExpr.IntLit x && b instanceof KExpr.IntLit y && a.scalar() == Scalar.INDEX) {
      long p = x.value();
      long q = y.value();
      return index(
          switch (op) {
            case ADD -> Math.addExact(p, q);
            case SUB -> Math.subtractExact(p, q);
            case MUL -> Math.multiplyExact(p, q);
            case FLOORDIV -> Math.floorDiv(p, q);
            case FLOORMOD -> Math.floorMod(p, q);
            default -> throw new IllegalArgumentException(op.toString());
          });
    }
    return new KExpr.Bin(op, a, b);
  }
}
