package org.tersor.codegen.jvm;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Operands;
import org.tersor.ir.loop.Stmt;

/** The names that loop IR uses, assigns and declares. */
final class LoopNames {
  /** Variables and buffers read or written, declared inside or not. */
  final Set<String> used = new HashSet<>();

  /** Locals assigned, and buffers stored to. */
  final Set<String> assigned = new HashSet<>();

  /** Declared anywhere inside. */
  final Set<String> declared = new HashSet<>();

  boolean parallel;

  /** Whether a loop is among the statements or inside them. */
  boolean loop;

  static LoopNames of(List<Stmt> statements) {
    LoopNames names = new LoopNames();
    statements.forEach(statement -> names.add(of(statement, each -> of(List.of(each)))));
    return names;
  }

  /**
   * @param inside the names of the statements inside
   */
  static LoopNames of(Stmt statement, Function<Stmt, LoopNames> inside) {
    LoopNames names = new LoopNames();
    names.addOwn(statement);
    inner(statement).forEach(each -> names.add(inside.apply(each)));
    return names;
  }

  /** Names that a statement declares for those after it. */
  static List<String> declares(Stmt statement) {
    return switch (statement) {
      case Stmt.Let l -> List.of(l.name());
      case Stmt.Local l -> List.of(l.name());
      case Stmt.Alloc a -> List.of(a.buffer());
      case Stmt.Block b -> List.of();
      case Stmt.For f -> List.of();
      case Stmt.While w -> List.of();
      case Stmt.Assign a -> List.of();
      case Stmt.Store s -> List.of();
      case Stmt.If i -> List.of();
      case Stmt.Prefetch p -> List.of();
      case Stmt.Barrier b -> List.of();
      case Stmt.Tile.Zero t -> List.of(t.name());
      case Stmt.Tile.Load t -> List.of(t.name());
      case Stmt.Tile t -> List.of();
    };
  }

  /** Statements directly inside. */
  static List<Stmt> inner(Stmt statement) {
    return switch (statement) {
      case Stmt.Block b -> b.body();
      case Stmt.For f -> List.of(f.body());
      case Stmt.While w -> List.of(w.body());
      case Stmt.If i ->
          i.otherwise().isPresent() ? List.of(i.then(), i.otherwise().get()) : List.of(i.then());
      case Stmt.Let l -> List.of();
      case Stmt.Local l -> List.of();
      case Stmt.Assign a -> List.of();
      case Stmt.Store s -> List.of();
      case Stmt.Alloc a -> List.of();
      case Stmt.Prefetch p -> List.of();
      case Stmt.Barrier b -> List.of();
      case Stmt.Tile t -> List.of();
    };
  }

  private void add(LoopNames other) {
    used.addAll(other.used);
    assigned.addAll(other.assigned);
    declared.addAll(other.declared);
    parallel |= other.parallel;
    loop |= other.loop;
  }

  private void addOwn(Stmt statement) {
    declared.addAll(declares(statement));
    switch (statement) {
      case Stmt.For f -> {
        loop = true;
        declared.add(f.var());
        parallel |= f.kind() == Stmt.LoopKind.PARALLEL;
        add(f.begin());
        add(f.end());
      }
      case Stmt.While w -> {
        loop = true;
        add(w.condition());
      }
      case Stmt.Let l -> add(l.value());
      case Stmt.Local l -> add(l.initial());
      case Stmt.Assign a -> {
        used.add(a.name());
        assigned.add(a.name());
        add(a.value());
      }
      case Stmt.Store s -> {
        used.add(s.buffer());
        assigned.add(s.buffer());
        add(s.index());
        add(s.value());
        s.mask().ifPresent(this::add);
      }
      case Stmt.If i -> add(i.condition());
      case Stmt.Alloc a -> add(a.count());
      case Stmt.Block b -> {}
      case Stmt.Prefetch p -> {}
      case Stmt.Barrier b -> {}
      case Stmt.Tile.Zero t -> {}
      case Stmt.Tile.Load t -> {
        used.add(t.buffer());
        add(t.index());
        add(t.stride());
      }
      case Stmt.Tile.Dot t -> {
        used.addAll(List.of(t.sum(), t.a(), t.b()));
        assigned.add(t.sum());
      }
      case Stmt.Tile.Store t -> {
        used.addAll(List.of(t.buffer(), t.name()));
        assigned.add(t.buffer());
        add(t.index());
        add(t.stride());
      }
    }
  }

  private void add(Expr e) {
    if (e instanceof Expr.Var v) {
      used.add(v.name());
    } else if (e instanceof Expr.Load l) {
      used.add(l.buffer());
    }
    Operands.of(e).forEach(this::add);
  }

  /** Whether the expression loads from that buffer. */
  static boolean reads(Expr e, String buffer) {
    return (e instanceof Expr.Load l && l.buffer().equals(buffer))
        || Operands.of(e).stream().anyMatch(o -> reads(o, buffer));
  }
}
