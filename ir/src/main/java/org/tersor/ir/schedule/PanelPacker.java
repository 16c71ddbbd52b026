package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.min;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.runtime.DimExpr;

/**
 * Packs [k][width][group] of the column factor inside a task: in vectors along the contiguous
 * output axis where the factor allows, row by row of the fused axes. Columns beyond the extent stay
 * undefined; nobody stores their results.
 */
final class PanelPacker {
  private final NestEmitter nest;
  private final Contraction c;
  private final GemmTile tile;
  private final String panel;
  private final KExpr value;
  private final int group;
  private final int lanes;

  /** Else masked steps stay loops: HotSpot takes seconds for a method with dozens of them. */
  private final boolean unrollsMasked;

  PanelPacker(
      NestEmitter nest,
      Contraction c,
      GemmTile tile,
      String panel,
      KExpr value,
      int group,
      boolean unrollsMasked) {
    this.nest = nest;
    this.c = c;
    this.tile = tile;
    this.panel = panel;
    this.value = value;
    this.group = group;
    this.unrollsMasked = unrollsMasked;
    this.lanes =
        tile.lanes() > 1 && LoopSchedule.isVectorisable(value, c.n().getLast()) ? tile.lanes() : 1;
  }

  void pack(Expr n0) {
    Expr end = nest.let("pe", min(plus(n0, index(tile.width())), nest.dim(c.extentN())));
    if (c.n().size() == 1) {
      segment(n0, n0, end, index(0));
      return;
    }
    Expr rowLength = nest.dim(c.n().getLast().extent());
    Expr firstRow = nest.let("r0", new Expr.Binary(BinaryOp.FLOORDIV, n0, rowLength));
    Expr last = minus(end, index(1));
    Expr rowEnd =
        nest.let("r1", plus(new Expr.Binary(BinaryOp.FLOORDIV, last, rowLength), index(1)));
    nest.loop(
        Stmt.LoopKind.SERIAL,
        firstRow,
        rowEnd,
        1,
        row ->
            outerAxes(
                row,
                c.n().subList(0, c.n().size() - 1),
                () -> {
                  Expr rowStart = nest.let("rs", times(row, rowLength));
                  Expr from = nest.let("pf", new Expr.Binary(BinaryOp.MAX, n0, rowStart));
                  Expr to = nest.let("pt", min(end, plus(rowStart, rowLength)));
                  segment(n0, from, to, rowStart);
                }));
  }

  private void outerAxes(Expr row, List<Axis> axes, Runnable body) {
    if (axes.isEmpty()) {
      body.run();
      return;
    }
    Axis inner = axes.getLast();
    List<Axis> outer = axes.subList(0, axes.size() - 1);
    if (outer.isEmpty()) {
      nest.with(inner, row, 1, body);
      return;
    }
    Expr extent = nest.dim(inner.extent());
    Expr position = nest.let("o", new Expr.Binary(BinaryOp.FLOORMOD, row, extent));
    Expr rest = nest.let("p", new Expr.Binary(BinaryOp.FLOORDIV, row, extent));
    nest.with(inner, position, 1, () -> outerAxes(rest, outer, body));
  }

  /** Positions from..to of the fused axis, which lie on one row starting at position rowStart. */
  private void segment(Expr n0, Expr from, Expr to, Expr rowStart) {
    Axis axis = c.n().getLast();
    if (lanes == 1) {
      nest.loop(
          Stmt.LoopKind.SERIAL,
          from,
          to,
          1,
          p ->
              nest.with(axis, minus(p, rowStart), 1, () -> steps(column(p, n0), Optional.empty())));
      return;
    }
    // Whole vectors first: masks cost more than the few they save.
    Expr count = new Expr.Binary(BinaryOp.FLOORDIV, minus(to, from), index(lanes));
    Expr full = nest.let("pv", plus(from, times(count, index(lanes))));
    nest.loop(
        Stmt.LoopKind.SERIAL,
        from,
        full,
        lanes,
        p ->
            nest.with(
                axis, minus(p, rowStart), lanes, () -> steps(column(p, n0), Optional.empty())));
    nest.loop(
        Stmt.LoopKind.SERIAL,
        full,
        to,
        lanes,
        p -> {
          Runnable vector = () -> steps(column(p, n0), nest.activeMask());
          nest.masked(
              minus(to, p), lanes, () -> nest.with(axis, minus(p, rowStart), lanes, vector));
        });
  }

