package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.identity;
import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/**
 * One tile of a contraction's output: {@code rows} rows from {@code m0}, all columns of the tile
 * from {@code n0} on the fused contiguous axis.
 *
 * @param memory buffer of the task with room for all elements, row by row, where {@link #allocate}
 *     was called for it
 * @param origin where the tile begins in it
 */
record RegisterTile(
    NestEmitter nest,
    Contraction c,
    GemmTile shape,
    Axis fused,
    Expr m0,
    int rows,
    Expr n0,
    String memory,
    Expr origin) {

  /** Something done for row i and vector v of the tile. */
  interface Each {
    void accept(int i, int v);
  }

  void forEach(Each body) {
    for (int i = 0; i < rows; i++) {
      for (int v = 0; v < shape.columns(); v++) {
        body.accept(i, v);
      }
    }
  }

  /**
   * Runs {@code body} at row i and vector v with a change that moves expressions there: both are
   * constant offsets from the tile's origin, so that all addresses of a tile share one register.
   */
  void at(int i, int v, Consumer<UnaryOperator<KExpr>> body) {
    long column = (long) v * shape.lanes();
    Map<Axis, KExpr> offsets = new HashMap<>();
    offsets.put(fused, K.add(K.axis(fused), K.index(column)));
    c.m().ifPresent(m -> offsets.put(m, K.add(K.axis(m), K.index(i))));
    UnaryOperator<KExpr> move = e -> Affine.canonical(KExprs.substitute(e, offsets));
    // Columns inside rows: what depends on columns alone needs no proof that there are rows.
    Runnable bound =
        () -> inRow(() -> nest.with(fused, n0, shape.lanes(), () -> body.accept(move)));
    boolean partial = isPartial(column + shape.lanes());
    Expr left = minus(nest.dim(c.extentN()), plus(n0, index(column)));
    if (partial && shape.lanes() > 1) {
      nest.masked(left, shape.lanes(), bound);
    } else if (partial) {
      Stmt.Block block = nest.block(bound);
      nest.emit(
          new Stmt.If(new Expr.Compare(CompareOp.GT, left, index(0)), block, Optional.empty()));
    } else {
      bound.run();
    }
  }

  /** Whether columns below {@code end} of the last tile may lie outside. */
  private boolean isPartial(long end) {
    if (!c.extentN().isConst()) {
      return true;
    }
    long tail = c.extentN().constValue() % shape.width();
    return tail != 0 && end > tail;
  }

  private void inRow(Runnable body) {
    if (c.m().isPresent()) {
      nest.with(c.m().get(), m0, 1, body);
    } else {
      body.run();
    }
  }

  /** Memory for so many tiles of a task. */
  static void allocate(
      NestEmitter nest, String memory, Scalar element, GemmTile shape, long tiles) {
    Expr size = index(tiles * shape.rows() * shape.width());
    nest.emit(new Stmt.Alloc(memory, new Type(element, 1), size, Stmt.Space.LOCAL));
  }

  /** A vector of the tile's memory. */
  Expr load(Scalar element, Expr at) {
    return new Expr.Load(new Type(element, shape.lanes()), memory, at, Optional.empty());
  }

  /** Puts a vector into the tile's memory. */
  void store(Expr at, Expr value) {
    nest.emit(new Stmt.Store(memory, at, value, Optional.empty()));
  }

  /** Place of row i and vector v in the tile's memory. */
  Expr slot(int i, int v) {
    return plus(origin, index((long) i * shape.width() + (long) v * shape.lanes()));
  }

  /** A row of the tile as a tile. */
  RegisterTile row(Expr m) {
    return new RegisterTile(nest, c, shape, fused, m, 1, n0, memory, origin);
  }

  /** Declares accumulators of the tile that start with {@code start}, else with zero. */
  Expr.Var[][] accumulators(Scalar scalar, Optional<KExpr> start) {
    Type type = new Type(scalar, shape.lanes());
    Expr.Var[][] sums = new Expr.Var[rows][shape.columns()];
    forEach((i, v) -> {
      sums[i][v] = new Expr.Var(type, nest.fresh("s"));
      nest.emit(new Stmt.Local(sums[i][v].name(), identity(ReduceOp.SUM, type)));
    });
    start.ifPresent(term -> forEach((i, v) -> start(sums[i][v], i, v, term)));
    return sums;
  }

  /** Declares one accumulator. */
  Expr.Var accumulator(int i, int v, Scalar scalar, KExpr start) {
    Type type = new Type(scalar, shape.lanes());
    Expr.Var sum = new Expr.Var(type, nest.fresh("s"));
    nest.emit(new Stmt.Local(sum.name(), identity(ReduceOp.SUM, type)));
    start(sum, i, v, start);
    return sum;
  }

  private void start(Expr.Var sum, int i, int v, KExpr term) {
    at(
        i,
        v,
        move ->
            nest.emit(
                new Stmt.Assign(sum.name(), widen(nest.lower(move.apply(term)), shape.lanes()))));
  }
}
