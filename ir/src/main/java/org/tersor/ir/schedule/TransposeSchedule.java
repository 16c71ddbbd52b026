package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.min;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.runtime.DimExpr;

/**
 * Elementwise stages that read along one axis and write along another, as changes of layout do:
 * values are computed in vectors along the reads, and blocks of vectors are transposed in registers
 * before they are stored.
 */
final class TransposeSchedule {
  private static final long TASK_WORK = 1 << 15;

  /** Most rows whose elements are gathered into whole vectors one by one. */
  private static final int FEW = 4;

  private final Stage stage;
  private final Axis read;
  private final Axis written;
  private final int lanes;
  private final NestEmitter nest;

  private TransposeSchedule(Stage stage, Axis read, Axis written, Target target, int lanes) {
    this.stage = stage;
    this.read = read;
    this.written = written;
    this.lanes = lanes;
    this.nest = new NestEmitter(new NestEmitter.LoopTarget(target.has(Target.Feature.FMA), 1));
  }

  /** The loops of a simplified stage; empty where it is no transposition. */
  static Optional<LoopSchedule.Result> emit(Stage stage, Target target) {
    return target.has(Target.Feature.SHUFFLE)
        ? axes(stage, target)
            .map(axes ->
                new TransposeSchedule(stage, axes.read, axes.written, target, lanes(stage, target))
                    .loops())
        : Optional.empty();
  }

  /** What a transposition reads along and what it writes along. */
  record Axes(Axis read, Axis written) {}

  private static int lanes(Stage stage, Target target) {
    return target.lanes(Math.max(4, LoopSchedule.widestElement(stage)));
  }

  /**
   * The axes of a simplified stage; empty where it is no transposition, or there are no vectors.
   */
  static Optional<Axes> axes(Stage stage, Target target) {
    int lanes = lanes(stage, target);
    if (lanes < 4
        || stage.target().element() == Scalar.BOOL
        || !KExprs.all(stage.value(), KExpr.Fold.class).isEmpty()) {
      return Optional.empty();
    }
    Affine store = Affine.of(stage.index().getFirst());
    for (Axis written : stage.axes()) {
      if (!store.isLinearIn(written)
          || !store.coefficient(written).isConst(1)
          || LoopSchedule.isVectorisable(stage.value(), written)) {
        continue;
      }
      for (Axis read : stage.axes()) {
        if (!read.equals(written) && fits(stage, read, written, lanes)) {
          return Optional.of(new Axes(read, written));
        }
      }
    }
    return Optional.empty();
  }

  private static boolean fits(Stage stage, Axis read, Axis written, int lanes) {
    boolean constant = read.extent().isConst() && written.extent().isConst();
    Affine store = Affine.of(stage.index().getFirst());
    return constant
        && read.extent().constValue() >= lanes
        && written.extent().constValue() >= 2
        && store.isLinearIn(read)
        && store.coefficient(read).isConst()
        && LoopSchedule.isVectorisable(stage.value(), read)
        && StageSimplifier.reads(stage.value()).values().stream()
            .anyMatch(index -> index.coefficient(read).isConst(1));
  }

  private LoopSchedule.Result loops() {
    List<Axis> outer =
        stage.axes().stream().filter(a -> !a.equals(read) && !a.equals(written)).toList();
    long blocks = Math.ceilDiv(read.extent().constValue(), lanes);
    long grain =
        Math.clamp(TASK_WORK / (lanes * written.extent().constValue()), 1, Math.max(1, blocks));
    long perOuter = Math.ceilDiv(blocks, grain);
    DimExpr tasks = DimExpr.of(perOuter);
    for (Axis axis : outer) {
      tasks = tasks.times(axis.extent());
    }
    nest.loop(
        Stmt.LoopKind.PARALLEL,
        index(0),
        nest.dim(tasks),
        1,
        task ->
            Positions.split(
                nest,
                task,
                DimExpr.of(perOuter),
                (rest, part) ->
                    Positions.bind(nest, rest, outer, () -> part(part, grain, blocks))));
    return new LoopSchedule.Result(nest.finish(), nest.dims(), tasks);
  }

