package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.identity;
import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.runtime.DimExpr;

/** Folds as loops at the current point of a nest: unrolled, serial, or innermost in vectors. */
final class FoldEmitter {
  private final NestEmitter nest;
  private final NestEmitter.LoopTarget target;
  private int foldLanes = 1;
  private int maxUnroll;

  FoldEmitter(NestEmitter nest, NestEmitter.LoopTarget target) {
    this.nest = nest;
    this.target = target;
    this.maxUnroll = target.maxUnroll();
  }

  void setUnroll(int most) {
    maxUnroll = most;
  }

  void setLanes(int lanes) {
    foldLanes = lanes;
  }

  /** One fold on its way: the variable that collects it, and under which guard its body reads. */
  private record Job(
      KExpr.Fold fold, Optional<NestEmitter.Guard> guard, Expr.Var sum, boolean inVectors) {
    int lanes() {
      return sum.type().lanes();
    }
  }

  /** Nothing is unrolled so often; products of a few such numbers are no overflow. */
  private static final long MANY = 1 << 12;

  /** Operations and reads that a turn of a usual fold has; longer bodies are unrolled less. */
  private static final int OPERATIONS = 16;

  /** Sums of a long fold in vectors: one alone waits for the operation before at every step. */
  private static final int CHAINS = 4;

  Expr emit(KExpr.Fold fold, Optional<NestEmitter.Guard> guard) {
    boolean outerVector = nest.vectorLanes(fold).isPresent() || nest.isVector(guard);
    boolean inVectors =
        !outerVector && foldLanes > 1 && guard.isEmpty() && foldsInVectors(fold, foldLanes);
    int lanes = inVectors ? foldLanes : nest.vectorLanes(fold).orElse(1);
    Expr.Var sum = new Expr.Var(new Type(fold.scalar(), lanes), nest.fresh("acc"));
    nest.emit(new Stmt.Local(sum.name(), identity(fold.op(), sum.type())));
    Job job = new Job(fold, guard, sum, inVectors);
    boolean selects = fold.op() == ReduceOp.MAX || fold.op() == ReduceOp.MIN;
    boolean fixed = fold.axes().stream().allMatch(axis -> turns(axis).isPresent());
    if (selects && !inVectors && fixed && isShort(fold, fold.axes(), target.maxUnroll())) {
      unrolled(job, fold.axes(), new boolean[] {true});
    } else {
      loops(job, fold.axes());
    }
    return inVectors ? new Expr.Reduce(fold.op(), sum) : sum;
  }

  /** All points one by one; the first is the extremum so far, whatever it is. */
  private void unrolled(Job job, List<Axis> axes, boolean[] first) {
    if (axes.isEmpty()) {
      Expr value = first[0] ? body(job, job.fold.body()) : accumulate(job);
      nest.emit(new Stmt.Assign(job.sum.name(), value));
      first[0] = false;
      return;
    }
    Axis axis = axes.getFirst();
    Turns turns = turns(axis).orElseThrow();
    for (long i = turns.from; i < turns.to; i++) {
      nest.with(axis, index(i), 1, () -> unrolled(job, axes.subList(1, axes.size()), first));
    }
  }

  /**
   * The same fold of several points, turn by turn: what more than one of them reads is read once,
   * and reads that depend on none of the loops around are made before them. Empty if its turns are
   * not constants.
   */
  Optional<List<Expr>> together(List<KExpr.Fold> folds) {
    List<Axis> axes = folds.getFirst().axes();
    if (axes.stream().anyMatch(axis -> turns(axis).isEmpty())) {
      return Optional.empty();
    }
    List<Job> jobs = new ArrayList<>();
    for (KExpr.Fold fold : folds) {
      Type type = new Type(fold.scalar(), nest.vectorLanes(fold).orElse(1));
      Expr.Var sum = new Expr.Var(type, nest.fresh("acc"));
      nest.emit(new Stmt.Local(sum.name(), identity(fold.op(), type)));
      jobs.add(new Job(fold, Optional.empty(), sum, false));
    }
    together(jobs, axes, Map.of());
    return Optional.of(jobs.stream().<Expr>map(Job::sum).toList());
  }

