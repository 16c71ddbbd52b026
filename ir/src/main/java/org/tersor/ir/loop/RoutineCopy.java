package org.tersor.ir.loop;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** One use of a {@link LoopRoutine}: its text with new names and a number of lanes. */
final class RoutineCopy {
  private final int lanes;
  private final UnaryOperator<String> fresh;
  private final Map<String, Expr> names = new HashMap<>();

  RoutineCopy(int lanes, UnaryOperator<String> fresh) {
    this.lanes = lanes;
    this.fresh = fresh;
  }

  void define(String name, Expr value) {
    names.put(name, value);
  }

  private String rename(String name, Type type) {
    String renamed = fresh.apply(name);
    names.put(name, new Expr.Var(type, renamed));
    return renamed;
  }

  Stmt statement(Stmt statement) {
    return switch (statement) {
      case Stmt.Block block -> new Stmt.Block(block.body().stream().map(this::statement).toList());
      case Stmt.While loop -> new Stmt.While(expr(loop.condition()), statement(loop.body()));
      case Stmt.Let let -> {
        Expr value = expr(let.value());
        yield new Stmt.Let(rename(let.name(), value.type()), value);
      }
      case Stmt.Local local -> {
        Expr value = expr(local.initial());
        yield new Stmt.Local(rename(local.name(), value.type()), value);
      }
      case Stmt.Assign assign ->
          new Stmt.Assign(((Expr.Var) variable(assign.name())).name(), expr(assign.value()));
      case Stmt.For s -> throw unfit(s);
      case Stmt.If s -> throw unfit(s);
      case Stmt.Store s -> throw unfit(s);
      case Stmt.Alloc s -> throw unfit(s);
      case Stmt.Prefetch s -> throw unfit(s);
      case Stmt.Barrier s -> throw unfit(s);
      case Stmt.Tile s -> throw unfit(s);
    };
  }

  private Expr variable(String name) {
    return Optional.ofNullable(names.get(name))
        .orElseThrow(() -> new IllegalStateException("no variable " + name));
  }

  Expr expr(Expr e) {
    return switch (e) {
      case Expr.IntConst c -> new Expr.IntConst(c.type().withLanes(lanes), c.value());
      case Expr.FloatConst c -> new Expr.FloatConst(c.type().withLanes(lanes), c.value());
      case Expr.Var v -> variable(v.name());
      case Expr.Unary u -> new Expr.Unary(u.op(), expr(u.a()));
      case Expr.Binary b -> new Expr.Binary(b.op(), expr(b.a()), expr(b.b()));
      case Expr.Compare c -> new Expr.Compare(c.op(), expr(c.a()), expr(c.b()));
      case Expr.Fma f -> new Expr.Fma(expr(f.a()), expr(f.b()), expr(f.c()));
      case Expr.Select s ->
          new Expr.Select(expr(s.condition()), expr(s.then()), expr(s.otherwise()));
      case Expr.Cast c -> new Expr.Cast(c.type().withLanes(lanes), expr(c.a()), c.inRange());
      case Expr.Bits b -> new Expr.Bits(b.type().withLanes(lanes), expr(b.a()));
      // Over the lanes of the copy: "any lane" as the condition of a loop.
      case Expr.Reduce r -> lanes == 1 ? expr(r.a()) : new Expr.Reduce(r.op(), expr(r.a()));
      case Expr.Load x -> throw unfit(x);
      case Expr.Dot2 x -> throw unfit(x);
      case Expr.Dot4 x -> throw unfit(x);
      case Expr.Broadcast x -> throw unfit(x);
      case Expr.Ramp x -> throw unfit(x);
      case Expr.Shuffle x -> throw unfit(x);
      case Expr.LaneLt x -> throw unfit(x);
    };
  }

  private static IllegalStateException unfit(Object node) {
    return new IllegalStateException("a routine cannot contain " + List.of(node));
  }
}