  private Expr column(Expr p, Expr n0) {
    return nest.let("pc", times(minus(p, n0), index(group)));
  }

  private void steps(Expr column, Optional<Expr> mask) {
    if (group == 1) {
      kLoops(c.k(), K.index(0), column, mask);
    } else {
      groups(column, mask);
    }
  }

  private void kLoops(List<Axis> axes, KExpr k, Expr column, Optional<Expr> mask) {
    if (axes.isEmpty()) {
      KExpr row = Affine.of(K.mul(k, K.index(tile.width()))).toKExpr();
      Expr index = plus(nest.lower(row), column);
      nest.emit(new Stmt.Store(panel, index, widen(nest.lower(value), lanes), mask));
      return;
    }
    Axis axis = axes.getFirst();
    List<Axis> rest = axes.subList(1, axes.size());
    KExpr next = K.add(K.mul(k, K.dim(axis.extent())), K.axis(axis));
    boolean unroll =
        (unrollsMasked || mask.isEmpty())
            && axes.size() < c.k().size()
            && axis.extent().isConst()
            && axis.extent().constValue() <= 5;
    if (unroll) {
      for (long i = 0; i < axis.extent().constValue(); i++) {
        nest.with(axis, index(i), 1, () -> kLoops(rest, next, column, mask));
      }
    } else {
      nest.loop(
          Stmt.LoopKind.SERIAL,
          axis,
          index(0),
          nest.dim(axis.extent()),
          1,
          1,
          () -> kLoops(rest, next, column, mask));
    }
  }

  /** Four successive k in the bytes of one I32. */
  private void groups(Expr column, Optional<Expr> mask) {
    Axis step = new Axis("k_step", c.extentK().ceilDiv(group));
    nest.loop(
        Stmt.LoopKind.SERIAL,
        step,
        index(0),
        nest.dim(step.extent()),
        1,
        1,
        () -> {
          Optional<Expr> word = Optional.empty();
          for (int part = 0; part < group; part++) {
            Expr shifted = shifted(codeAt(step, part), part);
            word =
                Optional.of(
                    word.<Expr>map(w -> new Expr.Binary(BinaryOp.OR, w, shifted)).orElse(shifted));
          }
          KExpr row =
              Affine.of(K.mul(new KExpr.AxisRef(step), K.index((long) tile.width() * group)))
                  .toKExpr();
          Expr index = plus(nest.lower(row), column);
          nest.emit(new Stmt.Store(panel, index, word.orElseThrow(), mask));
        });
  }

  private Expr codeAt(Axis step, int part) {
    KExpr k = K.add(K.mul(new KExpr.AxisRef(step), K.index(group)), K.index(part));
    Map<Axis, KExpr> replacement = new HashMap<>();
    Positions.decompose(k, c.k(), replacement);
    KExpr code = Affine.canonical(KExprs.substitute(value, replacement));
    DimExpr extent = c.extentK();
    boolean even = extent.isConst() && extent.constValue() % group == 0;
    KExpr guarded = even ? code : new KExpr.If(K.lt(k, K.dim(extent)), code, K.i32(0));
    return widen(nest.lower(guarded), lanes);
  }

  private Expr shifted(Expr code, int part) {
    Type type = new Type(Scalar.I32, lanes);
    Expr low = new Expr.Binary(BinaryOp.AND, code, new Expr.IntConst(type, 255));
    return part == 0 ? low : new Expr.Binary(BinaryOp.SHL, low, new Expr.IntConst(type, 8L * part));
  }
}
