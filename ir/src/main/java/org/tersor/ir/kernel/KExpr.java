package org.tersor.ir.kernel;

import java.util.List;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/**
 * A scalar expression over iteration axes. Operations mean what the loop-IR enumerations say. Types
 * of operands must agree; arithmetic is on I32, U32, I64, U64, F32, F64, INDEX (and AND, OR, XOR,
 * NOT on BOOL): narrower types are cast first.
 */
public sealed interface KExpr {
  Scalar scalar();

  record IntLit(Scalar scalar, long value) implements KExpr {}

  record FloatLit(Scalar scalar, double value) implements KExpr {}

  /** The position on an axis, INDEX. */
  record AxisRef(Axis axis) implements KExpr {
    @Override
    public Scalar scalar() {
      return Scalar.INDEX;
    }
  }

  /** A dimension, INDEX. */
  record Dim(DimExpr value) implements KExpr {
    @Override
    public Scalar scalar() {
      return Scalar.INDEX;
    }
  }

  /** An element; one INDEX expression per dimension of the buffer. */
  record At(Buf buffer, List<KExpr> index) implements KExpr {
    public At {
      index = List.copyOf(index);
      if (index.size() != buffer.shape().size()) {
        throw new IllegalArgumentException(index.size() + " indices into " + buffer);
      }
    }

    @Override
    public Scalar scalar() {
      return buffer.element();
    }
  }

  record Un(UnaryOp op, KExpr a) implements KExpr {
    @Override
    public Scalar scalar() {
      return a.scalar();
    }
  }

  record Bin(BinaryOp op, KExpr a, KExpr b) implements KExpr {
    public Bin {
      same(op, a, b);
    }

    @Override
    public Scalar scalar() {
      return a.scalar();
    }
  }

  record Cmp(CompareOp op, KExpr a, KExpr b) implements KExpr {
    public Cmp {
      same(op, a, b);
    }

    @Override
    public Scalar scalar() {
      return Scalar.BOOL;
    }
  }

  /**
   * Lazy: an element is read only on the side that is chosen, so a guard makes out-of-range reads
   * safe.
   */
  record If(KExpr condition, KExpr then, KExpr otherwise) implements KExpr {
    public If {
      same("if", then, otherwise);
    }

    @Override
    public Scalar scalar() {
      return then.scalar();
    }
  }

  /** As loop-IR Cast. */
  record To(Scalar scalar, KExpr a, boolean inRange) implements KExpr {}

  /** As loop-IR Bits. */
  record BitsAs(Scalar scalar, KExpr a) implements KExpr {}

  /**
   * Combination over axes (outermost first); of no iterations: 0, 1, the type's largest, the type's
   * smallest (infinities for floats).
   */
  record Fold(ReduceOp op, List<Axis> axes, KExpr body) implements KExpr {
    public Fold {
      axes = List.copyOf(axes);
    }

    @Override
    public Scalar scalar() {
      return body.scalar();
    }
  }

  /**
   * An index that the model's data give, INDEX: {@code value}, which lies in {@code least..most},
   * or the run fails. {@link IndexDemands} makes the kernels that look before the one that reads.
   * Loops do not look again: what uses the index as one of a buffer limits it to that buffer, as
   * memory may change in between.
   *
   * @param value of any integer or float type; of floats the integer part counts
   */
  record Within(KExpr value, DimExpr least, DimExpr most) implements KExpr {
    @Override
    public Scalar scalar() {
      return Scalar.INDEX;
    }

    /** The index for code that comes after the check. */
    public KExpr unchecked() {
      return K.cast(Scalar.INDEX, value);
    }
  }

  private static void same(Object what, KExpr a, KExpr b) {
    if (a.scalar() != b.scalar()) {
      throw new IllegalArgumentException(what + " of " + a.scalar() + " and " + b.scalar());
    }
  }
}
