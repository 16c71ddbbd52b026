package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * The codes of rows as 16-bit halves of I32, in the order in which a word of eight codes of a
 * column gives its pairs: its bytes hold k = 0 to 3 in their low bits and 4 to 7 in their high
 * ones, so that a shift and a mask leave k = 0 and 2, 1 and 3, 4 and 6, or 5 and 7.
 *
 * @param step axis of the words of a block
 * @param words the pairs, over rows, blocks, {@code step} and pairs
 * @param pair axis of the pairs of a word
 */
record RowHalves(Axis step, Axis pair, KExpr.At words) {
  /** Pairs of a word. */
  static final int PAIRS = 4;

  /** Distance of the two k of a pair. */
  private static final int APART = 2;

  /** By how much a word is shifted for a pair. */
  static int shift(int pair) {
    return pair / 2 * 4 + pair % 2 * 8;
  }

  /** Declares and fills the buffer. */
  static RowHalves of(Scheduler scheduler, Contraction c, CodedColumn column) {
    Axis step = new Axis("halves_step", DimExpr.of(column.length() / (2 * PAIRS)));
    Axis pair = new Axis("halves_pair", DimExpr.of(PAIRS));
    KExpr code = column.row().orElseThrow().code();
    KExpr two = K.index(2);
    KExpr first =
        K.add(
            K.add(
                K.mul(K.axis(step), K.index(2 * PAIRS)),
                K.mul(K.floorDiv(K.axis(pair), two), K.index(PAIRS))),
            K.floorMod(K.axis(pair), two));
    KExpr low = KExprs.substitute(code, Map.of(column.inside(), first));
    KExpr high = KExprs.substitute(code, Map.of(column.inside(), K.add(first, K.index(APART))));
    KExpr value =
        K.binary(
            BinaryOp.OR,
            K.binary(BinaryOp.AND, low, K.i32(0xffff)),
            K.binary(BinaryOp.SHL, high, K.i32(16)));
    List<Axis> axes = new ArrayList<>(c.stage().axes());
    axes.retainAll(KExprs.freeAxes(code));
    axes.addAll(List.of(column.blocks(), step, pair));
    Buf buffer =
        new Buf(
            c.stage().target().name() + "_rowhalves",
            Scalar.I32,
            axes.stream().map(Axis::extent).toList());
    scheduler.auxiliary(Stage.of(buffer, axes, value), false);
    return new RowHalves(
        step, pair, new KExpr.At(StageSimplifier.flat(buffer), List.of(Positions.flat(axes))));
  }

  Buf buffer() {
    return words.buffer();
  }

  /** A pair of a step. */
  KExpr at(int number) {
    return KExprs.substitute(words, Map.of(pair, K.index(number)));
  }
}
