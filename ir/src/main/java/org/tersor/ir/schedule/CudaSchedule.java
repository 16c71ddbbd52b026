package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Stmt;
import org.tersor.runtime.DimExpr;

/** One thread per output element, in blocks of 256 consecutive elements. */
final class CudaSchedule {
  private static final int BLOCK = 256;

  private final Stage stage;
  private final NestEmitter nest = new NestEmitter(new NestEmitter.LoopTarget(true, 16));

  CudaSchedule(Stage stage) {
    this.stage = stage;
  }

  LoopSchedule.Result emit() {
    DimExpr total = DimExpr.product(stage.axes().stream().map(Axis::extent).toList());
    DimExpr tasks = total.ceilDiv(BLOCK);
    nest.loop(
        Stmt.LoopKind.PARALLEL,
        index(0),
        nest.dim(tasks),
        1,
        block ->
            nest.loop(
                Stmt.LoopKind.LANES,
                index(0),
                index(BLOCK),
                1,
                lane -> {
                  Expr flat = nest.let("p", plus(times(block, index(BLOCK)), lane));
                  Stmt.Block body = nest.block(() -> point(flat, stage.axes()));
                  nest.emit(
                      new Stmt.If(
                          new Expr.Compare(CompareOp.LT, flat, nest.dim(total)),
                          body,
                          Optional.empty()));
                }));
    return new LoopSchedule.Result(nest.finish(), nest.dims(), tasks);
  }

  private void point(Expr flat, List<Axis> axes) {
    if (axes.isEmpty()) {
      nest.store(stage.target().name(), stage.index().getFirst(), nest.lower(stage.value()));
      return;
    }
    Axis axis = axes.getLast();
    List<Axis> outer = axes.subList(0, axes.size() - 1);
    if (outer.isEmpty()) {
      nest.with(axis, flat, 1, () -> point(flat, outer));
      return;
    }
    Expr extent = nest.dim(axis.extent());
    Expr position = nest.let("a", new Expr.Binary(BinaryOp.FLOORMOD, flat, extent));
    Expr rest = nest.let("r", new Expr.Binary(BinaryOp.FLOORDIV, flat, extent));
    nest.with(axis, position, 1, () -> point(rest, outer));
  }
}
