package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.plus;
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
    Consumer<Buf> read,
    Optional<NextPanel> next) {

  /** {@code sum + row * column}. */
  interface MultiplyAdd {
    Expr apply(Expr row, Expr column, Expr sum);
  }

  Expr[][] emit(Scalar scalar, Optional<KExpr> start) {
    Expr.Var[][] sums = tile.accumulators(scalar, start);
    Expr steps = nest.dim(panels.runSteps());
    rows(access ->
        blocks()
            .outer(first -> run(scalar, sums, index(0), steps, column.from(nest, first), access)));
    return sums;
  }

  /** Runs {@code body} with access to the rows of the tile. */
  void rows(Consumer<Panels.RowAccess> body) {
    panels.rows(nest, tile.m0(), tile.rows(), read, body);
  }

  /** The steps of the sums. */
  KBlocks blocks() {
    return new KBlocks(nest, panels, column);
  }

  /** The inner loop from one step of a run to another. */
  void run(
      Scalar scalar,
      Expr.Var[][] sums,
      Expr from,
      Expr to,
      Panels.Column at,
      Panels.RowAccess access) {
    nest.loop(Stmt.LoopKind.SERIAL, from, to, 1, k -> step(scalar, sums, k, at, access));
  }

  /** One step of k into all accumulators. */
  private void step(
      Scalar scalar, Expr.Var[][] sums, Expr k, Panels.Column at, Panels.RowAccess access) {
    int lanes = tile.shape().lanes();
    Type type = new Type(panels.word(scalar), lanes);
    Expr[] vectors = new Expr[tile.shape().columns()];
    for (int v = 0; v < vectors.length; v++) {
      vectors[v] = nest.let("c", at.load(nest, k, v, type));
    }
    next.ifPresent(panel -> panel.fetch(nest, plus(at.first(), k)));
    for (int i = 0; i < tile.rows(); i++) {
      Expr read = nest.let("a", widen(access.load(nest, i, k, type), lanes));
      Expr scalarOfRow = nest.let("a", panels.codes(read));
      for (int v = 0; v < vectors.length; v++) {
        Expr.Var sum = sums[i][v];
        nest.emit(new Stmt.Assign(sum.name(), multiplyAdd.apply(scalarOfRow, vectors[v], sum)));
      }
    }
  }
}
