package org.tersor.ir.schedule;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * Integer side of a contraction of 8-bit factors. With Dot4 one factor must be unsigned and one
 * signed: codes are shifted by 128 where they are not (matrix registers take any), and zero points
 * leave the sum by {@code sum((u - zu)(s - zs)) = sum(u s) - zu sum(s) - zs sum(u) + K zu zs}.
 */
final class Gemm8Bit implements PanelCodes {
  private final Scheduler scheduler;
  private final Contraction c;
  private final boolean dot4;
  private final boolean asStored;
  private final boolean rowIsUnsigned;

  Gemm8Bit(Scheduler scheduler, Contraction c, boolean dot4) {
    this(scheduler, c, dot4, false);
  }

  /**
   * @param dot4 whether codes are summed, four to a word; else their values
   * @param asStored whether codes are multiplied whatever their signs
   */
  Gemm8Bit(Scheduler scheduler, Contraction c, boolean dot4, boolean asStored) {
    this.scheduler = scheduler;
    this.c = c;
    this.dot4 = dot4;
    this.asStored = asStored;
    boolean rowIsWeight = c.row().buffers().stream().allMatch(scheduler::isConstant);
    boolean columnIsWeight = c.column().buffers().stream().allMatch(scheduler::isConstant);
    this.rowIsUnsigned = columnIsWeight || !rowIsWeight;
  }

  /** Whether the row factor is the unsigned operand of Dot4. */
  boolean rowIsUnsigned() {
    return rowIsUnsigned;
  }

  /** Products of which an F32 sum is exact: every partial sum stays below 2^24. */
  int exactSteps() {
    return (int) (((1L << 24) - 1) / (bound(c.row()) * bound(c.column())));
  }

  /** The smallest type of all values of the column factor, which is a code less its zero point. */
  Scalar difference() {
    return c.column().zero().isPresent() ? Scalar.I16 : c.column().element();
  }

  private static long bound(Contraction.Factor factor) {
    return factor.element() == Scalar.U8 || factor.zero().isPresent() ? 255 : 128;
  }

  private int shift(Contraction.Factor factor, boolean unsigned) {
    if (asStored) {
      return 0;
    }
    if (unsigned) {
      return factor.element() == Scalar.I8 ? 128 : 0;
    }
    return factor.element() == Scalar.U8 ? -128 : 0;
  }

  private static KExpr plus(KExpr a, int shift) {
    if (a instanceof KExpr.IntLit literal) {
      return K.i32(literal.value() + shift);
    }
    return K.add(a, K.i32(shift));
  }

  @SuppressWarnings("ReferenceEquality") // both factors may be the same expression
  private boolean isUnsigned(Contraction.Factor factor) {
    return (factor == c.row()) == rowIsUnsigned;
  }

  /** The code of a factor as Dot4 takes it, I32 in 0..255 or -128..127. */
  @Override
  public KExpr code(Contraction.Factor factor) {
    return code(factor, factor);
  }

  /** The code of a factor whose value is written in another way. */
  KExpr code(Contraction.Factor factor, Contraction.Factor written) {
    return plus(written.value(), shift(factor, isUnsigned(factor)));
  }

  /** Whether no sum over the row factor is needed. */
  boolean columnIsCentred() {
    return isZero(zero(c.column()));
  }

  /**
   * What makes codes of four stored bytes by exclusive or: adding 128 to a byte, or taking it away,
   * is to change its highest bit. Empty if the factor is not as stored.
   */
  @Override
  public OptionalInt flip(Contraction.Factor factor) {
    if (!(factor.value() instanceof KExpr.To to && to.a() instanceof KExpr.At)) {
      return OptionalInt.empty();
    }
    return OptionalInt.of(shift(factor, isUnsigned(factor)) == 0 ? 0 : 0x80808080);
  }

  private KExpr zero(Contraction.Factor factor) {
    return plus(factor.zero().orElse(K.i32(0)), shift(factor, isUnsigned(factor)));
  }

  private static boolean isZero(KExpr e) {
    return e instanceof KExpr.IntLit literal && literal.value() == 0;
  }

  /** What must be added to the sum of products of codes; empty if nothing. */
  Optional<KExpr> correction() {
    if (!dot4) {
      return Optional.empty();
    }
    KExpr zeroRow = zero(c.row());
    KExpr zeroColumn = zero(c.column());
    Optional<KExpr> total = Optional.empty();
    if (!isZero(zeroRow)) {
      KExpr sum = K.sum(c.k(), code(c.column()));
      KExpr count = K.castInRange(Scalar.I32, K.dim(c.extentK()));
      KExpr perColumn = isZero(zeroColumn) ? K.neg(sum) : K.sub(K.mul(count, zeroColumn), sum);
      // Sums over weights are made at load, though a zero point that a call brings is not known
      // then.
      if (isAtLoad(perColumn) && !isAtLoad(zeroRow)) {
        perColumn = named(perColumn, "columnsum");
      }
      // All that a column knows is one number, computed once.
      boolean together = KExprs.freeAxes(c.column().value()).containsAll(KExprs.freeAxes(zeroRow));
      KExpr term = named(together ? K.mul(zeroRow, perColumn) : perColumn, "columnterm");
      total = Optional.of(together ? term : K.mul(zeroRow, term));
    }
    if (!isZero(zeroColumn)) {
      KExpr term = K.mul(zeroColumn, named(K.sum(c.k(), code(c.row())), "rowsum"));
      total = Optional.of(total.map(t -> K.sub(t, term)).orElseGet(() -> K.neg(term)));
    }
    return total;
  }

  /** A value computed by a stage of its own, at load if it depends on weights alone. */
  private KExpr named(KExpr value, String name) {
    List<Axis> axes = c.stage().axes().stream().filter(KExprs.freeAxes(value)::contains).toList();
    List<DimExpr> shape = axes.stream().map(Axis::extent).toList();
    Buf buffer = new Buf(c.stage().target().name() + "_" + name, Scalar.I32, shape);
    scheduler.auxiliary(Stage.of(buffer, axes, value), isAtLoad(value));
    return new KExpr.At(StageSimplifier.flat(buffer), List.of(Positions.flat(axes)));
  }

  private boolean isAtLoad(KExpr value) {
    return StageSimplifier.buffers(value).stream().allMatch(scheduler::isConstant);
  }
}
