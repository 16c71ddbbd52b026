package org.tersor.codegen.jvm;

import java.util.IdentityHashMap;
import java.util.List;
import java.util.function.Predicate;
import org.objectweb.asm.Label;
import org.objectweb.asm.Opcodes;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/** Statements of one method. */
final class StmtCode {
  private final ExprCode expr;
  private final Code code;
  private final Env env;
  private final int from;
  private final IdentityHashMap<Stmt.Block, List<Splitter.Run>> runs;
  private final IdentityHashMap<Stmt, Label[]> labels;
  private final Predicate<List<Stmt>> mover;

  /**
   * @param from local with the first task; the next one has their end
   * @param runs statements that move to other methods
   * @param labels takes begin and end of each statement
   * @param mover emits the call of such a method, or returns false
   */
  StmtCode(
      ExprCode expr,
      int from,
      IdentityHashMap<Stmt.Block, List<Splitter.Run>> runs,
      IdentityHashMap<Stmt, Label[]> labels,
      Predicate<List<Stmt>> mover) {
    this.expr = expr;
    this.code = expr.code;
    this.env = expr.env;
    this.from = from;
    this.runs = runs;
    this.labels = labels;
    this.mover = mover;
  }

  void emit(Stmt statement) {
    Label[] ends = {new Label(), new Label()};
    labels.put(statement, ends);
    code.label(ends[0]);
    statement(statement);
    code.label(ends[1]);
  }

  private void block(Stmt.Block block) {
    int at = 0;
    for (Splitter.Run run : runs.getOrDefault(block, List.of())) {
      block.body().subList(at, run.from()).forEach(this::emit);
      if (!mover.test(List.of(run.body()))) {
        emit(run.body());
      }
      at = run.to();
    }
    block.body().subList(at, block.body().size()).forEach(this::emit);
  }

  private void statement(Stmt statement) {
    switch (statement) {
      case Stmt.Block b -> scoped(() -> block(b));
      case Stmt.For f -> forLoop(f);
      case Stmt.While w -> {
        Label top = new Label();
        Label end = new Label();
        code.label(top);
        expr.jumpUnless(w.condition(), 0, end);
        scoped(() -> emit(w.body()));
        code.jump(Opcodes.GOTO, top);
        code.label(end);
      }
      case Stmt.Let l -> {
        if (l.value() instanceof Expr.LaneLt laneLt) {
          int local = code.newLocal(1);
          expr.push(laneLt.count());
          code.var(Opcodes.ISTORE, local);
          env.bind(l.name(), new Env.LaneCount(local));
        } else {
          env.bind(l.name(), define(l.value()));
        }
      }
      case Stmt.Local l -> env.bind(l.name(), define(l.initial()));
      case Stmt.Assign a -> {
        if (!(env.variable(a.name()) instanceof Env.Value target)) {
          throw new IllegalArgumentException(a.name() + " cannot be assigned");
        }
        assign(target, a.value());
      }
      case Stmt.Store s -> {
        switch (env.buffer(s.buffer())) {
          case Env.Registers r -> assign(r.elements()[MemoryCode.constant(s.index())], s.value());
          case Env.Memory m -> expr.stores.store(s, m);
          case Env.Value v -> throw new IllegalArgumentException(s.buffer() + " is not a buffer");
          case Env.LaneCount c ->
              throw new IllegalArgumentException(s.buffer() + " is not a buffer");
        }
      }
      case Stmt.If i -> {
        Label no = new Label();
        expr.jumpUnless(i.condition(), 0, no);
        scoped(() -> emit(i.then()));
        if (i.otherwise().isPresent()) {
          Label end = new Label();
          code.jump(Opcodes.GOTO, end);
          code.label(no);
          scoped(() -> emit(i.otherwise().get()));
          code.label(end);
        } else {
          code.label(no);
        }
      }
      case Stmt.Alloc a -> alloc(a);
      // The JVM has no prefetch; lanes loops run one after another.
      case Stmt.Prefetch p -> {}
      case Stmt.Barrier b -> {}
      case Stmt.Tile t -> throw new IllegalArgumentException("the JVM has no matrix registers");
    }
  }

  private void scoped(Runnable body) {
    Object scope = env.open();
    int mark = code.mark();
    body.run();
    code.release(mark);
    env.close(scope);
  }