  private void part(Expr part, long grain, long blocks) {
    Expr begin = nest.let("b", times(part, index(grain)));
    Expr end = nest.let("e", min(plus(begin, index(grain)), index(blocks)));
    long most = read.extent().constValue() - lanes;
    nest.loop(
        Stmt.LoopKind.SERIAL,
        begin,
        end,
        1,
        block -> {
          // The last block overlaps the one before it instead of being masked.
          Expr at = nest.let("r", min(times(block, index(lanes)), index(most)));
          long extent = written.extent().constValue();
          long whole = extent / lanes * lanes;
          if (whole > 0) {
            nest.loop(
                Stmt.LoopKind.SERIAL, index(0), index(whole), lanes, w -> block(at, w, lanes));
          }
          if (whole < extent) {
            block(at, index(whole), (int) (extent - whole));
          }
        });
  }

  private void block(Expr readAt, Expr writtenAt, int rows) {
    List<Expr> vectors = new ArrayList<>();
    for (int i = 0; i < rows; i++) {
      Expr at = plus(writtenAt, index(i));
      nest.with(
          written,
          at,
          1,
          () ->
              nest.with(
                  read,
                  readAt,
                  lanes,
                  () -> vectors.add(nest.let("t", widen(nest.lower(stage.value()), lanes)))));
    }
    DimExpr step = Affine.of(stage.index().getFirst()).coefficient(read);
    if (rows <= FEW && step.isConst(rows) && written.extent().isConst(rows)) {
      interleaved(vectors, readAt, rows);
      return;
    }
    Type type = vectors.getFirst().type();
    while (vectors.size() < lanes) {
      vectors.add(zero(type));
    }
    List<Expr> turned = transposed(vectors);
    for (int p = 0; p < lanes; p++) {
      Expr value = turned.get(p);
      Runnable store =
          () ->
              nest.with(
                  written,
                  writtenAt,
                  lanes,
                  () -> nest.store(stage.target().name(), stage.index().getFirst(), value));
      nest.with(
          read,
          plus(readAt, index(p)),
          1,
          rows == lanes ? store : () -> nest.masked(index(rows), lanes, store));
    }
  }

  private static Expr zero(Type type) {
    return type.scalar().isFloat() ? new Expr.FloatConst(type, 0) : new Expr.IntConst(type, 0);
  }

  /**
   * Few rows whose elements follow one another at every position: vector by vector of the result.
   */
  private void interleaved(List<Expr> vectors, Expr readAt, int rows) {
    KExpr first = stage.index().getFirst();
    List<Expr> results = new ArrayList<>();
    for (int v = 0; v < rows; v++) {
      Expr joined = vectors.getFirst();
      for (int row = 1; row < rows; row++) {
        List<Integer> order = new ArrayList<>();
        for (int lane = 0; lane < lanes; lane++) {
          int element = v * lanes + lane;
          int source = element % rows;
          int position = element / rows;
          boolean fresh = source == row;
          // Row 0 is picked out of its vector by the first step, later ones keep what is there.
          order.add(fresh ? lanes + position : row == 1 ? position : lane);
        }
        joined = nest.let("t", new Expr.Shuffle(joined, vectors.get(row), order));
      }
      results.add(joined);
    }
    for (int v = 0; v < rows; v++) {
      Expr value = results.get(v);
      long at = (long) v * lanes;
      nest.with(
          read,
          readAt,
          1,
          () ->
              nest.with(
                  written,
                  index(at),
                  lanes,
                  () -> nest.store(stage.target().name(), first, value)));
    }
  }

  /** Lanes become vectors and vectors lanes, by halves of halves. */
  private List<Expr> transposed(List<Expr> vectors) {
    List<Expr> current = vectors;
    for (int half = lanes / 2; half >= 1; half /= 2) {
      List<Expr> next = new ArrayList<>(current);
      for (int i = 0; i < lanes; i++) {
        if ((i & half) == 0) {
          next.set(i, nest.let("t", exchanged(current.get(i), current.get(i + half), half, false)));
          next.set(
              i + half,
              nest.let("t", exchanged(current.get(i), current.get(i + half), half, true)));
        }
      }
      current = next;
    }
    return current;
  }

  /** Blocks of {@code half} lanes: the lower ones, or the upper ones, of every pair in turn. */
  private Expr exchanged(Expr a, Expr b, int half, boolean upper) {
    List<Integer> order = new ArrayList<>();
    for (int lane = 0; lane < lanes; lane++) {
      boolean second = (lane & half) != 0;
      int source = upper ? lane | half : lane & ~half;
      order.add(second ? lanes + source : source);
    }
    return new Expr.Shuffle(a, b, order);
  }
}
