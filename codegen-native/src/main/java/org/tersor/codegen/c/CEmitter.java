package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/**
 * Loop IR to a C function {@code static void NAME(buffers..., dims..., from, to, scratch)} that
 * runs tasks from (inclusive) to to (exclusive) of the parallel loop. One exhaustive switch over
 * statements; {@link CExprs} has the one over expressions.
 */
class CEmitter {
  /**
   * Buffers of at most this size live on the stack, larger and variable ones in the scratch area.
   */
  static final int STACK_BYTES = 8192;

  /** Vectors that a loop carries from turn to turn, from which on they fill the registers. */
  private static final int TILE = 8;

  protected final CUnit unit;
  protected final Scope scope = new Scope();
  protected final CExprs exprs;
  protected final StringBuilder out = new StringBuilder();
  private int indent = 1;
  protected String scratch = "tsr_scratch";
  private List<String> onStack = List.of();
  private final CTiles tiles = new CTiles();

  CEmitter(CUnit unit) {
    this.unit = unit;
    this.exprs = new CExprs(unit, scope);
  }

  /**
   * Adds the function to the unit under that name.
   *
   * @param linkage {@code static}, or what makes it visible in other files
   */
  static void emit(CUnit unit, LoopFunction function, String name, String linkage) {
    CEmitter emitter = of(unit);
    emitter.begin(function);
    String parameters = String.join(", ", emitter.signature(function));
    emitter.statement(function.body());
    unit.function(
        linkage
            + " void "
            + name
            + "("
            + parameters
            + ") {\n  (void)tsr_from; (void)tsr_to; (void)tsr_scratch;\n"
            + emitter.tiles.begin()
            + emitter.out
            + emitter.tiles.end()
            + "}\n");
  }

  /** The declaration of {@link #emit}'s function. */
  static String prototype(CUnit unit, LoopFunction function, String name) {
    return "void " + name + "(" + String.join(", ", of(unit).signature(function)) + ");\n";
  }

  private static CEmitter of(CUnit unit) {
    return unit.cuda() ? new CudaEmitter(unit) : new CEmitter(unit);
  }

  /** Called before anything is written. */
  protected void begin(LoopFunction function) {}

  private List<String> signature(LoopFunction function) {
    List<String> parameters = parameters(function);
    parameters.add("int64_t tsr_from");
    parameters.add("int64_t tsr_to");
    parameters.add("unsigned char *tsr_scratch");
    return parameters;
  }

  /** Declares buffers and dimensions. */
  protected List<String> parameters(LoopFunction function) {
    List<String> parameters = new ArrayList<>();
    for (LoopFunction.BufferParam buffer : function.buffers()) {
      String id = scope.fresh(buffer.name());
      scope.declare(
          buffer.name(), new Scope.Memory(id, Type.of(buffer.element()), List.of(), true));
      parameters.add(
          (buffer.written() ? "" : "const ")
              + CUnit.scalar(buffer.element())
              + " *"
              + restrict()
              + " "
              + id);
    }
    for (String dim : function.dims()) {
      parameters.add("int64_t " + scope.declare(dim, Type.INDEX, 0).c());
    }
    return parameters;
  }

  protected String restrict() {
    return "restrict";
  }

  protected void line(String text) {
    out.append("  ".repeat(indent)).append(text).append('\n');
  }

  protected void statement(Stmt s) {
    switch (s) {
      case Stmt.Block b -> {
        line("{");
        nested(() -> b.body().forEach(this::statement));
        line("}");
      }
      case Stmt.For f -> loop(f);
      case Stmt.While w -> {
        line("while (" + exprs.value(w.condition()) + ") {");
        nested(() -> statement(w.body()));
        line("}");
      }
      case Stmt.Let l -> define(l.name(), l.value(), "const ");
      case Stmt.Local l -> define(l.name(), l.initial(), "");
      case Stmt.Assign a -> {
        Scope.Variable variable = scope.variable(a.name());
        line(variable.c() + " = " + exprs.text(a.value(), variable.maskWidth()) + ";");
      }
      case Stmt.Store st -> store(st);
      case Stmt.If i -> {
        line("if (" + exprs.value(i.condition()) + ") {");
        nested(() -> statement(i.then()));
        i.otherwise()
            .ifPresent(otherwise -> {
              line("} else {");
              nested(() -> statement(otherwise));
            });
        line("}");
      }
      case Stmt.Alloc a -> alloc(a);
      case Stmt.Prefetch p -> prefetch(p);
      case Stmt.Barrier _ -> barrier();
      case Stmt.Tile t -> tile(t);
    }
  }

