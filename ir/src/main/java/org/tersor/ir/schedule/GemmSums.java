package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.Optional;
import java.util.function.Consumer;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/** The k loop of one register tile, summing in the accumulators' own type. */
record GemmSums(
    RegisterTile tile,
    NestEmitter nest,
    Panels panels,
    Panels.Column column,
    MultiplyAdd multiplyAdd,
    Consumer<Buf> read) {

  /** {@code sum + row * column}. */
  interface MultiplyAdd {
    Expr apply(Expr row, Expr column, Expr sum);
  }

  Expr[][] emit(Scalar scalar, Optional<KExpr> start) {
    Expr.Var[][] sums = tile.accumulators(scalar, start);
    Expr steps = nest.dim(panels.steps());
    rows(access ->
        nest.loop(Stmt.LoopKind.SERIAL, index(0), steps, 1, k -> step(scalar, sums, k, access)));
    return sums;
  }

  /** Runs {@code body} with access to the rows of the tile. */
  void rows(Consumer<Panels.RowAccess> body) {
    panels.rows(nest, tile.m0(), tile.rows(), read, body);
  }

  /** One step of k into all accumulators. */
  void step(Scalar scalar, Expr.Var[][] sums, Expr k, Panels.RowAccess access) {
    int lanes = tile.shape().lanes();
    Type type = new Type(scalar, lanes);
    Expr[] vectors = new Expr[tile.shape().columns()];
    for (int v = 0; v < vectors.length; v++) {
      vectors[v] = nest.let("c", column.load(nest, k, v, type));
    }
    for (int i = 0; i < tile.rows(); i++) {
      Expr scalarOfRow = nest.let("a", widen(access.load(nest, i, k, type), lanes));
      for (int v = 0; v < vectors.length; v++) {
        Expr.Var sum = sums[i][v];
        nest.emit(new Stmt.Assign(sum.name(), multiplyAdd.apply(scalarOfRow, vectors[v], sum)));
      }
    }
  }
}
