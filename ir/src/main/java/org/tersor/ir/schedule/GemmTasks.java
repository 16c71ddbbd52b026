package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;

import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Stmt;
import org.tersor.runtime.DimExpr;

/**
 * The loops over tasks, and over blocks of rows and column panels in them.
 *
 * @param sharesColumns whether all of the batch reads the same weights
 */
record GemmTasks(
    NestEmitter nest, Contraction c, Places rows, Places columns, boolean sharesColumns) {

  /** Blocks of rows or columns: one per task, or all of them in each. */
  record Places(DimExpr count, DimExpr tasks, boolean inTasks) {
    static Places of(DimExpr count, boolean inTasks) {
      return new Places(count, inTasks ? count : DimExpr.ONE, inTasks);
    }
  }

  DimExpr count() {
    DimExpr tasks = rows.tasks.times(columns.tasks);
    for (Axis axis : c.batch()) {
      tasks = tasks.times(axis.extent());
    }
    return tasks;
  }

  /**
   * @param body gets the number of the block of rows and that of the column panel
   */
  void forEach(boolean rowsOutside, BiConsumer<Expr, Expr> body) {
    nest.loop(
        Stmt.LoopKind.PARALLEL,
        index(0),
        nest.dim(count()),
        1,
        task -> {
          if (rowsOutside) {
            tiles(task, rows, columns, body);
          } else {
            tiles(task, columns, rows, (column, row) -> body.accept(row, column));
          }
        });
  }

  private void tiles(Expr task, Places outer, Places inner, BiConsumer<Expr, Expr> body) {
    Positions.split(
        nest,
        task,
        inner.tasks,
        (rest, i) ->
            split(
                rest,
                outer.tasks,
                (batch, o) ->
                    Positions.bind(
                        nest,
                        batch,
                        c.batch(),
                        () -> place(outer, o, at -> place(inner, i, b -> body.accept(at, b))))));
  }

  /**
   * Position in the batch and number of the outer block. Weights that all of the batch shares stay
   * in the cache while the batch goes by.
   */
  private void split(Expr value, DimExpr outerTasks, Positions.Pair then) {
    if (sharesColumns) {
      DimExpr batches = DimExpr.product(c.batch().stream().map(Axis::extent).toList());
      Positions.split(nest, value, batches, (o, batch) -> then.accept(batch, o));
    } else {
      Positions.split(nest, value, outerTasks, then);
    }
  }

  private void place(Places places, Expr ofTask, Consumer<Expr> body) {
    if (places.inTasks) {
      body.accept(ofTask);
    } else {
      nest.loop(Stmt.LoopKind.SERIAL, index(0), nest.dim(places.count), 1, body);
    }
  }
}