  private void together(List<Job> jobs, List<Axis> axes, Map<Axis, KExpr> at) {
    if (axes.isEmpty()) {
      for (Job job : jobs) {
        KExpr body = Affine.canonical(KExprs.substitute(job.fold.body(), at));
        Expr sum =
            accumulate(
                new Job(
                    new KExpr.Fold(job.fold.op(), job.fold.axes(), body),
                    job.guard,
                    job.sum,
                    false));
        nest.emit(new Stmt.Assign(job.sum.name(), sum));
      }
      return;
    }
    Turns turns = turns(axes.getFirst()).orElseThrow();
    for (long i = turns.from; i < turns.to; i++) {
      Map<Axis, KExpr> next = new HashMap<>(at);
      next.put(axes.getFirst(), K.index(i));
      together(jobs, axes.subList(1, axes.size()), next);
    }
  }

  private record Turns(long from, long to) {}

  /** The positions that a fold takes on an axis, if they are constants. */
  private Optional<Turns> turns(Axis axis) {
    Optional<WindowTaps.Range> range = nest.limit(axis);
    if (range.isEmpty()) {
      return axis.extent().isConst()
          ? Optional.of(new Turns(0, axis.extent().constValue()))
          : Optional.empty();
    }
    return range.get().from() instanceof KExpr.IntLit from
            && range.get().to() instanceof KExpr.IntLit to
        ? Optional.of(new Turns(from.value(), to.value()))
        : Optional.empty();
  }

  /** Whether a fold of scalars can be one of vectors along its innermost axis. */
  static boolean foldsInVectors(KExpr.Fold fold, int lanes) {
    Axis axis = fold.axes().getLast();
    // Half a vector at least, or the mask and the sum across lanes cost more than scalars.
    if (axis.extent().isConst() && axis.extent().constValue() * 2 < lanes) {
      return false;
    }
    boolean any = false;
    for (Map.Entry<KExpr.At, Affine> read : StageSimplifier.reads(fold.body()).entrySet()) {
      if (!read.getValue().isLinearIn(axis)) {
        return false;
      }
      DimExpr c = read.getValue().coefficient(axis);
      if (!c.isConst(0) && !c.isConst(1)) {
        return false;
      }
      any |= c.isConst(1);
    }
    return any && KExprs.all(fold.body(), KExpr.Fold.class).isEmpty();
  }

  private void loops(Job job, List<Axis> axes) {
    if (axes.isEmpty()) {
      nest.emit(new Stmt.Assign(job.sum.name(), accumulate(job)));
      return;
    }
    Axis axis = axes.getFirst();
    Runnable rest = () -> loops(job, axes.subList(1, axes.size()));
    if (job.inVectors && axes.size() == 1) {
      vectors(job, axis, rest);
    } else if (turns(axis).isPresent() && isShort(job.fold, axes, maxUnroll)) {
      Turns turns = turns(axis).orElseThrow();
      for (long i = turns.from; i < turns.to; i++) {
        nest.with(axis, index(i), 1, rest);
      }
    } else {
      Optional<WindowTaps.Range> range = nest.limit(axis);
      Expr from = range.map(r -> nest.lower(r.from())).orElse(index(0));
      Expr to = range.map(r -> nest.lower(r.to())).orElseGet(() -> nest.dim(axis.extent()));
      nest.loop(Stmt.LoopKind.SERIAL, axis, from, to, 1, 1, rest);
    }
  }

  /**
   * Whole vectors, those of a long fold several at a time, then one masked vector if any position
   * is left.
   */
  private void vectors(Job job, Axis axis, Runnable body) {
    int lanes = job.lanes();
    Expr extent = nest.let("n", nest.dim(axis.extent()));
    Expr full = whole(axis, extent, lanes);
    Expr begin = index(0);
    if (isLong(job.fold, axis, lanes)) {
      begin = whole(axis, extent, (long) CHAINS * lanes);
      chains(job, axis, begin);
    }
    if (!begin.equals(full)) {
      nest.loop(Stmt.LoopKind.SERIAL, axis, begin, full, lanes, lanes, body);
    }
    if (axis.extent().isConst() && axis.extent().constValue() % lanes == 0) {
      return;
    }
    Runnable tail =
        () -> {
          Expr sum = accumulate(job);
          Expr mask = nest.activeMask().orElseThrow();
          nest.emit(new Stmt.Assign(job.sum.name(), new Expr.Select(mask, sum, job.sum)));
        };
    nest.masked(minus(extent, full), lanes, () -> nest.with(axis, full, lanes, tail));
  }

