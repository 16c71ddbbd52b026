package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/**
 * Writes {@code static int64_t NAME_scratch(dims...)}: the bytes of scratch that one worker of a
 * function needs.
 */
final class ScratchSize {
  private final Scope scope = new Scope();
  private final CExprs exprs;
  private final StringBuilder out = new StringBuilder();

  /** Names that depend on dimensions only. */
  private Set<String> known = new HashSet<>();

  private ScratchSize(CUnit unit) {
    this.exprs = new CExprs(unit, scope);
  }

  static void emit(CUnit unit, LoopFunction function, String name, String linkage) {
    ScratchSize size = new ScratchSize(unit);
    List<String> parameters = new ArrayList<>();
    for (String dim : function.dims()) {
      parameters.add("int64_t " + size.scope.declare(dim, Type.INDEX, 0).c());
      size.known.add(dim);
    }
    size.visit(function.body());
    String text =
        linkage
            + " int64_t "
            + name
            + "_scratch("
            + (parameters.isEmpty() ? "void" : String.join(", ", parameters))
            + ") {\n  int64_t now = 0, most = 0;\n"
            + size.out
            + "  return most;\n}\n";
    // Sizes are the host's business.
    unit.function(unit.cuda() ? "#ifndef __CUDACC__\n" + text + "#endif\n" : text);
  }

  private void visit(Stmt s) {
    switch (s) {
      case Stmt.Block b -> nested(() -> b.body().forEach(this::visit));
      case Stmt.For f ->
          nested(() -> {
            known.remove(f.var());
            visit(f.body());
          });
      case Stmt.While w -> nested(() -> visit(w.body()));
      case Stmt.If i -> {
        nested(() -> visit(i.then()));
        i.otherwise().ifPresent(o -> nested(() -> visit(o)));
      }
      case Stmt.Let l -> {
        if (isKnown(l.value()) && !l.value().type().isVector()) {
          String text = exprs.value(l.value());
          out.append("  const ")
              .append(exprs.typeOf(l.value().type(), 0))
              .append(' ')
              .append(scope.declare(l.name(), l.value().type(), 0).c());
          out.append(" = ").append(text).append(";\n");
          known.add(l.name());
        } else {
          known.remove(l.name());
        }
      }
      case Stmt.Local l -> known.remove(l.name());
      case Stmt.Alloc a -> {
        if (a.space() != Stmt.Space.REGISTER && !CEmitter.onStack(a)) {
          if (!isKnown(a.count())) {
            throw Faults.unsupported(
                "a buffer whose size depends on more than the dimensions",
                "the schedule must allocate its largest size");
          }
          out.append("  now += ((")
              .append(exprs.value(a.count()))
              .append(") * ")
              .append(a.element().bytes());
          out.append(" + 63) / 64 * 64; if (now > most) most = now;\n");
        }
      }
      case Stmt.Assign _, Stmt.Store _, Stmt.Prefetch _, Stmt.Barrier _ -> {}
    }
  }

  private void nested(Runnable body) {
    Set<String> saved = known;
    known = new HashSet<>(saved);
    scope.push();
    out.append("  { const int64_t before = now;\n");
    body.run();
    out.append("  now = before; }\n");
    scope.pop();
    known = saved;
  }

  private boolean isKnown(Expr e) {
    return switch (e) {
      case Expr.IntConst _, Expr.FloatConst _ -> true;
      case Expr.Var v -> known.contains(v.name());
      case Expr.Load _,
          Expr.Dot4 _,
          Expr.Reduce _,
          Expr.Shuffle _,
          Expr.LaneLt _,
          Expr.Ramp _,
          Expr.Broadcast _,
          Expr.Bits _ ->
          false;
      case Expr.Unary u -> isKnown(u.a());
      case Expr.Binary b -> isKnown(b.a()) && isKnown(b.b());
      case Expr.Compare c -> isKnown(c.a()) && isKnown(c.b());
      case Expr.Fma f -> isKnown(f.a()) && isKnown(f.b()) && isKnown(f.c());
      case Expr.Select s -> isKnown(s.condition()) && isKnown(s.then()) && isKnown(s.otherwise());
      case Expr.Cast c -> isKnown(c.a());
    };
  }
}
