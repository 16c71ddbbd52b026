package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.min;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;

import java.util.List;
import java.util.function.Consumer;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Stmt;
import org.tersor.runtime.DimExpr;

/**
 * The steps of a sum, and those steps as blocks: parts of one run of the inner loop, or several
 * turns of the loop around runs that are short.
 *
 * @param column the whole panel
 */
record KBlocks(NestEmitter nest, Panels panels, Panels.Column column) {

  /** Steps of a run; {@code column} is the panel at the run's first. */
  interface Run {
    void accept(Expr from, Expr to, Panels.Column column);
  }

  /** A block of at most {@code steps} steps, the first of which is {@code begin} in the panel. */
  interface Block {
    /**
     * @param runs emits the runs of the block, as often as it is called
     */
    void accept(Expr begin, long steps, Consumer<Run> runs);
  }

  /** The loops around the inner loop; {@code body} gets the first step of a run. */
  void outer(Consumer<Expr> body) {
    outer(panels.outerRuns(), body);
  }

  private void outer(List<Axis> axes, Consumer<Expr> body) {
    outerTo(axes, index(0), run -> body.accept(times(run, nest.dim(panels.runSteps()))));
  }

  /** Loops over some of the axes; {@code body} gets the number of their turn. */
  private void outerTo(List<Axis> axes, Expr first, Consumer<Expr> body) {
    if (axes.isEmpty()) {
      body.accept(first);
      return;
    }
    Axis axis = axes.getFirst();
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        nest.dim(axis.extent()),
        1,
        at ->
            nest.with(
                axis,
                at,
                1,
                () -> outerTo(axes.subList(1, axes.size()), after(first, axis, at), body)));
  }

  /** Number of a run in the loops up to {@code axis}. */
  private Expr after(Expr first, Axis axis, Expr at) {
    return plus(times(first, nest.dim(axis.extent())), at);
  }

  /**
   * Loops over blocks of at most {@code steps}; a run that is longer is cut, shorter ones stand
   * together.
   */
  void forEach(int steps, Block body) {
    List<Axis> outer = panels.outerRuns();
    DimExpr run = panels.runSteps();
    long length = run.isConst() ? Math.max(1, run.constValue()) : steps;
    long together = steps / length;
    if (outer.isEmpty() || together < 2) {
      outer(outer, first -> parts(first, steps, Math.min(length, steps), body));
      return;
    }
    Axis last = outer.getLast();
    Expr end = nest.dim(last.extent());
    Expr whole = nest.dim(run);
    outerTo(
        outer.subList(0, outer.size() - 1),
        index(0),
        before ->
            nest.loop(
                Stmt.LoopKind.SERIAL,
                index(0),
                end,
                (int) together,
                at0 -> {
                  Expr stop = nest.let("re", min(plus(at0, index(together)), end));
                  body.accept(
                      times(after(before, last, at0), whole),
                      together * length,
                      each ->
                          nest.loop(
                              Stmt.LoopKind.SERIAL,
                              at0,
                              stop,
                              1,
                              at ->
                                  nest.with(
                                      last,
                                      at,
                                      1,
                                      () -> {
                                        Expr first = times(after(before, last, at), whole);
                                        each.accept(index(0), whole, column.from(nest, first));
                                      })));
                }));
  }

  private void parts(Expr first, int steps, long length, Block body) {
    Expr end = nest.dim(panels.runSteps());
    Panels.Column run = column.from(nest, first);
    nest.loop(
        Stmt.LoopKind.SERIAL,
        index(0),
        end,
        steps,
        k0 -> {
          Expr stop = nest.let("ke", min(plus(k0, index(steps)), end));
          body.accept(plus(first, k0), length, each -> each.accept(k0, stop, run));
        });
  }
}
