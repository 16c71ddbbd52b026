package org.tersor.plugins.x86;

import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.tersor.ir.loop.Expr;
import org.tersor.plugins.x86.Operand.Mem;

/**
 * Indices and addresses: sums of loop variables times constants are computed before the loops that
 * they do not change in, and step by step in the loop that they do.
 */
final class Indices {
  private static final int FARTHEST = 1 << 30;

  /** A loop variable times a number. */
  private record Multiple(Reg variable, long factor) {}

  private record Address(Scope.Start start, List<Linear.Term> terms) {}

  private record Sum(List<Linear.Term> terms, long constant) {}

  private final Code code;
  private final Scope scope;
  private final Exprs exprs;

  Indices(Code code, Scope scope, Exprs exprs) {
    this.code = code;
    this.scope = scope;
    this.exprs = exprs;
  }

  static Optional<Long> constant(Expr e) {
    return switch (e) {
      case Expr.IntConst c -> Optional.of(c.value());
      case Expr.Broadcast b -> constant(b.a());
      default -> Optional.empty();
    };
  }

  /** An INDEX scalar as a sum. */
  Linear linear(Expr e) {
    return switch (e) {
      case Expr.IntConst c -> Linear.of(c.value());
      case Expr.Var v -> {
        Scope.Variable variable = scope.variable(v.name());
        yield variable
            .form()
            .orElseGet(() ->
                Linear.of(
                    variable.value().reg(),
                    variable.changes() ? code.level() : variable.level(),
                    !variable.changes()));
      }
      case Expr.Binary b -> binary(b);
      case Expr.Broadcast b -> linear(b.a());
      case Expr.Ramp r -> linear(r.base());
      default -> atom(e);
    };
  }

  private Linear binary(Expr.Binary b) {
    return switch (b.op()) {
      case ADD -> linear(b.a()).plus(linear(b.b()), 1);
      case SUB -> linear(b.a()).plus(linear(b.b()), -1);
      case MUL -> {
        Linear x = linear(b.a());
        Linear y = linear(b.b());
        yield x.isConstant()
            ? y.times(x.constant())
            : y.isConstant() ? x.times(y.constant()) : product(x, y);
      }
      default -> other(b);
    };
  }

  /** What depends on nothing that changes in the loops around is computed before them. */
  private Linear other(Expr.Binary b) {
    Linear x = linear(b.a());
    Linear y = linear(b.b());
    int level = Math.max(x.level(), y.level());
    Supplier<Reg> compute =
        () -> exprs.ints().binary(b.op(), b.type().scalar(), value(x), value(y), constant(b.b()));
    boolean before = x.stable() && y.stable() && level < code.level();
    return before
        ? Linear.of(code.once(level + 1, List.of(b.op(), x, y), Reg.class, compute), level, true)
        : Linear.of(compute.get(), code.level(), true);
  }

  private Linear product(Linear x, Linear y) {
    int level = Math.max(x.level(), y.level());
    boolean stable = x.stable() && y.stable();
    if (stable && level < code.level()) {
      Reg reg =
          code.once(
              level + 1, List.of("product", x, y), Reg.class, () -> multiply(value(x), value(y)));
      return Linear.of(reg, level, true);
    }
    return Linear.of(multiply(value(x), value(y)), code.level(), true);
  }

  private Reg multiply(Reg a, Reg b) {
    Reg product = code.copy(a);
    code.two(Op.IMUL, 8, product, b);
    return product;
  }

  private Linear atom(Expr e) {
    Val value = exprs.scalar(e);
    return Linear.of(value.reg(), code.level(), value.owned());
  }

  /** The sum in a register, which is not to be changed. */
  Reg value(Linear f) {
    if (f.isConstant()) {
      return code.once(code.level(), f.constant(), Reg.class, () -> code.number(f.constant()));
    }
    if (f.terms().size() == 1 && f.constant() == 0 && f.terms().getFirst().factor() == 1) {
      return f.terms().getFirst().reg();
    }
    int level = f.level();
    if (level < code.level()) {
      return code.once(level + 1, new Sum(f.terms(), f.constant()), Reg.class, () -> value(f));
    }
    Linear outside = f.where(t -> t.level() < level);
    Linear inside = f.where(t -> t.level() >= level);
    Reg sum = outside.isConstant() ? Reg.NONE : value(outside);
    return sum(sum, inside.terms(), f.constant());
  }

