package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.runtime.DimExpr;

/**
 * A block of a panel of codes as the numbers that the inner loop multiplies, in memory of the task:
 * all tiles read it, so that codes are converted once and come from far as bytes.
 *
 * @param panel the codes
 * @param block where the numbers are
 */
record WideBlock(NestEmitter nest, GemmTile tile, Panels.Column panel, Buf block) {

  /** Memory for blocks of at most so many steps. */
  static WideBlock allocate(
      NestEmitter nest, GemmTile tile, Panels.Column panel, Scalar element, long steps) {
    DimExpr size = DimExpr.of(steps * tile.width());
    Buf block = new Buf(nest.fresh("wide"), element, List.of(size));
    nest.emit(new Stmt.Alloc(block.name(), Type.of(element), nest.dim(size), Stmt.Space.LOCAL));
    return new WideBlock(nest, tile, panel, block);
  }

  /**
   * Converts the block from step {@code begin} on.
   *
   * @param runs emits its runs over the codes
   * @return emits the same runs over the numbers
   */
  Consumer<KBlocks.Run> fill(Expr begin, Consumer<KBlocks.Run> runs) {
    Expr start = nest.let("wb", plus(panel.base(), times(begin, index(tile.width()))));
    Type type = new Type(block.element(), tile.lanes());
    runs.accept((from, to, codes) -> {
      Panels.Column numbers = numbers(codes, start);
      nest.loop(
          Stmt.LoopKind.SERIAL,
          from,
          to,
          1,
          k -> {
            for (int v = 0; v < tile.columns(); v++) {
              Expr number = codes.load(nest, k, v, type);
              nest.emit(
                  new Stmt.Store(block.name(), numbers.index(k, v), number, Optional.empty()));
            }
          });
    });
    return each -> runs.accept((from, to, codes) -> each.accept(from, to, numbers(codes, start)));
  }

  private Panels.Column numbers(Panels.Column codes, Expr start) {
    Expr base = nest.let("wr", minus(codes.base(), start));
    return new Panels.Column(block, base, tile, codes.group(), codes.first());
  }
}
