package org.tersor.ir.schedule;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.runtime.DimExpr;

/**
 * Windows of 8-bit codes that slide over an image, each lane by itself: {@code out[.., o, lane] =
 * epilogue(sum(taps, k) image(.., step * o + dilation * k, taps, lane) * weight(taps, k, lane))}.
 * No product of matrices, since both factors vary with the lane: depthwise convolutions.
 *
 * @param sum its row is the image, its column the weights, n the lane
 * @param lane the contiguous output axis
 * @param along the output axis along which windows slide
 * @param k the summed axis that goes with it
 * @param taps the other summed axes
 * @param step columns from a window to the next
 * @param dilation columns from an element of a window to the next
 * @param column stands for {@code step * along + dilation * k} in {@code image}
 * @param image the image's factor over columns
 */
record ByteWindows(
    Contraction sum,
    Axis lane,
    Axis along,
    Axis k,
    List<Axis> taps,
    long step,
    long dilation,
    Axis column,
    Contraction.Factor image) {
  /** Most words of weights of a lane. */
  private static final long MOST_WORDS = 32;

  /** Elements of a column that make a word. */
  static final int WORD = 4;

  /**
   * @param stage simplified, with its guards
   * @param constant whether a buffer holds weights
   */
  static Optional<ByteWindows> match(Stage stage, Target target, Predicate<Buf> constant) {
    if (target.kind() != Target.Kind.NATIVE || !target.has(Target.Feature.DOT4)) {
      return Optional.empty();
    }
    Optional<Axis> lane = LoopSchedule.vectorAxis(stage, target.lanes(Scalar.I32.bytes()));
    List<KExpr.Fold> folds =
        KExprs.all(stage.value(), KExpr.Fold.class).stream().distinct().toList();
    if (lane.isEmpty() || folds.size() != 1) {
      return Optional.empty();
    }
    KExpr.Fold fold = folds.getFirst();
    if (fold.op() != ReduceOp.SUM
        || fold.scalar() != Scalar.I32
        || !(fold.body() instanceof KExpr.Bin product)
        || product.op() != BinaryOp.MUL) {
      return Optional.empty();
    }
    Optional<Contraction.Factor> a = Contraction.factor(product.a(), fold);
    Optional<Contraction.Factor> b = Contraction.factor(product.b(), fold);
    if (a.isEmpty() || b.isEmpty()) {
      return Optional.empty();
    }
    boolean first = isWeight(a.get(), stage, lane.get(), constant);
    if (first == isWeight(b.get(), stage, lane.get(), constant)) {
      return Optional.empty();
    }
    Contraction.Factor image = first ? b.get() : a.get();
    return image.axes().contains(lane.get())
        ? slide(stage, fold, image, first ? a.get() : b.get(), lane.get())
        : Optional.empty();
  }

  private static boolean isWeight(
      Contraction.Factor factor, Stage stage, Axis lane, Predicate<Buf> constant) {
    Set<Axis> axes = factor.axes();
    return axes.contains(lane)
        && stage.axes().stream().noneMatch(axis -> !axis.equals(lane) && axes.contains(axis))
        && factor.buffers().stream().allMatch(constant);
  }

  private static Optional<ByteWindows> slide(
      Stage stage,
      KExpr.Fold fold,
      Contraction.Factor image,
      Contraction.Factor weight,
      Axis lane) {
    if (fold.axes().stream().anyMatch(axis -> !axis.extent().isConst())) {
      return Optional.empty();
    }
    List<Axis> batch = stage.axes().stream().filter(axis -> !axis.equals(lane)).toList();
    Contraction sum =
        new Contraction(
            stage, fold, image, weight, Optional.empty(), List.of(lane), batch, fold.axes());
    for (Axis along : batch.reversed()) {
      for (Axis k : fold.axes()) {
        Optional<ByteWindows> windows = slide(sum, along, k);
        if (windows.isPresent()) {
          return windows.filter(w -> w.words() > 0 && w.words() <= MOST_WORDS);
        }
      }
    }
    return Optional.empty();
  }

  private static Optional<ByteWindows> slide(Contraction sum, Axis along, Axis k) {
    List<KExpr.At> reads = KExprs.all(sum.row().value(), KExpr.At.class);
    if (reads.isEmpty()) {
      return Optional.empty();
    }
    Affine index = Affine.of(reads.getFirst().index().getFirst());
    DimExpr move = index.coefficient(along);
    DimExpr within = index.coefficient(k);
    if (!isPositive(move) || !isPositive(within)) {
      return Optional.empty();
    }
    long unit =
        BigInteger.valueOf(move.constValue())
            .gcd(BigInteger.valueOf(within.constValue()))
            .longValueExact();
    long step = move.constValue() / unit;
    long dilation = within.constValue() / unit;
    List<Axis> taps = sum.k().stream().filter(axis -> !axis.equals(k)).toList();
    DimExpr columns =
        along
            .extent()
            .minus(DimExpr.ONE)
            .times(step)
            .plus(DimExpr.of((k.extent().constValue() - 1) * dilation + 1));
    Axis column = new Axis(along.name() + "_" + k.name() + "_column", columns);
    boolean[] fits = {true};
    KExpr image =
        StageSimplifier.mapIndices(
            sum.row().value(),
            at ->
                overColumns(at, along, k, step, dilation, column)
                    .orElseGet(() -> {
                      fits[0] = false;
                      return at;
                    }));
    if (!fits[0] || sum.row().zero().stream().anyMatch(z -> !isFree(z, along, k))) {
      return Optional.empty();
    }
    Contraction.Factor factor =
        new Contraction.Factor(image, sum.row().zero(), sum.row().element());
    return Optional.of(
        new ByteWindows(sum, sum.n().getFirst(), along, k, taps, step, dilation, column, factor));
  }

  private static boolean isPositive(DimExpr value) {
    return value.isConst() && value.constValue() > 0;
  }

  private static boolean isFree(KExpr expr, Axis along, Axis k) {
    Set<Axis> axes = KExprs.freeAxes(expr);
    return !axes.contains(along) && !axes.contains(k);
  }

  /** An index that sees the window's place and the place in it as a column only. */
  private static Optional<Affine> overColumns(
      Affine index, Axis along, Axis k, long step, long dilation, Axis column) {
    DimExpr move = index.coefficient(along);
    DimExpr within = index.coefficient(k);
    if (!index.isLinearIn(along)
        || !index.isLinearIn(k)
        || !move.isConst()
        || !within.isConst()
        || move.constValue() % step != 0
        || within.constValue() != move.constValue() / step * dilation) {
      return Optional.empty();
    }
    Affine rest = index.without(along).without(k);
    DimExpr by = DimExpr.of(move.constValue() / step);
    return Optional.of(
        by.isConst(0)
            ? rest
            : rest.plus(new Affine(Map.of(new KExpr.AxisRef(column), by), DimExpr.ZERO)));
  }

  /** Places of {@code taps}, each a position on every one of its axes, in order. */
  List<List<Long>> places() {
    List<List<Long>> places = List.of(List.of());
    for (Axis axis : taps) {
      List<List<Long>> longer = new ArrayList<>();
      for (List<Long> place : places) {
        for (long i = 0; i < axis.extent().constValue(); i++) {
          List<Long> next = new ArrayList<>(place);
          next.add(i);
          longer.add(next);
        }
      }
      places = longer;
    }
    return places;
  }

  /** Words that hold a column of a window. */
  int wordsPerColumn() {
    long places = 1;
    for (Axis axis : taps) {
      places = Math.min(1 << 20, places * Math.min(1 << 20, axis.extent().constValue()));
    }
    return (int) Math.ceilDiv(places, (long) WORD);
  }

  /** Words of a window; 0 if words would hold one element each. */
  private long words() {
    boolean single = taps.stream().allMatch(axis -> axis.extent().isConst(1));
    return single ? 0 : wordsPerColumn() * Math.min(1 << 20, k.extent().constValue());
  }
}
