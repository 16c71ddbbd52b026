package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;

import org.tersor.ir.kernel.Buf;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Stmt;
import org.tersor.runtime.DimExpr;

/**
 * Fetches the column panel that tiles read next, a little with each step of the tiles that read
 * this one. Weights of a whole model are larger than a core's own cache, so that a panel which
 * nothing announces comes at the pace of the memory behind it, while the multiply-add units wait.
 *
 * @param first element that the tile's first step fetches
 * @param stride elements from one fetch to the next
 * @param perStep fetches in a step
 */
record NextPanel(Buf buffer, Expr first, long stride, int perStep) {
  /** Tiles that share the work at most; those after them ask for what they read anyway. */
  private static final int TILES = 8;

  /** Tiles that share it where their number is not known. */
  private static final int TILES_OF_ANY = 2;

  private static final long LINE = 64;

  /**
   * Bytes between what a lone tile reads and what it fetches: nobody reads the panel again, so that
   * all panels are one stream, of which more would only take room in the caches.
   */
  private static final long AHEAD = 1 << 12;

  /** Bytes of all panels together below which they stay where they are. */
  private static final long SMALLEST = 1 << 15;

  /** Whether so many panels of so many elements are worth it. */
  static boolean pays(Buf buffer, DimExpr elements, DimExpr panels) {
    DimExpr all = elements.times(panels);
    return !all.isConst() || all.constValue() * buffer.element().bytes() >= SMALLEST;
  }

  /**
   * @param panel the panel that tiles read now
   * @param elements elements of a panel
   * @param steps steps of a tile
   * @param tiles tiles that read a panel
   * @param number the tile's among them
   */
  static NextPanel of(
      NestEmitter nest,
      Panels.Column panel,
      DimExpr elements,
      DimExpr steps,
      DimExpr tiles,
      Expr number) {
    long sharing = tiles.isConst() ? Math.clamp(tiles.constValue(), 1, TILES) : TILES_OF_ANY;
    boolean all = tiles.isConst() && tiles.constValue() <= TILES;
    long width = (long) panel.tile().width() * panel.group();
    long line = LINE / panel.buffer().element().bytes();
    long perStep = Math.max(1, Math.ceilDiv(width, sharing * line));
    long stride = Math.ceilDiv(width, sharing * perStep);
    boolean alone = tiles.isConst() && tiles.constValue() <= 1;
    Expr next =
        plus(
            panel.base(),
            alone ? index(AHEAD / panel.buffer().element().bytes()) : nest.dim(elements));
    Expr first = plus(next, times(number, nest.dim(steps.times(perStep * stride))));
    Expr begin =
        all
            ? first
            : new Expr.Select(
                new Expr.Compare(CompareOp.LT, number, index(sharing)), first, panel.base());
    return new NextPanel(panel.buffer(), nest.let("pf", begin), stride, (int) perStep);
  }

  /** The same for steps that are counted from {@code step}. */
  NextPanel from(NestEmitter nest, Expr step) {
    Expr before = times(step, index(perStep * stride));
    return new NextPanel(buffer, nest.let("pf", minus(first, before)), stride, perStep);
  }

  /** What is fetched with {@code steps} steps from {@code k} on, counted from the panel's first. */
  void fetch(NestEmitter nest, Expr k, int steps) {
    long line = LINE / buffer.element().bytes();
    for (long at = 0; at < stride * perStep * steps; at += Math.max(line, stride)) {
      Expr from = times(k, index(stride * perStep));
      nest.emit(new Stmt.Prefetch(buffer.name(), plus(first, plus(from, index(at)))));
    }
  }

  /** What is fetched with step {@code k}, counted from the panel's first. */
  void fetch(NestEmitter nest, Expr k) {
    for (int i = 0; i < perStep; i++) {
      Expr at = plus(times(k, index(perStep)), index(i));
      nest.emit(new Stmt.Prefetch(buffer.name(), plus(first, times(at, index(stride)))));
    }
  }
}
