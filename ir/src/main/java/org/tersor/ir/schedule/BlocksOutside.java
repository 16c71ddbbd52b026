package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.min;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Stmt;
import org.tersor.runtime.DimExpr;

/**
 * Tasks in which all tiles sum one block of steps before any sums the next: the block of weights
 * stays in the nearest cache for all of them, where a whole panel is read from farther away by each
 * tile (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008). Totals
 * of all tiles are in memory of the task.
 *
 * @param positions of the innermost axis of the batch in a task
 * @param tiles of rows in a task at each of them
 */
record BlocksOutside(NestEmitter nest, Contraction c, GemmTile tile, long positions, long tiles) {
  /** Bytes of totals that stay in the nearest cache beside a block of weights and the rows. */
  private static final long TOTALS = 1 << 15;

  /** Bytes of a panel from which on the order pays: it does not stay near from tile to tile. */
  private static final long FAR = 1 << 17;

  /** Tiles that a block pays for at least. */
  private static final int FEWEST = 4;

  /** Tasks from which on threads find enough to do. */
  private static final int TASKS = 8;

  /** Steps of a block whose sums are exact, so that their number is free. */
  static final int STEPS = 128;

  /** A tile of so many rows, the {@code number}th of the task. */
  interface Body {
    void of(Expr m0, int rows, Expr number);
  }

  /** Something done with all tiles of a task, of the column panel {@code columnTile}. */
  interface Task {
    void of(Expr columnTile, Tiles tiles);
  }

  /** Loops over the tiles of a task. */
  interface Tiles {
    void forEach(Body body);
  }

  /** The order for tiles of a shape; empty if it cannot be had or is no use. */
  static Optional<BlocksOutside> of(
      NestEmitter nest, Contraction c, GemmTile tile, int elementBytes) {
    if (!c.extentM().isConst()
        || !c.extentK().isConst()
        || !c.extentN().isConst()
        || c.batch().stream()
            .anyMatch(axis -> !axis.extent().isConst() || c.column().axes().contains(axis))) {
      return Optional.empty();
    }
    long most = Math.max(1, TOTALS / ((long) tile.rows() * tile.width() * elementBytes));
    long all = Math.ceilDiv(c.extentM().constValue(), tile.rows());
    long last = c.batch().isEmpty() ? 1 : c.batch().getLast().extent().constValue();
    long positions = 1;
    for (long d = 2; d <= last && d * all <= most; d++) {
      positions = last % d == 0 ? d : positions;
    }
    long tiles = Math.ceilDiv(all, Math.ceilDiv(all, most));
    return positions * tiles < FEWEST
        ? Optional.empty()
        : Optional.of(new BlocksOutside(nest, c, tile, positions, tiles));
  }

  /** Whether it is the order to take where nothing is known of the machine. */
  boolean pays(int elementBytes) {
    return c.extentK().constValue() * tile.width() * elementBytes >= FAR && occupiesThreads();
  }

  boolean occupiesThreads() {
    return tasks().constValue() >= TASKS;
  }

  /** All tiles of a task. */
  long count() {
    return positions * tiles;
  }

  private long rowBlocks() {
    return Math.ceilDiv(c.extentM().constValue(), tiles * tile.rows());
  }

  private Optional<Axis> last() {
    return c.batch().isEmpty() ? Optional.empty() : Optional.of(c.batch().getLast());
  }

  private DimExpr groups() {
    return last().map(axis -> axis.extent().floorDiv(positions)).orElse(DimExpr.ONE);
  }

  private List<Axis> outerBatch() {
    return c.batch().isEmpty() ? List.of() : c.batch().subList(0, c.batch().size() - 1);
  }

  DimExpr tasks() {
    DimExpr tasks = c.extentN().ceilDiv(tile.width()).times(rowBlocks()).times(groups());
    for (Axis axis : outerBatch()) {
      tasks = tasks.times(axis.extent());
    }
    return tasks;
  }

  /** The tasks that share a panel follow each other. */
  void task(Expr number, Task body) {
    DimExpr outer = DimExpr.product(outerBatch().stream().map(Axis::extent).toList());
    Positions.split(
        nest,
        number,
        DimExpr.of(rowBlocks()),
        (rest, block) ->
            Positions.split(
                nest,
                rest,
                groups(),
                (others, group) ->
                    Positions.split(
                        nest,
                        others,
                        outer,
                        (columnTile, batch) ->
                            Positions.bind(
                                nest,
                                batch,
                                outerBatch(),
                                () -> body.of(columnTile, each -> tiles(block, group, each))))));
  }

  private void tiles(Expr block, Expr group, Body body) {
    if (last().isEmpty()) {
      rows(block, index(0), body);
      return;
    }
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        index(positions),
        1,
        at ->
            nest.with(
                last().orElseThrow(),
                nest.let("p", plus(times(group, index(positions)), at)),
                1,
                () -> rows(block, times(at, index(tiles)), body)));
  }

  private void rows(Expr block, Expr first, Body body) {
    long m = c.extentM().constValue();
    long inAll = m / tile.rows();
    int tail = (int) (m % tile.rows());
    Expr before = times(block, index(tiles));
    Expr full =
        rowBlocks() == 1
            ? index(inAll)
            : nest.let("mf", min(index(tiles), minus(index(inAll), before)));
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        full,
        1,
        i ->
            body.of(
                nest.let("m", times(plus(before, i), index(tile.rows()))),
                tile.rows(),
                nest.let("tn", plus(first, i))));
    if (tail > 0) {
      // Only the last block has the tail: a loop of at most one turn.
      Expr end = rowBlocks() == 1 ? index(1) : minus(index(tiles), full);
      nest.loop(
          Stmt.LoopKind.SERIAL,
          index(0),
          rowBlocks() == 1 ? index(1) : nest.let("me", min(end, index(1))),
          1,
          _ -> body.of(index(inAll * tile.rows()), tail, nest.let("tn", plus(first, full))));
    }
  }
}
