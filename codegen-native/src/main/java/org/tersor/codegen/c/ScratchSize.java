package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/**
 * The bytes of scratch that one worker of a function needs, as a loop function of its own over the
 * same dimensions: written as C beside the kernel, or interpreted.
 */
final class ScratchSize {
  private static final String NOW = "scratch now";
  private static final String MOST = "scratch most";
  private static final String RESULT = "scratch bytes";

  private final boolean cuda;

  /** Names that depend on dimensions only. */
  private Set<String> known;

  private int blocks;

  private ScratchSize(LoopFunction function, boolean cuda) {
    this.cuda = cuda;
    this.known = new HashSet<>(function.dims());
  }

  /** Writes {@code int64_t NAME_scratch(dims...)}. */
  static void emit(CUnit unit, LoopFunction function, String name, String linkage) {
    if (unit.cuda()) {
      // Sizes are the host's business.
      unit.function("#ifndef __CUDACC__");
    }
    CEmitter.emit(unit, of(function, false), name + "_bytes", "static");
    List<String> parameters = new ArrayList<>();
    List<String> arguments = new ArrayList<>(List.of("&bytes"));
    for (int i = 0; i < function.dims().size(); i++) {
      parameters.add("int64_t d" + i);
      arguments.add("d" + i);
    }
    unit.function(
        linkage
            + " int64_t "
            + name
            + "_scratch("
            + (parameters.isEmpty() ? "void" : String.join(", ", parameters))
            + ") { int64_t bytes = 0; "
            + name
            + "_bytes("
            + String.join(", ", arguments)
            + ", 0, 1, 0); return bytes; }");
    if (unit.cuda()) {
      unit.function("#endif");
    }
  }

  /**
   * Bytes that one thread of a CUDA kernel needs; shared buffers are not among them.
   *
   * @throws ArithmeticException if that is no number of bytes
   */
  static long ofThread(LoopFunction function, long[] dims) {
    long[] bytes = new long[1];
    LoopInterpreter.run(of(function, true), new Object[] {bytes}, new int[1], dims);
    return bytes[0];
  }

  private static LoopFunction of(LoopFunction function, boolean cuda) {
    ScratchSize size = new ScratchSize(function, cuda);
    List<Stmt> body = new ArrayList<>();
    body.add(new Stmt.Local(NOW, index(0)));
    body.add(new Stmt.Local(MOST, index(0)));
    size.visit(function.body(), body);
    body.add(
        new Stmt.Store(
            RESULT,
            index(0),
            new Expr.Cast(Type.of(Scalar.I64), var(MOST), true),
            Optional.empty()));
    return new LoopFunction(
        function.name() + "_bytes",
        List.of(new LoopFunction.BufferParam(RESULT, Scalar.I64, true)),
        function.dims(),
        new Stmt.Block(body));
  }

  private static Expr index(long value) {
    return new Expr.IntConst(Type.INDEX, value);
  }

  private static Expr var(String name) {
    return new Expr.Var(Type.INDEX, name);
  }

  private static Expr binary(BinaryOp op, Expr a, Expr b) {
    return new Expr.Binary(op, a, b);
  }

  private void visit(Stmt s, List<Stmt> out) {
    switch (s) {
      case Stmt.Block b -> nested(() -> {}, b.body(), out);
      case Stmt.For f -> nested(() -> known.remove(f.var()), List.of(f.body()), out);
      case Stmt.While w -> nested(() -> {}, List.of(w.body()), out);
      case Stmt.If i -> {
        nested(() -> {}, List.of(i.then()), out);
        i.otherwise().ifPresent(o -> nested(() -> {}, List.of(o), out));
      }
      case Stmt.Let l -> {
        if (isKnown(l.value()) && !l.value().type().isVector()) {
          out.add(l);
          known.add(l.name());
        } else {
          known.remove(l.name());
        }
      }
      case Stmt.Local l -> known.remove(l.name());
      case Stmt.Alloc a -> {
        boolean elsewhere =
            a.space() == Stmt.Space.REGISTER || (cuda && a.space() == Stmt.Space.SHARED);
        if (!elsewhere && !CEmitter.onStack(a)) {
          allocate(a, out);
        }
      }
      case Stmt.Assign _, Stmt.Store _, Stmt.Prefetch _, Stmt.Barrier _, Stmt.Tile _ -> {}
    }
  }

  private void allocate(Stmt.Alloc a, List<Stmt> out) {
    if (!isKnown(a.count())) {
      throw Faults.unsupported(
          "a buffer whose size depends on more than the dimensions",
          "the schedule must allocate its largest size");
    }
    Expr bytes = binary(BinaryOp.MUL, a.count(), index(a.element().bytes()));
    Expr lines = binary(BinaryOp.FLOORDIV, binary(BinaryOp.ADD, bytes, index(63)), index(64));
    out.add(
        new Stmt.Assign(
            NOW, binary(BinaryOp.ADD, var(NOW), binary(BinaryOp.MUL, lines, index(64)))));
    out.add(new Stmt.Assign(MOST, binary(BinaryOp.MAX, var(MOST), var(NOW))));
  }

  private void nested(Runnable first, List<Stmt> statements, List<Stmt> out) {
    Set<String> saved = known;
    known = new HashSet<>(saved);
    first.run();
    String before = "scratch before " + blocks++;
    List<Stmt> inner = new ArrayList<>(List.of(new Stmt.Let(before, var(NOW))));
    statements.forEach(s -> visit(s, inner));
    inner.add(new Stmt.Assign(NOW, var(before)));
    out.add(new Stmt.Block(inner));
    known = saved;
  }

  private boolean isKnown(Expr e) {
    return switch (e) {
      case Expr.IntConst _, Expr.FloatConst _ -> true;
      case Expr.Var v -> known.contains(v.name());
      case Expr.Load _,
          Expr.Dot2 _,
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