  protected void prefetch(Stmt.Prefetch p) {
    line(
        "__builtin_prefetch("
            + scope.memory(p.buffer()).c()
            + " + "
            + exprs.value(p.index())
            + ");");
  }

  protected void barrier() {
    line("/* barrier: the loops over lanes before it are done */");
  }

  private void tile(Stmt.Tile tile) {
    if (!unit.isa().tiles()) {
      throw Faults.unsupported(
          "a matrix register in code for " + unit.isa(),
          "the schedule must ask the target whether it has them");
    }
    line(
        switch (tile) {
          case Stmt.Tile.Zero t -> tiles.zero(t);
          case Stmt.Tile.Load t ->
              tiles.load(t, address(t.buffer(), t.index()), exprs.value(t.stride()));
          case Stmt.Tile.Dot t -> tiles.dot(t);
          case Stmt.Tile.Store t ->
              tiles.store(t, address(t.buffer(), t.index()), exprs.value(t.stride()));
        });
  }

  private String address(String buffer, Expr index) {
    return scope.memory(buffer).c() + " + " + exprs.value(index);
  }

  protected void nested(Runnable body) {
    String saved = scratch;
    List<String> arrays = onStack;
    CTiles.Live live = tiles.live();
    scope.push();
    indent++;
    body.run();
    indent--;
    scope.pop();
    tiles.back(live);
    onStack = arrays;
    scratch = saved;
  }

  /**
   * C scopes a variable from its declarator on, so the value is computed in terms of the old
   * bindings first.
   */
  private void define(String name, Expr value, String qualifier) {
    int width = CExprs.isMask(value.type()) ? exprs.naturalWidth(value) : 0;
    String text = exprs.text(value, width);
    Scope.Variable variable = scope.declare(name, value.type(), width);
    line(qualifier + exprs.typeOf(value.type(), width) + " " + variable.c() + " = " + text + ";");
  }

  protected void loop(Stmt.For f) {
    String begin = exprs.value(f.begin());
    String end = exprs.value(f.end());
    String limit = scope.fresh("end");
    scope.push();
    String v = scope.declare(f.var(), Type.INDEX, 0).c();
    line(
        f.kind() == Stmt.LoopKind.PARALLEL
            ? "for (int64_t " + v + " = tsr_from; " + v + " < tsr_to; " + v + "++) {"
            : "for (int64_t "
                + v
                + " = "
                + begin
                + ", "
                + limit
                + " = "
                + end
                + "; "
                + v
                + " < "
                + limit
                + "; "
                + v
                + " += "
                + f.step()
                + ") {");
    nested(() -> statement(f.body()));
    line("}");
    scope.pop();
    if (carried(f.body()) >= TILE) {
      keepInMemory();
    }
  }

  /** Vectors that a body assigns to, outside of loops in it. */
  private static int carried(Stmt s) {
    return switch (s) {
      case Stmt.Block b -> b.body().stream().mapToInt(CEmitter::carried).sum();
      case Stmt.Assign a -> a.value().type().isVector() ? 1 : 0;
      case Stmt.If i -> carried(i.then()) + i.otherwise().map(CEmitter::carried).orElse(0);
      case Stmt.For _,
          Stmt.While _,
          Stmt.Let _,
          Stmt.Local _,
          Stmt.Store _,
          Stmt.Alloc _,
          Stmt.Prefetch _,
          Stmt.Barrier _,
          Stmt.Tile _ ->
          0;
    };
  }

  /**
   * After the loop of a register tile: what is read from or stored to memory behind it stays there.
   * C compilers take such reads (of scales, of biases) and whole tiles of totals into registers
   * around the loop, and then have none left for its sums.
   */
  protected void keepInMemory() {
    StringBuilder operands = new StringBuilder();
    for (String array : onStack) {
      operands.append(operands.isEmpty() ? "" : ", ").append("\"r\"(").append(array).append(')');
    }
    line("__asm__ volatile(\"\" : : " + operands + ": \"memory\");");
  }

