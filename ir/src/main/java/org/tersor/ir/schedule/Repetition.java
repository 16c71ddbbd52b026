package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.RepeatedStages;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.runtime.DimExpr;

/** Launches that run again and again as one: a function with a loop around their bodies. */
final class Repetition {
  private static final String TURN = "turn";

  private Repetition() {}

  /**
   * One task, as each turn needs all of the one before it.
   *
   * @param launches of one turn, in order; {@link RepeatedStages#TURN} among their dimensions is
   *     the turn's number
   */
  static Scheduled.Launch of(String name, List<Scheduled.Launch> launches, DimExpr turns) {
    Expr turn = new Expr.Var(Type.INDEX, TURN);
    DimParameters dims = new DimParameters("size", Map.of(RepeatedStages.symbol(), turn));
    Map<String, LoopFunction.BufferParam> buffers = new LinkedHashMap<>();
    List<Stmt> bodies = new ArrayList<>();
    for (Scheduled.Launch launch : launches) {
      LoopFunction function = launch.function();
      for (int i = 0; i < function.buffers().size(); i++) {
        LoopFunction.BufferParam buffer = function.buffers().get(i);
        buffers.merge(
            launch.buffers().get(i),
            buffer,
            (a, b) ->
                new LoopFunction.BufferParam(a.name(), a.element(), a.written() || b.written()));
      }
      List<Stmt> body = new ArrayList<>();
      for (int i = 0; i < launch.dims().size(); i++) {
        body.add(new Stmt.Let(function.dims().get(i), dims.expression(launch.dims().get(i))));
      }
      body.add(serial(function.body()));
      bodies.add(new Stmt.Block(body));
    }
    Stmt loop =
        new Stmt.For(
            Stmt.LoopKind.SERIAL,
            TURN,
            LoopExprs.index(0),
            dims.expression(turns),
            1,
            new Stmt.Block(bodies));
    return new Scheduled.Launch(
        new LoopFunction(name, List.copyOf(buffers.values()), dims.names(), loop),
        List.copyOf(buffers.keySet()),
        dims.values(),
        DimExpr.ONE,
        Optional.empty());
  }

  /** Tasks one after another; before their loop stand only definitions. */
  private static Stmt serial(Stmt body) {
    return switch (body) {
      case Stmt.Block block ->
          new Stmt.Block(block.body().stream().map(Repetition::serial).toList());
      case Stmt.For loop when loop.kind() == Stmt.LoopKind.PARALLEL ->
          new Stmt.For(
              Stmt.LoopKind.SERIAL, loop.var(), loop.begin(), loop.end(), loop.step(), loop.body());
      case Stmt.For s -> s;
      case Stmt.While s -> s;
      case Stmt.Let s -> s;
      case Stmt.Local s -> s;
      case Stmt.Assign s -> s;
      case Stmt.Store s -> s;
      case Stmt.If s -> s;
      case Stmt.Alloc s -> s;
      case Stmt.Prefetch s -> s;
      case Stmt.Barrier s -> s;
      case Stmt.Tile s -> s;
    };
  }
}
