package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.identity;
import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.plus;

import java.util.List;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.kernel.Stage;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.runtime.DimExpr;

/**
 * Schedules a long fold over neighbouring elements for CUDA: a block per output element, whose
 * threads fold every 256th element each, then combine by a tree in shared memory. So a float sum is
 * in another order than that of one thread.
 */
final class CudaReduction {
  private static final int THREADS = 256;

  /** Shortest fold that keeps a block busy. */
  private static final int SHORTEST = 64;

  private final Stage stage;
  private final KExpr.Fold fold;
  private final NestEmitter nest = new NestEmitter(new NestEmitter.LoopTarget(true, 16));

  private CudaReduction(Stage stage, KExpr.Fold fold) {
    this.stage = stage;
    this.fold = fold;
  }

  /** The code, if the stage is one long fold along memory. */
  static Optional<LoopSchedule.Result> emit(Stage stage) {
    List<KExpr.Fold> folds =
        KExprs.all(stage.value(), KExpr.Fold.class).stream().distinct().toList();
    if (folds.size() != 1 || inChoice(stage.value()) || !fits(folds.getFirst())) {
      return Optional.empty();
    }
    return Optional.of(new CudaReduction(stage, folds.getFirst()).emit());
  }

  /** A fold under a condition may read only where that holds. */
  private static boolean inChoice(KExpr e) {
    return e instanceof KExpr.If
        ? !KExprs.all(e, KExpr.Fold.class).isEmpty()
        : !(e instanceof KExpr.Fold)
            && KExprs.operands(e).stream().anyMatch(CudaReduction::inChoice);
  }

  private static boolean fits(KExpr.Fold fold) {
    DimExpr extent = DimExpr.product(fold.axes().stream().map(Axis::extent).toList());
    boolean isLong = !extent.isConst() || extent.constValue() >= SHORTEST;
    Axis innermost = fold.axes().getLast();
    return isLong
        && StageSimplifier.reads(fold.body()).values().stream()
            .anyMatch(read -> read.coefficient(innermost).isConst(1));
  }

  private LoopSchedule.Result emit() {
    List<Axis> axes = stage.axes();
    DimExpr tasks = DimExpr.product(axes.stream().map(Axis::extent).toList());
    nest.loop(
        Stmt.LoopKind.PARALLEL,
        index(0),
        nest.dim(tasks),
        1,
        task -> Positions.bind(nest, task, axes, this::block));
    return new LoopSchedule.Result(nest.finish(), nest.dims(), tasks);
  }

  private void block() {
    Type type = Type.of(fold.scalar());
    String parts = nest.fresh("parts");
    nest.emit(new Stmt.Alloc(parts, type, index(THREADS), Stmt.Space.SHARED));
    DimExpr extent = DimExpr.product(fold.axes().stream().map(Axis::extent).toList());
    nest.loop(
        Stmt.LoopKind.LANES,
        index(0),
        index(THREADS),
        1,
        lane -> {
          Expr.Var part = new Expr.Var(type, nest.fresh("acc"));
          nest.emit(new Stmt.Local(part.name(), identity(fold.op(), type)));
          nest.loop(
              Stmt.LoopKind.SERIAL,
              lane,
              nest.dim(extent),
              THREADS,
              at ->
                  Positions.bind(
                      nest,
                      at,
                      fold.axes(),
                      () ->
                          nest.emit(
                              new Stmt.Assign(
                                  part.name(),
                                  new Expr.Binary(
                                      fold.op().combine(), part, nest.lower(fold.body()))))));
          nest.emit(new Stmt.Store(parts, lane, part, Optional.empty()));
        });
    nest.emit(new Stmt.Barrier());
    for (int half = THREADS / 2; half > 0; half /= 2) {
      int distance = half;
      nest.loop(
          Stmt.LoopKind.LANES,
          index(0),
          index(half),
          1,
          lane ->
              nest.emit(
                  new Stmt.Store(
                      parts,
                      lane,
                      new Expr.Binary(
                          fold.op().combine(),
                          load(type, parts, lane),
                          load(type, parts, plus(lane, index(distance)))),
                      Optional.empty())));
      nest.emit(new Stmt.Barrier());
    }
    KExpr result =
        new KExpr.At(new Buf("#fold", fold.scalar(), List.of(DimExpr.ONE)), List.of(K.index(0)));
    KExpr value = KExprs.rewrite(stage.value(), e -> e.equals(fold) ? result : e);
    nest.loop(
        Stmt.LoopKind.LANES,
        index(0),
        index(1),
        1,
        _ ->
            nest.defining(
                result,
                nest.let("f", load(type, parts, index(0))),
                () ->
                    nest.store(
                        stage.target().name(), stage.index().getFirst(), nest.lower(value))));
  }

  private static Expr load(Type type, String buffer, Expr index) {
    return new Expr.Load(type, buffer, index, Optional.empty());
  }
}