  /** The largest multiple of {@code step} that is no larger than the extent. */
  private Expr whole(Axis axis, Expr extent, long step) {
    return axis.extent().isConst()
        ? index(axis.extent().constValue() / step * step)
        : nest.let(
            "n", times(new Expr.Binary(BinaryOp.FLOORDIV, extent, index(step)), index(step)));
  }

  private static boolean isLong(KExpr.Fold fold, Axis axis, int lanes) {
    long least = 2L * CHAINS * lanes;
    return (!axis.extent().isConst() || axis.extent().constValue() >= least)
        && size(fold.body(), new HashSet<>()) <= OPERATIONS / CHAINS;
  }

  private void chains(Job job, Axis axis, Expr end) {
    int lanes = job.lanes();
    List<Job> jobs = new ArrayList<>(List.of(job));
    while (jobs.size() < CHAINS) {
      Expr.Var sum = new Expr.Var(job.sum.type(), nest.fresh("acc"));
      nest.emit(new Stmt.Local(sum.name(), identity(job.fold.op(), sum.type())));
      jobs.add(new Job(job.fold, job.guard, sum, true));
    }
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        end,
        CHAINS * lanes,
        at -> {
          for (int i = 0; i < jobs.size(); i++) {
            Job each = jobs.get(i);
            nest.with(
                axis,
                plus(at, index((long) i * lanes)),
                lanes,
                () -> nest.emit(new Stmt.Assign(each.sum.name(), accumulate(each))));
          }
        });
    for (Job other : jobs.subList(1, jobs.size())) {
      nest.emit(
          new Stmt.Assign(
              job.sum.name(), new Expr.Binary(job.fold.op().combine(), job.sum, other.sum)));
    }
  }

  /** Whether its turns along these axes may stand one after the other. */
  private static boolean isShort(KExpr.Fold fold, List<Axis> axes, int most) {
    return copies(axes) <= most
        && copies(axes) * size(fold.body(), new HashSet<>()) <= (long) OPERATIONS * most;
  }

  /**
   * Operations and reads in an expression, where one that occurs twice is computed once; those in a
   * fold as often as it is unrolled. Sums and products of indices become constants; a function as
   * an exponential is as much code as many operations.
   */
  private static long size(KExpr expr, Set<KExpr> seen) {
    if (!seen.add(expr)) {
      return 0;
    }
    long own =
        switch (expr) {
          case KExpr.IntLit _, KExpr.FloatLit _, KExpr.AxisRef _, KExpr.Dim _ -> 0;
          case KExpr.Bin bin when bin.scalar() == Scalar.INDEX && isAffine(bin.op()) -> 0;
          case KExpr.Un un when un.op().isTranscendental() -> 2L * OPERATIONS;
          default -> 1;
        };
    long inside = 0;
    for (KExpr operand : KExprs.operands(expr)) {
      inside += size(operand, seen);
    }
    return own + (expr instanceof KExpr.Fold fold ? copies(fold.axes()) * inside : inside);
  }

  private static boolean isAffine(BinaryOp op) {
    return op == BinaryOp.ADD || op == BinaryOp.SUB || op == BinaryOp.MUL;
  }

  /** Copies of the body when these loops are unrolled. */
  private static long copies(List<Axis> axes) {
    long copies = 1;
    for (Axis axis : axes) {
      long extent = axis.extent().isConst() ? axis.extent().constValue() : MANY;
      copies = Math.min(MANY, copies * Math.min(MANY, extent));
    }
    return copies;
  }

  private Expr accumulate(Job job) {
    KExpr.Fold fold = job.fold;
    if (target.fma()
        && fold.op() == ReduceOp.SUM
        && fold.scalar().isFloat()
        && fold.body() instanceof KExpr.Bin m
        && m.op() == BinaryOp.MUL) {
      return new Expr.Fma(body(job, m.a()), body(job, m.b()), job.sum);
    }
    return new Expr.Binary(fold.op().combine(), job.sum, body(job, fold.body()));
  }

  private Expr body(Job job, KExpr part) {
    return widen(nest.lower(part, job.guard), job.lanes());
  }
}