  private void forLoop(Stmt.For f) {
    int mark = code.mark();
    Object scope = env.open();
    int variable = code.newLocal(1);
    int end = code.newLocal(1);
    if (f.kind() == Stmt.LoopKind.PARALLEL) {
      code.var(Opcodes.ILOAD, from);
      code.var(Opcodes.ISTORE, variable);
      code.var(Opcodes.ILOAD, from + 1);
      code.var(Opcodes.ISTORE, end);
    } else {
      expr.push(f.begin());
      code.var(Opcodes.ISTORE, variable);
      expr.push(f.end());
      code.var(Opcodes.ISTORE, end);
    }
    env.bind(f.var(), new Env.Value(Type.INDEX, 1, Kind.INT, new int[] {variable}));
    Label top = new Label();
    Label done = new Label();
    code.label(top);
    code.var(Opcodes.ILOAD, variable);
    code.var(Opcodes.ILOAD, end);
    code.jump(Opcodes.IF_ICMPGE, done);
    scoped(() -> emit(f.body()));
    if (f.step() == (short) f.step()) {
      code.mv.visitIincInsn(variable, f.step());
    } else {
      code.var(Opcodes.ILOAD, variable);
      code.pushInt(f.step());
      code.op(Opcodes.IADD);
      code.var(Opcodes.ISTORE, variable);
    }
    code.jump(Opcodes.GOTO, top);
    code.label(done);
    code.release(mark);
    env.close(scope);
  }

  /** A new value in locals. */
  private Env.Value define(Expr e) {
    int chunk = expr.chunks.of(e);
    Kind kind = kindOf(e, chunk);
    Env.Value value = locals(e.type(), chunk, kind);
    for (int i = 0; i < value.locals().length; i++) {
      expr.push(e, i * chunk, chunk, kind);
      code.var(chunk == 1 ? kind.localStore() : Opcodes.ASTORE, value.locals()[i]);
    }
    return value;
  }

  private Kind kindOf(Expr e, int chunk) {
    Scalar scalar = e.type().scalar();
    return scalar == Scalar.BOOL && chunk > 1 ? expr.lanes.maskKind(e, chunk) : Kind.of(scalar);
  }

  private Env.Value locals(Type type, int chunk, Kind kind) {
    int[] locals = new int[type.lanes() / chunk];
    for (int i = 0; i < locals.length; i++) {
      locals[i] = code.newLocal(chunk == 1 ? kind.slots() : 1);
    }
    return new Env.Value(type, chunk, kind, locals);
  }

  /** All chunks are evaluated before the first is assigned: the value may use the old one. */
  private void assign(Env.Value target, Expr e) {
    int chunk = target.chunk();
    for (int i = 0; i < target.locals().length; i++) {
      expr.pushAny(e, i * chunk, chunk, target.kind());
    }
    for (int i = target.locals().length - 1; i >= 0; i--) {
      code.var(chunk == 1 ? target.kind().localStore() : Opcodes.ASTORE, target.locals()[i]);
    }
  }

  private void alloc(Stmt.Alloc a) {
    Scalar scalar = a.element().scalar();
    switch (a.space()) {
      case REGISTER -> {
        int chunk = expr.chunks.ofType(a.element());
        Kind kind = scalar == Scalar.BOOL && chunk > 1 ? LaneCode.maskKind(chunk) : Kind.of(scalar);
        Env.Value[] elements = new Env.Value[MemoryCode.constant(a.count())];
        for (int i = 0; i < elements.length; i++) {
          elements[i] = locals(a.element(), chunk, kind);
          for (int local : elements[i].locals()) {
            if (chunk == 1) {
              code.pushConst(kind, 0);
            } else if (scalar == Scalar.BOOL) {
              code.maskAll(kind, chunk, false);
            } else {
              code.broadcastConst(kind, chunk, 0);
            }
            code.var(chunk == 1 ? kind.localStore() : Opcodes.ASTORE, local);
          }
        }
        env.bindBuffer(a.buffer(), new Env.Registers(elements));
      }
      case LOCAL, SHARED -> {
        // The contents are undefined, so one array serves all tasks of this call.
        Kind kind = Kind.of(scalar);
        int array = env.preparedLocal("alloc " + env.allocs++, kind, 0);
        Label allocate = new Label();
        Label ready = new Label();
        int mark = code.mark();
        int count = code.newLocal(1);
        expr.push(a.count());
        code.var(Opcodes.ISTORE, count);
        code.var(Opcodes.ALOAD, array);
        code.jump(Opcodes.IFNULL, allocate);
        code.var(Opcodes.ALOAD, array);
        code.op(Opcodes.ARRAYLENGTH);
        code.var(Opcodes.ILOAD, count);
        code.jump(Opcodes.IF_ICMPGE, ready);
        code.label(allocate);
        code.var(Opcodes.ILOAD, count);
        code.mv.visitIntInsn(Opcodes.NEWARRAY, kind.newArrayCode);
        code.var(Opcodes.ASTORE, array);
        code.label(ready);
        code.release(mark);
        env.bindBuffer(a.buffer(), new Env.Memory(scalar, array, -1));
      }
    }
  }
}
