package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.plus;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;

/**
 * Sums of a tile in matrix registers, which then go to the tile's memory. Rows of the last register
 * that would lie outside are those before it once more: the same sums twice.
 *
 * @param sums the loops over runs
 * @param size rows of a register
 */
record MatrixSums(
    RegisterTile tile,
    NestEmitter nest,
    GemmSums sums,
    Panels panels,
    int size,
    Scalar rowBytes,
    Scalar columnBytes) {

  TileResults emit(Optional<KExpr> start) {
    int across = tile.shape().columns();
    String[][] totals = new String[Math.ceilDiv(tile.rows(), size)][across];
    for (String[] row : totals) {
      for (int v = 0; v < across; v++) {
        row[v] = nest.fresh("sum");
        nest.emit(new Stmt.Tile.Zero(row[v], size, tile.shape().lanes()));
      }
    }
    sums.rows(access ->
        sums.blocks()
            .outer(first -> {
              Panels.Column column = sums.column().from(nest, first);
              nest.loop(
                  Stmt.LoopKind.SERIAL,
                  index(0),
                  nest.dim(panels.runSteps()),
                  panels.words(),
                  k -> {
                    sums.next()
                        .ifPresent(
                            panel -> panel.fetch(nest, plus(column.first(), k), panels.words()));
                    step(totals, column, k);
                  });
            }));
    int before = Math.max(0, size - tile.rows());
    int width = tile.shape().width();
    for (int i = 0; i < totals.length; i++) {
      for (int v = 0; v < across; v++) {
        Expr at = index((long) (before + place(i)) * width + (long) v * tile.shape().lanes());
        nest.emit(new Stmt.Tile.Store(tile.memory(), at, index(width), totals[i][v]));
      }
    }
    return new TileResults.Memory(Scalar.I32, Scalar.I32, start, before);
  }

  /** First row of the registers {@code i}, relative to the tile's. */
  private int place(int i) {
    return Math.min(i * size, tile.rows() - size);
  }

  /** As many words as a register holds. A factor that is used once leaves its register at once. */
  private void step(String[][] totals, Panels.Column column, Expr k) {
    int down = totals.length;
    int across = totals[0].length;
    Map<Integer, String> rows = new HashMap<>();
    Map<Integer, String> columns = new HashMap<>();
    for (int i = 0; i < down; i++) {
      for (int v = 0; v < across; v++) {
        String total = totals[i][v];
        int row = i;
        int vector = v;
        Runnable dot =
            () -> {
              String a = rows.computeIfAbsent(row, at -> loadRows(at, k));
              String b = columns.computeIfAbsent(vector, at -> loadColumns(column, at, k));
              nest.emit(new Stmt.Tile.Dot(total, rowBytes, a, columnBytes, b));
            };
        boolean usedOnce = (down == 1 || across == 1) && i + v > 0;
        if (usedOnce) {
          nest.emit(nest.block(dot));
        } else {
          dot.run();
        }
      }
    }
  }

  private String loadRows(int i, Expr k) {
    Panels.Strided from = panels.strided(nest, tile.m0(), place(i), k);
    String name = nest.fresh("rows");
    nest.emit(
        new Stmt.Tile.Load(
            name, size, panels.words(), from.buffer().name(), from.index(), from.stride()));
    return name;
  }

  private String loadColumns(Panels.Column column, int v, Expr k) {
    int group = column.group();
    long width = (long) tile.shape().width() * group;
    Expr row = plus(column.base(), LoopExprs.times(k, index(width)));
    Expr at = plus(row, index((long) v * tile.shape().lanes() * group));
    String name = nest.fresh("columns");
    nest.emit(
        new Stmt.Tile.Load(
            name, panels.words(), tile.shape().lanes(), column.buffer().name(), at, index(width)));
    return name;
  }
}
