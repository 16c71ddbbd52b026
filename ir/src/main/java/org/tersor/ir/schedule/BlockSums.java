package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.min;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.runtime.DimExpr;

/**
 * Sums of at most {@code steps} products in F32 registers, added up in a tile in memory. With an
 * I32 tile these are 8-bit products where there is no Dot4: exact while every partial sum stays
 * below 2^24. With an F32 tile the error of a long sum grows with the length of a block and the
 * number of blocks, not with their product.
 *
 * @param totals element type of the tile
 * @param steps products in a block
 */
record BlockSums(RegisterTile tile, NestEmitter nest, GemmSums sums, Scalar totals, int steps) {

  /** Whether the sums need totals in memory. */
  boolean needsTotals() {
    return needsTotals(sums.panels(), totals, steps);
  }

  static boolean needsTotals(Panels panels, Scalar totals, int steps) {
    DimExpr all = panels.steps();
    return totals == Scalar.F32 || !all.isConst() || all.constValue() > steps;
  }

  /**
   * @param loop whether what follows reads the results from memory
   */
  TileResults emit(Optional<KExpr> start, boolean loop) {
    if (!needsTotals()) {
      return inOneBlock(start, loop);
    }
    Type type = new Type(totals, tile.shape().lanes());
    Expr.Var[][] first = tile.accumulators(totals, start);
    tile.forEach((i, v) -> tile.store(tile.slot(i, v), first[i][v]));
    Block block =
        body -> {
          Expr.Var[][] parts = tile.accumulators(Scalar.F32, Optional.empty());
          body.accept(parts);
          tile.forEach((i, v) -> {
            Expr part = totals == Scalar.F32 ? parts[i][v] : new Expr.Cast(type, parts[i][v], true);
            Expr total = new Expr.Binary(BinaryOp.ADD, tile.load(totals, tile.slot(i, v)), part);
            tile.store(tile.slot(i, v), total);
          });
        };
    sums.rows(access -> blocks(sums.panels().outerRuns(), access, block));
    if (loop) {
      return new TileResults.Memory(totals, totals, Optional.empty());
    }
    Expr[][] result = new Expr[tile.rows()][tile.shape().columns()];
    tile.forEach((i, v) -> result[i][v] = nest.let("s", tile.load(totals, tile.slot(i, v))));
    return new TileResults.Registers(result);
  }

  /** Sums that end in one block need no totals in memory. */
  private TileResults inOneBlock(Optional<KExpr> start, boolean loop) {
    Type type = new Type(totals, tile.shape().lanes());
    Expr[][] parts = sums.emit(Scalar.F32, Optional.empty());
    if (loop) {
      tile.forEach((i, v) -> tile.store(tile.slot(i, v), parts[i][v]));
      return new TileResults.Memory(Scalar.F32, totals, start);
    }
    Expr[][] result = new Expr[tile.rows()][tile.shape().columns()];
    tile.forEach((i, v) -> {
      Expr part = new Expr.Cast(type, parts[i][v], true);
      Expr total =
          start
              .<Expr>map(
                  term -> new Expr.Binary(BinaryOp.ADD, tile.accumulator(i, v, totals, term), part))
              .orElse(part);
      result[i][v] = nest.let("s", total);
    });
    return new TileResults.Registers(result);
  }

  /** Sums in registers, then adds them to the totals. */
  private interface Block {
    void of(Consumer<Expr.Var[][]> body);
  }

  private void blocks(List<Axis> outer, Panels.RowAccess access, Block block) {
    DimExpr run = sums.panels().runSteps();
    long length = run.isConst() ? Math.max(1, run.constValue()) : steps;
    long together = steps / length;
    if (outer.isEmpty() || together < 2) {
      sums.outer(outer, index(0), first -> within(first, access, block));
      return;
    }
    // Runs are short: several turns of the innermost loop around them make a block.
    Axis last = outer.getLast();
    Expr end = nest.dim(last.extent());
    Expr whole = nest.dim(run);
    sums.outerTo(
        outer.subList(0, outer.size() - 1),
        index(0),
        before ->
            nest.loop(
                Stmt.LoopKind.SERIAL,
                index(0),
                end,
                (int) together,
                at0 -> {
                  Expr stop = nest.let("re", min(plus(at0, index(together)), end));
                  block.of(parts ->
                      nest.loop(
                          Stmt.LoopKind.SERIAL,
                          at0,
                          stop,
                          1,
                          at ->
                              nest.with(
                                  last,
                                  at,
                                  1,
                                  () -> {
                                    Expr first = times(sums.after(before, last, at), whole);
                                    Panels.Column column = sums.column().from(nest, first);
                                    sums.run(Scalar.F32, parts, index(0), whole, column, access);
                                  })));
                }));
  }

  private void within(Expr first, Panels.RowAccess access, Block block) {
    Expr end = nest.dim(sums.panels().runSteps());
    Panels.Column column = sums.column().from(nest, first);
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        end,
        steps,
        k0 -> {
          Expr stop = nest.let("ke", min(plus(k0, index(steps)), end));
          block.of(parts -> sums.run(Scalar.F32, parts, k0, stop, column, access));
        });
  }
}
