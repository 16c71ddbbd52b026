package org.tersor.ir.schedule;

import java.util.Optional;
import java.util.function.Consumer;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
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
    begin(start);
    sums.rows(access -> sums.blocks().forEach(steps, (_, _, runs) -> add(runs, access)));
    return end(loop);
  }

  /** Puts the start of the totals into memory. */
  void begin(Optional<KExpr> start) {
    Expr.Var[][] first = tile.accumulators(totals, start);
    tile.forEach((i, v) -> tile.store(tile.slot(i, v), first[i][v]));
  }

  /** Sums a block in registers, then adds it to the totals. */
  void add(Consumer<KBlocks.Run> runs, Panels.RowAccess access) {
    Type type = new Type(totals, tile.shape().lanes());
    Expr.Var[][] parts = tile.accumulators(Scalar.F32, Optional.empty());
    runs.accept((from, to, column) -> sums.run(Scalar.F32, parts, from, to, column, access));
    tile.forEach((i, v) -> {
      Expr part = totals == Scalar.F32 ? parts[i][v] : new Expr.Cast(type, parts[i][v], true);
      Expr total = new Expr.Binary(BinaryOp.ADD, tile.load(totals, tile.slot(i, v)), part);
      tile.store(tile.slot(i, v), total);
    });
  }

  /** The totals, when all blocks are in them. */
  TileResults end(boolean loop) {
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
}
