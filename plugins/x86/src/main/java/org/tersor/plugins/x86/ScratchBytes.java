package org.tersor.plugins.x86;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.ScalarSemantics;
import org.tersor.ir.loop.Stmt;

/** The scratch memory that one worker of a function needs for given dimensions. */
final class ScratchBytes {
  private Map<String, Long> known = new HashMap<>();
  private long now;
  private long most;

  private ScratchBytes() {}

  static long of(LoopFunction function, long[] dims) {
    ScratchBytes bytes = new ScratchBytes();
    for (int i = 0; i < dims.length; i++) {
      bytes.known.put(function.dims().get(i), dims[i]);
    }
    bytes.visit(function.body());
    return bytes.most;
  }

  private void visit(Stmt s) {
    switch (s) {
      case Stmt.Block b -> nested(b.body());
      case Stmt.For f -> nested(List.of(f.body()));
      case Stmt.While w -> nested(List.of(w.body()));
      case Stmt.If i -> {
        nested(List.of(i.then()));
        i.otherwise().ifPresent(o -> nested(List.of(o)));
      }
      case Stmt.Let l -> value(l.value()).ifPresent(v -> known.put(l.name(), v));
      case Stmt.Alloc a -> {
        if (a.space() != Stmt.Space.REGISTER && !Stmts.inFrame(a)) {
          long count =
              value(a.count())
                  .orElseThrow(() ->
                      Faults.unsupported(
                          "a buffer whose size depends on more than the dimensions",
                          "the schedule must allocate its largest size"));
          long bytes = Math.multiplyExact(count, (long) a.element().bytes());
          now = Math.addExact(now, Math.addExact(bytes, 63) / 64 * 64);
          most = Math.max(most, now);
        }
      }
      case Stmt.Local _,
          Stmt.Assign _,
          Stmt.Store _,
          Stmt.Prefetch _,
          Stmt.Barrier _,
          Stmt.Tile _ -> {}
    }
  }

  private void nested(List<Stmt> statements) {
    Map<String, Long> outer = known;
    long before = now;
    known = new HashMap<>(known);
    statements.forEach(this::visit);
    known = outer;
    now = before;
  }

  /** The value of what depends on the dimensions alone. */
  private Optional<Long> value(Expr e) {
    if (e.type().isVector()) {
      return Optional.empty();
    }
    return switch (e) {
      case Expr.IntConst c -> Optional.of(c.value());
      case Expr.Var v -> Optional.ofNullable(known.get(v.name()));
      case Expr.Unary u ->
          value(u.a()).map(a -> ScalarSemantics.unary(u.op(), u.type().scalar()).applyAsLong(a));
      case Expr.Binary b ->
          value(b.a())
              .flatMap(x ->
                  value(b.b())
                      .map(y ->
                          ScalarSemantics.binary(b.op(), b.type().scalar()).applyAsLong(x, y)));
      case Expr.Compare c ->
          value(c.a())
              .flatMap(x ->
                  value(c.b())
                      .map(y ->
                          ScalarSemantics.compare(c.op(), c.a().type().scalar())
                              .applyAsLong(x, y)));
      case Expr.Select s -> {
        Optional<Long> then = value(s.then());
        Optional<Long> otherwise = value(s.otherwise());
        yield value(s.condition()).flatMap(c -> c != 0 ? then : otherwise);
      }
      case Expr.Cast c ->
          value(c.a())
              .map(a ->
                  ScalarSemantics.cast(c.type().scalar(), c.a().type().scalar(), c.inRange())
                      .applyAsLong(a));
      case Expr.FloatConst _,
          Expr.Load _,
          Expr.Fma _,
          Expr.Bits _,
          Expr.Dot2 _,
          Expr.Dot4 _,
          Expr.Reduce _,
          Expr.Broadcast _,
          Expr.Ramp _,
          Expr.Shuffle _,
          Expr.LaneLt _ ->
          Optional.empty();
    };
  }
}
