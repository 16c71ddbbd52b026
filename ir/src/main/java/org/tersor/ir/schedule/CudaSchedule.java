package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Stmt;
import org.tersor.runtime.DimExpr;

/**
 * Schedules a stage for CUDA: contractions in tiles, long folds by a block each, and all else by
 * one thread per output element, in blocks of 256 consecutive elements.
 */
final class CudaSchedule {
  private static final int BLOCK = 256;

  private final Stage stage;
  private final NestEmitter nest = new NestEmitter(new NestEmitter.LoopTarget(true, 16));

  private CudaSchedule(Stage stage) {
    this.stage = stage;
  }

  /**
   * @param atLoad whether the stage depends on weights alone
   */
  static void apply(Scheduler scheduler, Stage stage, boolean atLoad) {
    if (atLoad || !CudaContraction.apply(scheduler, stage)) {
      scheduler.launch(
          stage, CudaReduction.emit(stage).orElseGet(new CudaSchedule(stage)::emit), atLoad);
    }
  }

  private LoopSchedule.Result emit() {
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
                  Stmt.Block body =
                      nest.block(() -> Positions.bind(nest, flat, stage.axes(), this::point));
                  nest.emit(
                      new Stmt.If(
                          new Expr.Compare(CompareOp.LT, flat, nest.dim(total)),
                          body,
                          Optional.empty()));
                }));
    return new LoopSchedule.Result(nest.finish(), nest.dims(), tasks);
  }

  private void point() {
    nest.store(stage.target().name(), stage.index().getFirst(), nest.lower(stage.value()));
  }
}
