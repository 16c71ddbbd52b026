package org.tersor.ir.loop;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** The text form of loop functions; {@code LoopParser} reads it back to an equal function. */
public final class LoopPrinter {
  private static final Set<String> RESERVED =
      Set.of(
          "kernel",
          "func",
          "parallel",
          "lanes",
          "return",
          "do",
          "end",
          "for",
          "while",
          "let",
          "local",
          "if",
          "else",
          "alloc",
          "prefetch",
          "barrier",
          "tile",
          "true",
          "false");

  private static final int ATOM = 10;
  private static final int MULTIPLY = 8;
  private static final int PLUS = 7;
  private static final int SHIFT = 6;
  private static final int COMPARE = 5;

  private final StringBuilder out = new StringBuilder();

  private LoopPrinter() {}

  public static String print(LoopFunction function) {
    LoopPrinter printer = new LoopPrinter();
    printer.function(function);
    return printer.out.toString();
  }

  public static String print(Stmt statement) {
    LoopPrinter printer = new LoopPrinter();
    printer.statement(statement, 0);
    return printer.out.toString();
  }

  public static String print(Expr expression) {
    LoopPrinter printer = new LoopPrinter();
    printer.expr(expression, 0);
    return printer.out.toString();
  }

  private void function(LoopFunction f) {
    out.append("kernel ").append(name(f.name())).append('(');
    out.append(
        f.buffers().stream()
            .map(b -> name(b.name()) + ": " + (b.written() ? "mut " : "") + b.element().text())
            .collect(Collectors.joining(", ")));
    if (!f.dims().isEmpty()) {
      out.append("; ")
          .append(f.dims().stream().map(LoopPrinter::name).collect(Collectors.joining(", ")));
    }
    out.append(')');
    body(f.body(), 0);
    out.append('\n');
  }

  private static String name(String name) {
    boolean plain =
        name.matches("[a-zA-Z_][a-zA-Z_0-9]*")
            && !RESERVED.contains(name)
            && !name.startsWith("nan_")
            && !name.startsWith("inf_");
    return plain ? name : "`" + name + "`";
  }

  private void indent(int depth) {
    out.append("  ".repeat(depth));
  }

  /** A block in braces; another statement between do and end. */
  private void body(Stmt body, int depth) {
    if (body instanceof Stmt.Block block) {
      out.append(' ');
      block(block, depth);
    } else {
      out.append(" do\n");
      statement(body, depth + 1);
      indent(depth);
      out.append("end");
    }
  }

  private void block(Stmt.Block block, int depth) {
    out.append("{\n");
    block.body().forEach(s -> statement(s, depth + 1));
    indent(depth);
    out.append('}');
  }

  private void statement(Stmt statement, int depth) {
    indent(depth);
    switch (statement) {
      case Stmt.Block block -> block(block, depth);
      case Stmt.For loop -> {
        out.append("for ");
        if (loop.kind() != Stmt.LoopKind.SERIAL) {
          out.append(loop.kind().name().toLowerCase(Locale.ROOT)).append(' ');
        }
        out.append(name(loop.var())).append(" in ");
        expr(loop.begin(), 0);
        out.append(" .. ");
        expr(loop.end(), 0);
        if (loop.step() != 1) {
          out.append(" step ").append(loop.step());
        }
        body(loop.body(), depth);
      }
      case Stmt.While loop -> {
        out.append("while ");
        expr(loop.condition(), 0);
        body(loop.body(), depth);
      }
      case Stmt.Let let -> binding("let ", let.name(), let.value());
      case Stmt.Local local -> binding("local ", local.name(), local.initial());
      case Stmt.Assign assign -> binding("", assign.name(), assign.value());
      case Stmt.Store store -> {
        element(store.buffer(), store.index(), "", store.mask());
        out.append(" = ");
        expr(store.value(), 0);
        out.append(';');
      }
      case Stmt.If branch -> {
        out.append("if ");
        expr(branch.condition(), 0);
        body(branch.then(), depth);
        branch
            .otherwise()
            .ifPresent(otherwise -> {
              out.append(" else");
              body(otherwise, depth);
            });
      }
      case Stmt.Alloc alloc -> {
        out.append("alloc ").append(alloc.space().name().toLowerCase(Locale.ROOT)).append(' ');
        out.append(name(alloc.buffer())).append(": ").append(alloc.element()).append('[');
        expr(alloc.count(), 0);
        out.append("];");
      }
      case Stmt.Prefetch prefetch -> {
        out.append("prefetch ");
        element(prefetch.buffer(), prefetch.index(), "", Optional.empty());
        out.append(';');
      }
      case Stmt.Barrier barrier -> out.append("barrier;");
      case Stmt.Tile tile -> tile(tile);
    }
    out.append('\n');
  }

