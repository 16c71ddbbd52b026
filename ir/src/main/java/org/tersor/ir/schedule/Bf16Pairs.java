package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;

/**
 * A product of F32 with weights, computed by {@link Expr.Dot2}: both factors are rounded to BF16,
 * sums stay F32.
 *
 * @param rounding makes rows of BF16, two of which are a word
 * @param product reads them
 */
record Bf16Pairs(Stage rounding, Contraction product) implements PanelCodes {

  /**
   * For targets that have the instruction, where one axis is summed over and splits in pairs. Not
   * for weights that vary along the batch, as those of Winograd's tiles: transforms of rounded
   * values lose several bits more.
   */
  static Optional<Bf16Pairs> of(Scheduler scheduler, Contraction c) {
    boolean fits =
        scheduler.target().has(Target.Feature.BF16_DOT)
            && c.fold().scalar() == Scalar.F32
            && c.k().size() == 1
            && c.extentK().isConst()
            && c.extentK().constValue() % 2 == 0
            && c.column().buffers().stream().allMatch(scheduler::isConstant)
            && c.batch().stream().noneMatch(c.column().axes()::contains)
            && !c.row().buffers().stream().allMatch(scheduler::isConstant);
    return fits ? Optional.of(of(c)) : Optional.empty();
  }

  private static Bf16Pairs of(Contraction c) {
    List<Axis> axes = new ArrayList<>(c.batch().stream().filter(c.row().axes()::contains).toList());
    c.m().ifPresent(axes::add);
    axes.add(c.k().getFirst());
    Buf rows =
        new Buf(
            c.stage().target().name() + "_bf16",
            Scalar.BF16,
            axes.stream().map(Axis::extent).toList());
    KExpr rounded = K.cast(Scalar.BF16, c.row().value());
    Buf flat = StageSimplifier.flat(rows);
    KExpr read = K.cast(Scalar.F32, new KExpr.At(flat, List.of(Positions.flat(axes))));
    KExpr body = new KExpr.Bin(BinaryOp.MUL, read, c.column().value());
    KExpr.Fold sum = new KExpr.Fold(ReduceOp.SUM, c.k(), body);
    KExpr value = KExprs.rewrite(c.stage().value(), e -> e.equals(c.fold()) ? sum : e);
    Stage stage = new Stage(c.stage().target(), c.stage().axes(), c.stage().index(), value);
    Contraction.Factor row = new Contraction.Factor(read, Optional.empty(), Scalar.F32);
    return new Bf16Pairs(
        Stage.of(rows, axes, rounded),
        new Contraction(stage, sum, row, c.column(), c.m(), c.n(), c.batch(), c.k()));
  }

  @Override
  public KExpr code(Contraction.Factor factor) {
    return factor.value();
  }

  @Override
  public OptionalInt flip(Contraction.Factor factor) {
    return OptionalInt.of(0);
  }
}
