package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.Optional;
import java.util.function.BiConsumer;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;

/**
 * Tasks of {@link CodedPanels} in which all rows pass a block of columns before the next begins,
 * one row at a time: the block stays in registers, taken apart, and totals are in memory of the
 * task.
 *
 * @param tile of one row, see {@link CodedColumn#resident}
 * @param fused the contiguous output axes as one
 */
record ResidentCodes(
    NestEmitter nest, Contraction c, GemmTile tile, Axis fused, CodedPanels panels) {

  /**
   * @param rows how many there are in a task
   * @param tiles loops over them
   * @param start where totals begin; empty for zero
   * @param store takes a row's totals when all blocks are in them
   */
  void task(
      Expr columnTile,
      long rows,
      BlocksOutside.Tiles tiles,
      Optional<KExpr> start,
      GemmSums.MultiplyAdd multiplyAdd,
      BiConsumer<RegisterTile, Expr[][]> store) {
    Expr n0 = nest.let("n", times(columnTile, index(tile.width())));
    String memory = nest.fresh("tile");
    RegisterTile.allocate(nest, memory, Scalar.F32, tile, rows);
    CodedPanels.TileInMemory at =
        (m0, number) -> {
          Expr origin = nest.let("o", times(number, index(tile.width())));
          return new RegisterTile(nest, c, tile, fused, m0, 1, n0, memory, origin);
        };
    tiles.forEach((m0, _, number) -> {
      RegisterTile row = at.of(m0, number);
      Expr.Var[][] first = row.accumulators(Scalar.F32, start);
      row.forEach((i, v) -> row.store(row.slot(i, v), first[i][v]));
    });
    panels.emit(tiles, at, nest, columnTile, multiplyAdd);
    tiles.forEach((m0, _, number) -> {
      RegisterTile row = at.of(m0, number);
      Expr[][] sums = new Expr[1][tile.columns()];
      row.forEach((i, v) -> sums[i][v] = nest.let("s", row.load(Scalar.F32, row.slot(i, v))));
      store.accept(row, sums);
    });
  }
}