  private void tile(Stmt.Tile tile) {
    out.append("tile ");
    switch (tile) {
      case Stmt.Tile.Zero t -> declared(t.name(), t.rows(), t.words());
      case Stmt.Tile.Load t -> {
        declared(t.name(), t.rows(), t.words());
        out.append(" = ");
        strided(t.buffer(), t.index(), t.stride());
      }
      case Stmt.Tile.Dot t -> {
        out.append(name(t.sum())).append(" += ");
        out.append(t.aBytes().text()).append(' ').append(name(t.a())).append(" * ");
        out.append(t.bBytes().text()).append(' ').append(name(t.b()));
      }
      case Stmt.Tile.Store t -> {
        strided(t.buffer(), t.index(), t.stride());
        out.append(" = ").append(name(t.name()));
      }
    }
    out.append(';');
  }

  private void declared(String name, int rows, int words) {
    out.append(name(name)).append('[').append(rows).append(", ").append(words).append(']');
  }

  private void strided(String buffer, Expr index, Expr stride) {
    out.append(name(buffer)).append('[');
    expr(index, 0);
    out.append(" by ");
    expr(stride, 0);
    out.append(']');
  }

  private void binding(String keyword, String name, Expr value) {
    out.append(keyword).append(name(name)).append(" = ");
    expr(value, 0);
    out.append(';');
  }

  private void element(String buffer, Expr index, String type, Optional<Expr> mask) {
    out.append(name(buffer)).append('[');
    expr(index, 0);
    out.append(type);
    mask.ifPresent(m -> {
      out.append(" if ");
      expr(m, 0);
    });
    out.append(']');
  }

  /** Prints with parentheses where the operator binds less than {@code context}. */
  private void expr(Expr e, int context) {
    switch (e) {
      case Expr.IntConst c -> out.append(integer(c));
      case Expr.FloatConst c -> out.append(floating(c));
      case Expr.Var v -> out.append(name(v.name()));
      case Expr.Load load ->
          element(load.buffer(), load.index(), " as " + load.type(), load.mask());
      case Expr.Unary u -> {
        boolean literal = u.a() instanceof Expr.IntConst || u.a() instanceof Expr.FloatConst;
        if (u.op() == UnaryOp.NEG && !literal) {
          out.append('-');
          expr(u.a(), ATOM);
        } else {
          call(lower(u.op()), u.a());
        }
      }
      case Expr.Binary b -> binary(b, context);
      case Expr.Compare c ->
          infix(c.a(), " " + symbol(c.op()) + " ", c.b(), COMPARE, true, context);
      case Expr.Fma f -> call("fma", f.a(), f.b(), f.c());
      case Expr.Select s -> call("select", s.condition(), s.then(), s.otherwise());
      case Expr.Cast c -> call(c.type() + (c.inRange() ? "!" : ""), c.a());
      case Expr.Bits b -> {
        out.append("bits(").append(b.type()).append(", ");
        expr(b.a(), 0);
        out.append(')');
      }
      case Expr.Dot2 d -> call("dot2", d.acc(), d.a(), d.b());
      case Expr.Dot4 d -> call("dot4", d.acc(), d.a(), d.b());
      case Expr.Reduce r -> call("reduce_" + lower(r.op()), r.a());
      case Expr.Broadcast b -> trailing("broadcast", b.a(), Integer.toString(b.lanes()));
      case Expr.Ramp r -> trailing("ramp", r.base(), r.stride() + ", " + r.lanes());
      case Expr.Shuffle s -> {
        out.append("shuffle(");
        expr(s.a(), 0);
        out.append(", ");
        expr(s.b(), 0);
        out.append(", ").append(s.lanes()).append(')');
      }
      case Expr.LaneLt l -> trailing("lanelt", l.count(), Integer.toString(l.lanes()));
    }
  }

