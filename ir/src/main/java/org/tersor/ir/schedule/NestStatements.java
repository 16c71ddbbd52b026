package org.tersor.ir.schedule;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/** The statements of loops under construction, and which values are known in each of them. */
abstract class NestStatements {

  /** One loop body under construction. */
  private static final class Scope {
    private final List<Stmt> statements = new ArrayList<>();
    private final Map<Object, Expr> known = new HashMap<>();
  }

  /** The open loops, the outermost first. */
  private final List<Scope> scopes = new ArrayList<>(List.of(new Scope()));

  private int names;

  String fresh(String prefix) {
    return prefix + names++;
  }

  void emit(Stmt statement) {
    scopes.getLast().statements.add(statement);
  }

  /** The finished body. */
  Stmt finish() {
    if (scopes.size() != 1) {
      throw new IllegalStateException("unfinished loops");
    }
    return new Stmt.Block(scopes.getFirst().statements);
  }

  /** Number of loops around the current point. */
  int depth() {
    return scopes.size() - 1;
  }

  /** Runs {@code body} with a new scope and returns its statements. */
  Stmt.Block block(Runnable body) {
    scopes.add(new Scope());
    body.run();
    return new Stmt.Block(scopes.removeLast().statements);
  }

  /** A loop over a bare variable. */
  void loop(Stmt.LoopKind kind, Expr begin, Expr end, int step, Consumer<Expr> body) {
    String var = fresh("t");
    Stmt.Block block = block(() -> body.accept(new Expr.Var(Type.INDEX, var)));
    emit(new Stmt.For(kind, var, begin, end, step, block));
  }

  /** Names a value unless it is a constant or a name already. */
  Expr let(String prefix, Expr value) {
    if (value instanceof Expr.IntConst
        || value instanceof Expr.Var
        || value instanceof Expr.FloatConst) {
      return value;
    }
    String name = fresh(prefix);
    emit(new Stmt.Let(name, value));
    return new Expr.Var(value.type(), name);
  }

  /** A value that was computed around the current point. */
  Optional<Expr> known(Object key) {
    for (Scope scope : scopes) {
      Expr known = scope.known.get(key);
      if (known != null) {
        return Optional.of(known);
      }
    }
    return Optional.empty();
  }

  /**
   * A value computed once, in the loop at {@code level}, where everything that it needs is bound.
   */
  Expr once(Object key, int level, String prefix, Supplier<Expr> compute) {
    Optional<Expr> before = known(key);
    if (before.isPresent()) {
      return before.get();
    }
    // Work at `level`, then return to the inner loops.
    List<Scope> inner = new ArrayList<>(scopes.subList(level + 1, scopes.size()));
    scopes.subList(level + 1, scopes.size()).clear();
    Expr value = let(prefix, compute.get());
    scopes.getLast().known.put(key, value);
    scopes.addAll(inner);
    return value;
  }
}
