package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.schedule.Target;
import org.tersor.plugins.x86.Operand.Mem;

/** Code of statements: one switch over them. */
final class Stmts {
  /** Arguments of a kernel before its buffers and dimensions: first task, end, scratch. */
  static final int FROM = 0;

  static final int TO = 1;
  static final int SCRATCH = 2;
  static final int BUFFERS = 3;

  /**
   * Buffers of at most this size live in the frame, larger and variable ones in the scratch area.
   */
  private static final int FRAME_BYTES = 8192;

  private final Code code;
  private final Scope scope = new Scope();
  private final Exprs exprs;
  private Scope.Start.InRegister scratch;

  Stmts(Code code, LoopFunction function, Target target) {
    this.code = code;
    this.exprs = new Exprs(code, scope, target);
    this.scratch = new Scope.Start.InRegister(argument(SCRATCH), 0);
    int number = BUFFERS;
    for (LoopFunction.BufferParam buffer : function.buffers()) {
      scope.declare(
          buffer.name(),
          new Scope.Buffer(
              buffer.element(), new Scope.Start.InRegister(argument(number++), 0), List.of()));
    }
    for (String dim : function.dims()) {
      variable(dim, argument(number++), 0);
    }
    statement(function.body());
  }

  private Reg argument(int number) {
    Reg reg = Code.integer();
    code.two(Op.MOV, 8, reg, Mem.argument(number));
    return reg;
  }

  private void variable(String name, Reg reg, int level) {
    scope.declare(
        name,
        new Scope.Variable(
            new Val(Type.INDEX, List.of(reg), false), level, false, Optional.empty()));
  }

  static boolean inFrame(Stmt.Alloc a) {
    return a.count() instanceof Expr.IntConst c && c.value() <= FRAME_BYTES / a.element().bytes();
  }

  private void statement(Stmt s) {
    switch (s) {
      case Stmt.Block b -> nested(() -> b.body().forEach(this::statement));
      case Stmt.For f -> loop(f);
      case Stmt.While w -> whileLoop(w);
      case Stmt.Let l -> let(l);
      case Stmt.Local l -> {
        Val value = value(l.initial());
        Val own = Val.fresh(value.type());
        move(own, value);
        scope.declare(l.name(), new Scope.Variable(own, code.level(), true, Optional.empty()));
      }
      case Stmt.Assign a -> assign(scope.variable(a.name()).value(), a.value());
      case Stmt.Store st -> store(st);
      case Stmt.If i -> branch(i);
      case Stmt.Alloc a -> alloc(a);
      case Stmt.Prefetch p -> {
        Mem at =
            exprs.indices().address(scope.buffer(p.buffer()), exprs.indices().linear(p.index()));
        code.add(new Ins(Op.PREFETCHT0, 4).operand(at));
      }
      case Stmt.Barrier _ -> {}
      case Stmt.Tile _ ->
          throw Faults.unsupported(
              "a matrix register", "the schedule must ask the target whether it has them");
    }
  }

  /** Room that a statement takes in the frame is free after it. */
  private Val value(Expr e) {
    int mark = code.frame.mark();
    Val value = exprs.value(e);
    code.frame.release(mark);
    return value;
  }

  private void nested(Runnable body) {
    Scope.Start.InRegister saved = scratch;
    int mark = code.frame.mark();
    scope.push();
    body.run();
    scope.pop();
    code.frame.release(mark);
    scratch = saved;
  }

