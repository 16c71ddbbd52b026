package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
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
 * The factors of rows as 16-bit halves of I32. Each half of a word of eight codes of a column is
 * shifted by 0, 4, 8 and 12 bits, and nothing masks what stays above the code that comes lowest:
 * these are sixteen times the next shift, so that the row's codes {@code x0 .. x3} of a half become
 * factors {@code x0, x1 - 16 x0, x2 - 16 x1, x3 - 16 x2}. Products and sums wrap around at 16 bits;
 * the sum of a block, in halves, is within them.
 *
 * @param pair axis of the shifts of a word
 * @param step axis of the words of a block
 * @param low codes of the low halves, over rows, blocks, {@code pair} and {@code step}
 * @param high codes of the high halves
 * @param words the factors
 */
record RowHalves(Axis pair, Axis step, KExpr low, KExpr high, KExpr.At words) {
  /** Shifts of a word. */
  static final int PAIRS = 4;

  /** What makes a sum of low halves a number without a sign. */
  static final long UNSIGNED = 1 << 15;

  /**
   * The same where half of a block cannot reach more than this, zero point included; taken from the
   * high halves, which then stay within 16 bits, it needs not be taken away later.
   */
  private static final long BALANCE = 1 << 14;

  private static final int BITS = 4;

  /** By how much a word is shifted for a pair. */
  static int shift(int pair) {
    return BITS * pair;
  }

  /** Declares and fills the buffer. */
  static RowHalves of(Scheduler scheduler, Contraction c, CodedColumn column) {
    Axis pair = new Axis("halves_pair", DimExpr.of(PAIRS));
    Axis step = new Axis("halves_step", DimExpr.of(column.length() / (2 * PAIRS)));
    KExpr code = column.row().orElseThrow().code();
    IntFunction<KExpr> codes =
        half -> inside(code, column, K.axis(pair), K.axis(step), K.index(half));
    KExpr value = packed(factor(codes.apply(0), pair), factor(codes.apply(1), pair));
    List<Axis> axes = new ArrayList<>(c.stage().axes());
    axes.retainAll(KExprs.freeAxes(code));
    axes.addFirst(column.blocks());
    axes.addAll(List.of(pair, step));
    Buf buffer =
        new Buf(
            c.stage().target().name() + "_rowhalves",
            Scalar.I32,
            axes.stream().map(Axis::extent).toList());
    scheduler.auxiliary(Stage.of(buffer, axes, value), false);
    return new RowHalves(
        pair,
        step,
        codes.apply(0),
        codes.apply(1),
        new KExpr.At(StageSimplifier.flat(buffer), List.of(Positions.flat(axes))));
  }

  /** A code of a block, by where a column's words have its factor; each half of them is a run. */
  static KExpr inside(KExpr code, CodedColumn column, KExpr pair, KExpr step, KExpr half) {
    KExpr run = K.index(column.length() / 2);
    KExpr words = K.index(column.length() / (2 * PAIRS));
    KExpr k = K.add(K.add(K.mul(half, run), K.mul(pair, words)), step);
    return KExprs.substitute(code, Map.of(column.inside(), k));
  }

  private static KExpr factor(KExpr code, Axis pair) {
    KExpr before = KExprs.substitute(code, Map.of(pair, K.sub(K.axis(pair), K.index(1))));
    KExpr isFirst = K.lt(K.axis(pair), K.index(1));
    return K.sub(code, new KExpr.If(isFirst, K.i32(0), K.mul(before, K.i32(1 << BITS))));
  }

  private static KExpr packed(KExpr low, KExpr high) {
    return K.binary(
        BinaryOp.OR,
        K.binary(BinaryOp.AND, low, K.i32(0xffff)),
        K.binary(BinaryOp.SHL, high, K.i32(16)));
  }

  Buf buffer() {
    return words.buffer();
  }

  /** A pair of a step. */
  KExpr at(int number) {
    return KExprs.substitute(words, Map.of(pair, K.index(number)));
  }

  /** Whether {@link #start} exists for a zero point of the column's codes. */
  static boolean canStart(CodedColumn column, int zero) {
    return column.half(zero) <= BALANCE;
  }

  /**
   * Where the sums of a block begin so that their low halves have no sign and high and low half add
   * up to the sum of the block.
   *
   * @param factor of the rows' codes
   */
  KExpr start(KExpr factor) {
    KExpr lows = K.mul(K.sum(List.of(pair, step), low), factor);
    KExpr highs = K.mul(K.sum(List.of(pair, step), high), factor);
    return packed(K.add(lows, K.i32(BALANCE)), K.add(highs, K.i32(-BALANCE)));
  }
}
