package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/**
 * Loads and stores at the current point of a nest: of an element, of a contiguous vector, of every
 * other element or gathered, under guards and the mask of a tail.
 */
final class NestMemory {
  /** Lanes below {@code count} are switched on. */
  private record Tail(Expr count, Expr mask) {}

  private final NestEmitter nest;
  private Optional<Tail> active = Optional.empty();

  NestMemory(NestEmitter nest) {
    this.nest = nest;
  }

  /** An element, or one for each lane of the axis that is a vector. */
  Expr load(KExpr.At at, Optional<NestEmitter.Guard> guard) {
    KExpr index = at.index().getFirst();
    Optional<NestEmitter.Guard> needed =
        Bounds.hold(at) ? Optional.empty() : nest.executed(at, guard);
    Optional<NestEmitter.VectorPart> vector = nest.vectorAxis(index);
    if (vector.isEmpty()) {
      // One element for all lanes: it is read if any lane wants it.
      Optional<Expr> mask =
          needed
              .map(nest::lower)
              .map(m -> m.type().isVector() ? new Expr.Reduce(ReduceOp.OR, m) : m);
      return new Expr.Load(
          Type.of(at.scalar()), at.buffer().name(), nest.lower(index, guard), mask);
    }
    int lanes = vector.get().lanes();
    if (needed.isEmpty() && isPairwise(index, vector.get().axis())) {
      return everyOther(at, nest.laneZero(index, vector.get(), guard), lanes);
    }
    Optional<Expr> mask = needed.map(g -> widen(nest.lower(g), lanes));
    return new Expr.Load(
        new Type(at.scalar(), lanes),
        at.buffer().name(),
        isContiguous(index, vector.get().axis())
            ? nest.laneZero(index, vector.get(), guard)
            : nest.lower(index, guard),
        merge(mask, activeMask(lanes)));
  }

  private static boolean isContiguous(KExpr index, Axis axis) {
    return hasStep(index, axis, 1);
  }

  private static boolean isPairwise(KExpr index, Axis axis) {
    return hasStep(index, axis, 2);
  }

  private static boolean hasStep(KExpr index, Axis axis, long step) {
    Affine affine = Affine.of(index);
    return affine.isLinearIn(axis) && affine.coefficient(axis).isConst(step);
  }

  /**
   * Elements base, base + 2, ... as the lanes of two vectors side by side. The second begins one
   * lane early, so that nothing beyond the last of these elements is read.
   */
  private Expr everyOther(KExpr.At at, Expr base, int lanes) {
    Type type = new Type(at.scalar(), lanes);
    String buffer = at.buffer().name();
    Optional<Expr> read =
        active
            .filter(tail -> tail.mask.type().lanes() == lanes)
            .map(tail -> minus(times(tail.count, index(2)), index(1)));
    Expr low = new Expr.Load(type, buffer, base, read.map(n -> new Expr.LaneLt(n, lanes)));
    Expr high =
        new Expr.Load(
            type,
            buffer,
            plus(base, index(lanes - 1L)),
            read.map(n -> new Expr.LaneLt(minus(n, index(lanes - 1L)), lanes)));
    List<Integer> order = new ArrayList<>();
    for (int lane = 0; lane < lanes; lane++) {
      order.add(2 * lane < lanes ? 2 * lane : 2 * lane + 1);
    }
    return new Expr.Shuffle(nest.let("v", low), nest.let("v", high), order);
  }

  /** The mask of {@link #masked} around the current point. */
  Optional<Expr> mask() {
    return active.map(Tail::mask);
  }

  private Optional<Expr> activeMask(int lanes) {
    return mask().filter(mask -> mask.type().lanes() == lanes);
  }

  private static Optional<Expr> merge(Optional<Expr> a, Optional<Expr> b) {
    return a.isEmpty()
        ? b
        : b.isEmpty() ? a : Optional.of(new Expr.Binary(BinaryOp.AND, a.get(), b.get()));
  }

  /**
   * Runs {@code body} with lanes from {@code count} on switched off for loads and {@link #store}.
   */
  void masked(Expr count, int lanes, Runnable body) {
    Optional<Tail> saved = active;
    Stmt.Block block =
        nest.block(() -> {
          Expr named = nest.let("m", count);
          active = Optional.of(new Tail(named, nest.let("m", new Expr.LaneLt(named, lanes))));
          body.run();
        });
    active = saved;
    block.body().forEach(nest::emit);
  }

  /** Stores a stage's value at the current point. */
  void store(String buffer, KExpr flatIndex, Expr value) {
    Optional<NestEmitter.VectorPart> vector = nest.vectorAxis(flatIndex);
    if (vector.isEmpty()) {
      nest.emit(new Stmt.Store(buffer, nest.lower(flatIndex), value, Optional.empty()));
      return;
    }
    int lanes = vector.get().lanes();
    Expr index =
        isContiguous(flatIndex, vector.get().axis())
            ? nest.laneZero(flatIndex, vector.get(), Optional.empty())
            : nest.lower(flatIndex);
    nest.emit(new Stmt.Store(buffer, index, widen(value, lanes), activeMask(lanes)));
  }
}