  private void let(Stmt.Let l) {
    Expr e = l.value();
    if (e.type().equals(Type.INDEX)) {
      int mark = code.frame.mark();
      Linear form = exprs.indices().linear(e);
      Reg reg = exprs.indices().value(form);
      code.frame.release(mark);
      boolean stable = form.stable();
      scope.declare(
          l.name(),
          new Scope.Variable(
              new Val(e.type(), List.of(stable ? reg : code.copy(reg)), false),
              stable ? form.level() : code.level(),
              false,
              stable ? Optional.of(form) : Optional.empty()));
      return;
    }
    if (e instanceof Expr.Var v && !scope.variable(v.name()).changes()) {
      scope.declare(l.name(), scope.variable(v.name()));
      return;
    }
    Val value = value(e);
    boolean constant =
        e instanceof Expr.IntConst
            || e instanceof Expr.FloatConst
            || e instanceof Expr.LaneLt
            || (e instanceof Expr.Broadcast b && b.lanes() > 1);
    if (!value.owned() && !constant) {
      Val own = Val.fresh(value.type());
      move(own, value);
      value = own;
    }
    scope.declare(
        l.name(), new Scope.Variable(value.shared(), code.level(), false, Optional.empty()));
  }

  private void move(Val to, Val from) {
    Val source = from;
    boolean crossing =
        to.parts().size() > 1 && from.parts().stream().anyMatch(to.parts()::contains);
    if (crossing) {
      source = new Val(from.type(), from.parts().stream().map(code::copy).toList(), true);
    }
    for (int i = 0; i < to.parts().size(); i++) {
      code.move(to.parts().get(i), source.parts().get(i));
    }
  }

  /** Sums are made in the registers that hold them. */
  private void assign(Val to, Expr e) {
    int mark = code.frame.mark();
    Val value =
        switch (e) {
          case Expr.Fma f -> exprs.sums().fma(f, Optional.of(to));
          case Expr.Dot4 d -> exprs.sums().dot(d, d.acc(), d.a(), d.b(), Optional.of(to));
          case Expr.Dot2 d -> exprs.sums().dot(d, d.acc(), d.a(), d.b(), Optional.of(to));
          case Expr.Binary b when Sums.isOne(b) -> exprs.sums().binary(b, Optional.of(to));
          default -> exprs.value(e);
        };
    move(to, value);
    code.frame.release(mark);
  }

  private void store(Stmt.Store s) {
    Scope.Buffer buffer = scope.buffer(s.buffer());
    if (!buffer.registers().isEmpty()) {
      if (s.mask().isPresent()) {
        throw new IllegalStateException("a masked store to a register");
      }
      assign(exprs.register(buffer, s.index()), s.value());
      return;
    }
    int mark = code.frame.mark();
    exprs.memory().store(buffer, s.index(), exprs.value(s.value()), s.mask());
    code.frame.release(mark);
  }

  private void branch(Stmt.If i) {
    Label otherwise = new Label();
    Label end = new Label();
    unless(i.condition(), otherwise);
    nested(() -> statement(i.then()));
    if (i.otherwise().isPresent()) {
      code.jump(end);
      code.label(otherwise);
      nested(() -> statement(i.otherwise().get()));
    } else {
      code.label(otherwise);
    }
    code.label(end);
  }

  /** Jumps if a condition does not hold. */
  private void unless(Expr condition, Label label) {
    if (condition instanceof Expr.Binary b && b.op() == BinaryOp.AND) {
      unless(b.a(), label);
      unless(b.b(), label);
      return;
    }
    if (condition instanceof Expr.Unary u && u.op() == UnaryOp.NOT) {
      Reg bool = value(u.a()).reg();
      code.read(Op.TEST, 4, bool, bool);
      code.jump(Condition.NOT_ZERO, label);
      return;
    }
    if (condition instanceof Expr.Compare c && Val.isInteger(c.a().type())) {
      Reg a = value(c.a()).reg();
      int size = Ints.size(c.a().type().scalar());
      if (c.b() instanceof Expr.IntConst k && k.value() == (int) k.value()) {
        code.add(new Ins(Op.CMPI, size).operand(a).imm(k.value()));
      } else {
        Reg b = value(c.b()).reg();
        code.read(Op.CMP, size, a, b);
      }
      boolean signed = c.a().type().scalar().isSigned();
      code.jump(Condition.not(Condition.of(c.op(), signed)), label);
      return;
    }
    Reg bool = value(condition).reg();
    code.read(Op.TEST, 4, bool, bool);
    code.jump(Condition.ZERO, label);
  }

