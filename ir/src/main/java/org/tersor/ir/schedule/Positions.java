package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;

import java.util.List;
import java.util.Map;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.runtime.DimExpr;

/** A flat position and its coordinates on axes, the last axis varying fastest. */
final class Positions {
  private Positions() {}

  /** Takes a quotient and a remainder. */
  interface Pair {
    void accept(Expr quotient, Expr remainder);
  }

  static void split(NestEmitter nest, Expr value, DimExpr extent, Pair then) {
    if (extent.isConst(1)) {
      then.accept(value, index(0));
      return;
    }
    Expr by = nest.dim(extent);
    Expr remainder = nest.let("r", new Expr.Binary(BinaryOp.FLOORMOD, value, by));
    Expr quotient = nest.let("q", new Expr.Binary(BinaryOp.FLOORDIV, value, by));
    then.accept(quotient, remainder);
  }

  /** Runs {@code body} with the axes bound to the coordinates of {@code position}. */
  static void bind(NestEmitter nest, Expr position, List<Axis> axes, Runnable body) {
    if (axes.isEmpty()) {
      body.run();
      return;
    }
    List<Axis> outer = axes.subList(0, axes.size() - 1);
    if (outer.isEmpty()) {
      nest.with(axes.getLast(), position, 1, body);
      return;
    }
    split(
        nest,
        position,
        axes.getLast().extent(),
        (q, r) -> nest.with(axes.getLast(), r, 1, () -> bind(nest, q, outer, body)));
  }

  /** Puts each axis's coordinate of {@code position} into a map. */
  static void decompose(KExpr position, List<Axis> axes, Map<Axis, KExpr> into) {
    KExpr rest = position;
    for (int i = axes.size() - 1; i > 0; i--) {
      KExpr extent = K.dim(axes.get(i).extent());
      into.put(axes.get(i), K.floorMod(rest, extent));
      rest = K.floorDiv(rest, extent);
    }
    if (!axes.isEmpty()) {
      into.put(axes.getFirst(), rest);
    }
  }

  /** Position of the axes' point in memory of their extents. */
  static KExpr flat(List<Axis> axes) {
    KExpr index = K.index(0);
    for (Axis axis : axes) {
      index = K.add(K.mul(index, K.dim(axis.extent())), K.axis(axis));
    }
    return Affine.of(index).toKExpr();
  }
}
