package org.tersor.ir.loop;

import java.util.List;
import java.util.Optional;

/**
 * A side-effect-free loop-IR expression. Operands have the same lanes as the result unless stated.
 */
public sealed interface Expr {
  Type type();

  /**
   * An integer, bool (0 or 1) or INDEX constant, the same in every lane; the value is the sign- or
   * zero-extended element.
   */
  record IntConst(Type type, long value) implements Expr {}

  /** A constant of F32 or F64, the same in every lane; of F32 it must be a float value. */
  record FloatConst(Type type, double value) implements Expr {}

  /** A {@code let}, a loop variable, a dimension parameter or a scalar local. */
  record Var(Type type, String name) implements Expr {}

  /**
   * Loads {@code type.lanes} consecutive elements from {@code index} (scalar INDEX, in elements of
   * the buffer), or, if {@code index} is a vector of INDEX, one element per lane. The element type
   * of {@code type} may differ from the buffer's (same bits are reinterpreted, little-endian,
   * starting at the indexed element; no alignment is needed). From a REGISTER buffer: a scalar
   * constant index, and the type of the buffer. Lanes where {@code mask} (bool, same lanes) is
   * false read nothing and give 0.
   */
  record Load(Type type, String buffer, Expr index, Optional<Expr> mask) implements Expr {}

  record Unary(UnaryOp op, Expr a) implements Expr {
    @Override
    public Type type() {
      return a.type();
    }
  }

  record Binary(BinaryOp op, Expr a, Expr b) implements Expr {
    public Binary {
      if (!a.type().equals(b.type())) {
        throw new IllegalArgumentException(op + " of " + a.type() + " and " + b.type());
      }
    }

    @Override
    public Type type() {
      return a.type();
    }
  }

  record Compare(CompareOp op, Expr a, Expr b) implements Expr {
    public Compare {
      if (!a.type().equals(b.type())) {
        throw new IllegalArgumentException(op + " of " + a.type() + " and " + b.type());
      }
    }

    @Override
    public Type type() {
      return a.type().withScalar(Scalar.BOOL);
    }
  }

  /** a * b + c with one rounding (floats). */
  record Fma(Expr a, Expr b, Expr c) implements Expr {
    @Override
    public Type type() {
      return a.type();
    }
  }

  /** Per lane; both sides are evaluated. */
  record Select(Expr condition, Expr then, Expr otherwise) implements Expr {
    public Select {
      if (!then.type().equals(otherwise.type())) {
        throw new IllegalArgumentException("select of " + then.type() + " and " + otherwise.type());
      }
    }

    @Override
    public Type type() {
      return then.type();
    }
  }

  /**
   * Conversion of value. Integer to integer: the low bits. To a float: half to even; to a small
   * float beyond its range: infinity, or NaN where the type has none. Float to integer: toward
   * zero; out of range saturates and NaN gives 0, unless {@code inRange}, by which the producer
   * promises that the value fits (else the result is unspecified, but nothing traps). From bool: 0
   * or 1. To bool: value != 0.
   */
  record Cast(Type type, Expr a, boolean inRange) implements Expr {}

  /** The same bits as another type of the same total size. */
  record Bits(Type type, Expr a) implements Expr {}

  /**
   * Per lane of I32: {@code acc + sum(i < 4) u8(a >> 8i) * s8(b >> 8i)}, wrapping, without
   * intermediate saturation; a, b are I32 holding four bytes, first byte lowest.
   */
  record Dot4(Expr acc, Expr a, Expr b) implements Expr {
    @Override
    public Type type() {
      return acc.type();
    }
  }

  /**
   * Per lane of F32: {@code fma(low(a), low(b), fma(high(a), high(b), acc))}; a, b are I32 holding
   * two BF16. Operands and results that are subnormal count as zeros of their sign. Source: Intel
   * SDM, VDPBF16PS.
   */
  record Dot2(Expr acc, Expr a, Expr b) implements Expr {
    @Override
    public Type type() {
      return acc.type();
    }
  }

  /**
   * All lanes to a scalar by an explicit tree: while n > 1: n /= 2, lane i = lane i op lane i + n.
   */
  record Reduce(ReduceOp op, Expr a) implements Expr {
    @Override
    public Type type() {
      return a.type().withLanes(1);
    }
  }

  /** A scalar in every lane. */
  record Broadcast(Expr a, int lanes) implements Expr {
    @Override
    public Type type() {
      return a.type().withLanes(lanes);
    }
  }

  /** Lane i holds the INDEX {@code base + i * stride}; base is a scalar. */
  record Ramp(Expr base, long stride, int lanes) implements Expr {
    @Override
    public Type type() {
      return base.type().withLanes(lanes);
    }
  }

  /**
   * Lane i of the result is lane {@code lanes[i]} of a followed by b; result lanes = lanes.size().
   */
  record Shuffle(Expr a, Expr b, List<Integer> lanes) implements Expr {
    @Override
    public Type type() {
      return a.type().withLanes(lanes.size());
    }
  }

  /** Tail mask: lane i is i < count (a scalar INDEX). */
  record LaneLt(Expr count, int lanes) implements Expr {
    @Override
    public Type type() {
      return new Type(Scalar.BOOL, lanes);
    }
  }
}