  /** {@code sum + terms + constant}. */
  private Reg sum(Reg start, List<Linear.Term> terms, long constant) {
    Reg sum = start;
    long rest = constant;
    for (Linear.Term t : terms) {
      boolean scaled = isScale(t.factor());
      Reg part = scaled ? t.reg() : times(t);
      int scale = scaled ? (int) t.factor() : 1;
      if (sum == Reg.NONE && scale == 1 && rest == 0) {
        sum = part;
        continue;
      }
      boolean near = Math.abs(rest) < FARTHEST;
      Reg next = Code.integer();
      Mem place =
          sum == Reg.NONE && scale == 1
              ? Mem.of(part, near ? (int) rest : 0)
              : Mem.of(sum, part, scale, near ? (int) rest : 0);
      code.two(Op.LEA, 8, next, place);
      rest = near ? 0 : rest;
      sum = next;
    }
    if (rest != 0) {
      Reg next = code.number(rest);
      code.two(Op.ADD, 8, next, sum);
      sum = next;
    }
    return sum;
  }

  private static boolean isScale(long factor) {
    return factor == 1 || factor == 2 || factor == 4 || factor == 8;
  }

  /** A register times a number: of the loop's variable one that steps with it. */
  private Reg times(Linear.Term t) {
    Code.Loop loop = code.innermost();
    boolean steps = loop.variable == t.reg() && Math.abs(t.factor() * loop.stride) < FARTHEST;
    if (!steps) {
      return multiple(t);
    }
    Multiple key = new Multiple(t.reg(), t.factor());
    Object known = loop.known.get(key);
    if (known instanceof Reg reg) {
      return reg;
    }
    Reg running = code.before(loop.level, () -> code.copy(multiple(t)));
    code.atStep(() -> code.change(Op.ADDI, 8, running, t.factor() * loop.stride));
    loop.known.put(key, running);
    return running;
  }

  private Reg multiple(Linear.Term t) {
    if (t.factor() == (int) t.factor()) {
      Reg product = Code.integer();
      code.two(Op.IMULI, 8, product, t.reg()).imm(t.factor());
      return product;
    }
    return multiply(code.number(t.factor()), t.reg());
  }

  /** The memory at an index of a buffer whose elements have that many bytes. */
  Mem address(Scope.Buffer buffer, Linear index) {
    Linear bytes = index.times(buffer.element().bytes());
    int displacement = 0;
    if (Math.abs(bytes.constant()) < FARTHEST) {
      displacement = (int) bytes.constant();
      bytes = bytes.where(t -> true);
    }
    if (bytes.constant() != 0) {
      Reg far = value(Linear.of(bytes.constant()));
      bytes = bytes.where(t -> true).plus(Linear.of(far, 0, true), 1);
    }
    int level = code.level();
    Linear inside = bytes.where(t -> t.level() >= level);
    Linear outside = bytes.where(t -> t.level() < level);
    Reg second = Reg.NONE;
    int scale = 1;
    if (!inside.isConstant()) {
      Linear.Term one = inside.terms().getFirst();
      if (inside.terms().size() == 1 && isScale(one.factor())) {
        second = one.reg();
        scale = (int) one.factor();
      } else {
        second = sum(Reg.NONE, inside.terms(), 0);
      }
    }
    return switch (buffer.start()) {
      case Scope.Start.InFrame f when outside.isConstant() ->
          new Mem(
              Operand.Place.FRAME, Reg.NONE, second, scale, f.offset() + displacement, Label.NONE);
      case Scope.Start start -> Mem.of(start(start, outside), second, scale, displacement);
    };
  }

  private Reg start(Scope.Start start, Linear terms) {
    int own =
        switch (start) {
          case Scope.Start.InRegister r -> r.level();
          case Scope.Start.InFrame _ -> 0;
        };
    if (terms.isConstant() && start instanceof Scope.Start.InRegister r) {
      return r.reg();
    }
    int level = Math.max(own, terms.level());
    if (level < code.level()) {
      return code.once(
          level + 1, new Address(start, terms.terms()), Reg.class, () -> start(start, terms));
    }
    Linear outside = terms.where(t -> t.level() < level);
    Linear inside = terms.where(t -> t.level() >= level);
    Reg base;
    if (inside.isConstant() && start instanceof Scope.Start.InFrame f) {
      base = Code.integer();
      code.two(Op.LEA, 8, base, Mem.frame(f.offset()));
      return base;
    }
    if (own == level && start instanceof Scope.Start.InRegister r) {
      base = r.reg();
      if (!outside.isConstant()) {
        base = sum(base, List.of(new Linear.Term(value(outside), level, 1)), 0);
      }
    } else {
      base = start(start, outside);
    }
    return sum(base, inside.terms(), 0);
  }
}
