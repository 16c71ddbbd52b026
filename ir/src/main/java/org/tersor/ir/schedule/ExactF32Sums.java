package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.min;
import static org.tersor.ir.schedule.LoopExprs.plus;

import java.util.Optional;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/**
 * Sums of 8-bit products where there is no Dot4: F32 sums of at most {@code steps} products, which
 * are exact, added up in an I32 tile in memory.
 *
 * @param steps products of which every partial sum stays below 2^24
 */
record ExactF32Sums(RegisterTile tile, NestEmitter nest, GemmSums sums, int steps) {

  Expr[][] emit(Optional<KExpr> start) {
    Type ints = new Type(Scalar.I32, tile.shape().lanes());
    Expr.Var[][] totals = tile.accumulators(Scalar.I32, start);
    String buffer = nest.fresh("tile");
    Expr size = index((long) tile.rows() * tile.shape().width());
    nest.emit(new Stmt.Alloc(buffer, Type.I32, size, Stmt.Space.LOCAL));
    tile.forEach((i, v) -> store(buffer, i, v, totals[i][v]));
    Expr end = nest.dim(sums.panels().steps());
    sums.rows(access ->
        nest.loop(
            Stmt.LoopKind.SERIAL,
            index(0),
            end,
            steps,
            k0 -> {
              Expr.Var[][] parts = tile.accumulators(Scalar.F32, Optional.empty());
              Expr stop = nest.let("ke", min(plus(k0, index(steps)), end));
              nest.loop(
                  Stmt.LoopKind.SERIAL, k0, stop, 1, k -> sums.step(Scalar.F32, parts, k, access));
              tile.forEach((i, v) -> {
                Expr part = new Expr.Cast(ints, parts[i][v], true);
                Expr total = new Expr.Binary(BinaryOp.ADD, load(ints, buffer, i, v), part);
                store(buffer, i, v, total);
              });
            }));
    Expr[][] result = new Expr[tile.rows()][tile.shape().columns()];
    tile.forEach((i, v) -> result[i][v] = nest.let("s", load(ints, buffer, i, v)));
    return result;
  }

  private Expr load(Type type, String buffer, int i, int v) {
    return new Expr.Load(type, buffer, slot(i, v), Optional.empty());
  }

  private void store(String buffer, int i, int v, Expr value) {
    nest.emit(new Stmt.Store(buffer, slot(i, v), value, Optional.empty()));
  }

  private Expr slot(int i, int v) {
    return index((long) i * tile.shape().width() + (long) v * tile.shape().lanes());
  }
}
