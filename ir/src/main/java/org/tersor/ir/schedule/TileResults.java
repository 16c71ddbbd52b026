package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.Optional;
import java.util.function.UnaryOperator;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/** The finished sums of a tile, as what follows them takes them. */
sealed interface TileResults {

  /**
   * Vectors of a tile times operations of each result above which results go through memory where
   * long functions are not compiled. On the JVM an operation takes about 45 bytes, and vectors that
   * are arguments of a second method would become objects.
   */
  int MOST_OPERATIONS = 60;

  /** What is done with a sum; {@code move} brings expressions to its place in the tile. */
  interface Each {
    void accept(Expr sum, UnaryOperator<KExpr> move);
  }

  void forEach(RegisterTile tile, Each body);

  /** One value for each row and vector. */
  record Registers(Expr[][] values) implements TileResults {
    @Override
    public void forEach(RegisterTile tile, Each body) {
      tile.forEach((i, v) -> tile.at(i, v, move -> body.accept(values[i][v], move)));
    }
  }

  /**
   * Elements of the tile's memory, which a loop over rows reads: the code for one row serves all.
   *
   * @param stored their type there
   * @param sum type of the sums
   * @param start what is still to be added to them
   * @param first row of memory with the tile's first row
   */
  record Memory(Scalar stored, Scalar sum, Optional<KExpr> start, int first)
      implements TileResults {
    Memory(Scalar stored, Scalar sum, Optional<KExpr> start) {
      this(stored, sum, start, 0);
    }

    @Override
    public void forEach(RegisterTile tile, Each body) {
      NestEmitter nest = tile.nest();
      nest.loop(
          Stmt.LoopKind.SERIAL,
          index(0),
          index(tile.rows()),
          1,
          i -> {
            RegisterTile row = tile.row(nest.let("m", plus(tile.m0(), i)));
            Expr place = plus(i, index(first));
            Expr row0 =
                nest.let("x", plus(tile.origin(), times(place, index(tile.shape().width()))));
            for (int v = 0; v < tile.shape().columns(); v++) {
              Expr part = tile.load(stored, plus(row0, index((long) v * tile.shape().lanes())));
              row.at(0, v, move -> body.accept(whole(nest, part, move), move));
            }
          });
    }

    private Expr whole(NestEmitter nest, Expr part, UnaryOperator<KExpr> move) {
      Type type = part.type().withScalar(sum);
      Expr cast = stored == sum ? part : new Expr.Cast(type, part, true);
      Expr whole =
          start
              .<Expr>map(term ->
                  new Expr.Binary(
                      BinaryOp.ADD, widen(nest.lower(move.apply(term)), type.lanes()), cast))
              .orElse(cast);
      return nest.let("s", whole);
    }
  }

  /**
   * Whether results of so many vectors go through memory: where a function as an exponential
   * follows, too. It is a polynomial that needs the registers of the sums for its constants, and
   * written out for each vector it makes a method that HotSpot compiles for seconds.
   */
  static boolean throughMemory(Target target, KExpr epilogue, int vectors) {
    return KExprs.all(epilogue, KExpr.Un.class).stream().anyMatch(e -> e.op().isTranscendental())
        || (!target.has(Target.Feature.LONG_FUNCTIONS)
            && operations(epilogue) * vectors > MOST_OPERATIONS);
  }

  private static int operations(KExpr epilogue) {
    int[] count = {0};
    KExprs.visit(
        epilogue,
        e -> {
          boolean computes =
              e instanceof KExpr.Un
                  || e instanceof KExpr.Bin
                  || e instanceof KExpr.Cmp
                  || e instanceof KExpr.If
                  || e instanceof KExpr.To
                  || e instanceof KExpr.BitsAs;
          count[0] += computes && e.scalar() != Scalar.INDEX ? 1 : 0;
        });
    return count[0];
  }
}