  protected void store(Stmt.Store s) {
    Scope.Memory target = scope.memory(s.buffer());
    Type t = s.value().type();
    if (target.inRegisters()) {
      Scope.Variable variable = exprs.register(target, s.index());
      Expr old = new Expr.Load(t, s.buffer(), s.index(), Optional.empty());
      Expr value = s.mask().<Expr>map(m -> new Expr.Select(m, s.value(), old)).orElse(s.value());
      line(variable.c() + " = " + exprs.text(value, variable.maskWidth()) + ";");
      return;
    }
    String value = exprs.numeric(s.value());
    Type stored = t.scalar() == Scalar.BOOL ? t.withScalar(Scalar.U8) : t;
    Optional<String> mask = s.mask().map(m -> exprs.mask(m, CUnit.carrier(t.scalar()).bytes()));
    if (s.index().type().isVector()) {
      line(
          exprs
                  .memory()
                  .scatter(
                      stored,
                      target.scalar().bytes(),
                      target.c(),
                      exprs.value(s.index()),
                      mask,
                      value)
              + ";");
      return;
    }
    String address = target.c() + " + " + exprs.value(s.index());
    if (t.isVector()) {
      line(
          mask.map(m -> exprs.memory().storeMasked(stored, address, m, value))
                  .orElseGet(() -> exprs.memory().store(stored, address, value))
              + ";");
      return;
    }
    String guard = mask.map(m -> "if (" + m + ") ").orElse("");
    if (CUnit.carrier(t.scalar()) == CUnit.carrier(target.scalar())) {
      line(guard + target.at(exprs.value(s.index())) + " = " + value + ";");
    } else {
      line(guard + scalarStore(stored, address, value) + ";");
    }
  }

  protected String scalarStore(Type t, String address, String value) {
    return exprs.memory().store(t, address, value);
  }

  private void alloc(Stmt.Alloc a) {
    Type t = a.element();
    if (a.space() == Stmt.Space.REGISTER) {
      int count =
          Math.toIntExact(
              constant(a.count())
                  .orElseThrow(
                      () -> new IllegalStateException("a register buffer needs a constant size")));
      int width = CExprs.isMask(t) ? 4 : 0;
      List<Scope.Variable> registers = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        registers.add(new Scope.Variable(scope.fresh(a.buffer()), t, width));
      }
      for (Scope.Variable register : registers) {
        line(exprs.typeOf(t, width) + " " + register.c() + ";");
      }
      scope.declare(a.buffer(), new Scope.Memory(a.buffer(), t, registers, false));
      return;
    }
    String id = scope.fresh(a.buffer());
    memory(a, id);
    boolean shared = a.space() == Stmt.Space.SHARED;
    scope.declare(a.buffer(), new Scope.Memory(id, t, List.of(), shared, each(a)));
  }

  /** Elements of a shared buffer that each lane has for itself; 0 if lanes share them. */
  protected int each(Stmt.Alloc a) {
    return 0;
  }

  /** Declares a LOCAL or SHARED buffer. */
  protected void memory(Stmt.Alloc a, String id) {
    String type = CUnit.scalar(a.element().scalar());
    if (onStack(a)) {
      onStack = Stream.concat(onStack.stream(), Stream.of(id)).toList();
      line(
          "_Alignas(64) "
              + type
              + " "
              + id
              + "["
              + Math.max(1, constant(a.count()).orElseThrow())
              + "];");
      return;
    }
    String next = scope.fresh("scratch");
    line(type + " *const " + id + " = (" + type + " *)" + scratch + ";");
    line(
        "unsigned char *const "
            + next
            + " = "
            + scratch
            + " + (("
            + exprs.value(a.count())
            + ") * "
            + a.element().bytes()
            + " + 63) / 64 * 64;");
    scratch = next;
  }

  static boolean onStack(Stmt.Alloc a) {
    return constant(a.count()).filter(n -> n <= STACK_BYTES / a.element().bytes()).isPresent();
  }

  static Optional<Long> constant(Expr e) {
    return e instanceof Expr.IntConst c ? Optional.of(c.value()) : Optional.empty();
  }
}