  private static String lower(Enum<?> op) {
    return op.name().toLowerCase(Locale.ROOT);
  }

  private static String integer(Expr.IntConst c) {
    if (c.type().equals(Type.INDEX)) {
      return Long.toString(c.value());
    }
    if (c.type().equals(Type.BOOL) && (c.value() == 0 || c.value() == 1)) {
      return c.value() == 1 ? "true" : "false";
    }
    return c.value() + "_" + c.type();
  }

  private static String floating(Expr.FloatConst c) {
    double value = c.value();
    if (Double.isNaN(value)) {
      return "nan_" + c.type();
    }
    if (Double.isInfinite(value)) {
      return (value < 0 ? "-inf_" : "inf_") + c.type();
    }
    boolean single = c.type().scalar() == Scalar.F32 && (float) value == value;
    String digits = single ? Float.toString((float) value) : Double.toString(value);
    return digits.replace('E', 'e') + (c.type().equals(Type.F32) ? "" : "_" + c.type());
  }

  private void call(String name, Expr... arguments) {
    out.append(name).append('(');
    expr(arguments[0], 0);
    for (Expr argument : List.of(arguments).subList(1, arguments.length)) {
      out.append(", ");
      expr(argument, 0);
    }
    out.append(')');
  }

  private void trailing(String name, Expr argument, String rest) {
    out.append(name).append('(');
    expr(argument, 0);
    out.append(", ").append(rest).append(')');
  }

  private void binary(Expr.Binary b, int context) {
    switch (b.op()) {
      case MUL -> infix(b.a(), " * ", b.b(), MULTIPLY, false, context);
      case DIV -> infix(b.a(), " / ", b.b(), MULTIPLY, false, context);
      case REM -> infix(b.a(), " % ", b.b(), MULTIPLY, false, context);
      case ADD -> infix(b.a(), " + ", b.b(), PLUS, false, context);
      case SUB -> infix(b.a(), " - ", b.b(), PLUS, false, context);
      case SHL -> infix(b.a(), " << ", b.b(), SHIFT, false, context);
      case SHR -> infix(b.a(), " >> ", b.b(), SHIFT, false, context);
      case AND -> infix(b.a(), " & ", b.b(), 4, false, context);
      case XOR -> infix(b.a(), " ^ ", b.b(), 3, false, context);
      case OR -> infix(b.a(), " | ", b.b(), 2, false, context);
      case FLOORDIV, FLOORMOD, MIN, MAX, FMOD, POW, ATAN2 -> call(lower(b.op()), b.a(), b.b());
    }
  }

  private void infix(Expr a, String operator, Expr b, int level, boolean chainless, int context) {
    if (level < context) {
      out.append('(');
    }
    expr(a, chainless ? level + 1 : level);
    out.append(operator);
    expr(b, level + 1);
    if (level < context) {
      out.append(')');
    }
  }

  static String symbol(CompareOp op) {
    return switch (op) {
      case EQ -> "==";
      case NE -> "!=";
      case LT -> "<";
      case LE -> "<=";
      case GT -> ">";
      case GE -> ">=";
    };
  }
}