  private void loop(Stmt.For f) {
    boolean tasks = f.kind() == Stmt.LoopKind.PARALLEL;
    Reg variable = Code.integer();
    Optional<Long> last = tasks ? Optional.empty() : Indices.constant(f.end());
    Optional<Long> first = tasks ? Optional.empty() : Indices.constant(f.begin());
    if (tasks) {
      code.move(variable, argument(FROM));
    } else if (first.isPresent()) {
      code.number(variable, first.get());
    } else {
      code.move(variable, value(f.begin()).reg());
    }
    Reg end;
    if (tasks) {
      end = argument(TO);
    } else if (last.filter(n -> n == (int) (long) n).isPresent()) {
      end = Reg.NONE;
    } else {
      Val value = value(f.end());
      end = value.owned() || isFixed(f.end()) ? value.reg() : code.copy(value.reg());
    }
    Label head = new Label();
    Label exit = new Label();
    Code.Loop loop = code.open();
    loop.variable = variable;
    loop.stride = f.step();
    boolean always =
        first.isPresent() && last.isPresent() && end == Reg.NONE && first.get() < last.get();
    if (!always) {
      compare(variable, end, last);
      code.jump(Condition.NOT_LESS, exit);
    }
    code.add(new Ins(Op.LOOP, 0));
    code.label(head);
    nested(() -> {
      variable(f.var(), variable, loop.level);
      statement(f.body());
    });
    code.step();
    code.change(Op.ADDI, 8, variable, f.step());
    compare(variable, end, last);
    code.jump(Condition.LESS, head);
    code.add(new Ins(Op.END, 0));
    code.label(exit);
    code.close();
  }

  private boolean isFixed(Expr e) {
    return !(e instanceof Expr.Var v) || !scope.variable(v.name()).changes();
  }

  private void compare(Reg variable, Reg end, Optional<Long> last) {
    if (end == Reg.NONE) {
      code.add(new Ins(Op.CMPI, 8).operand(variable).imm(last.orElseThrow()));
    } else {
      code.read(Op.CMP, 8, variable, end);
    }
  }

  private void whileLoop(Stmt.While w) {
    Label head = new Label();
    Label exit = new Label();
    code.open();
    code.add(new Ins(Op.LOOP, 0));
    code.label(head);
    unless(w.condition(), exit);
    nested(() -> statement(w.body()));
    code.step();
    code.jump(head);
    code.add(new Ins(Op.END, 0));
    code.label(exit);
    code.close();
  }

  private void alloc(Stmt.Alloc a) {
    Type type = a.element();
    if (a.space() == Stmt.Space.REGISTER) {
      List<Val> registers = new ArrayList<>();
      for (long i = Indices.constant(a.count()).orElseThrow(); i > 0; i--) {
        Val register = Val.fresh(type);
        for (Reg part : register.parts()) {
          code.add(new Ins(Op.DECLARE, 0).target(part));
        }
        registers.add(register);
      }
      scope.declare(a.buffer(), new Scope.Buffer(type.scalar(), scratch, registers));
      return;
    }
    Scope.Start start;
    if (inFrame(a)) {
      int bytes = (int) (Indices.constant(a.count()).orElseThrow() * type.bytes());
      start = new Scope.Start.InFrame(code.frame.allocate(Math.max(64, bytes), 64));
    } else {
      start = scratch;
      Linear count = exprs.indices().linear(a.count());
      Reg bytes =
          code.copy(exprs.indices().value(count.times(type.bytes()).plus(Linear.of(63), 1)));
      code.change(Op.ANDI, 8, bytes, -64);
      code.two(Op.ADD, 8, bytes, scratch.reg());
      scratch = new Scope.Start.InRegister(bytes, code.level());
    }
    scope.declare(a.buffer(), new Scope.Buffer(type.scalar(), start, List.of()));
  }
}
