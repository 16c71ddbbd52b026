package org.tersor.ir.loop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tersor.ir.schedule.Target;

/**
 * Replaces what a target lacks by other loop IR, so that a backend implements few operations:
 * transcendental functions become the text of {@code math.kern}; a fused multiply-add becomes a
 * multiplication and an addition without {@link Target.Feature#FMA}, but for those of the routines,
 * which are exact everywhere; conversions of floats below 32 bits become integer operations (F16
 * stays with {@link Target.Feature#F16C}); Dot4 and Dot2 become shifts and multiplications unless
 * {@link Target#sumsBytes} or {@link Target.Feature#BF16_DOT}.
 *
 * <p>Steps are bound by {@link Stmt.Let} before the statement that needs them. Expressions have no
 * side effects, so that changes nothing; masked loads keep their masks.
 */
public final class Legalizer {
  private final Target target;
  private final Set<String> used = new HashSet<>();
  private final Set<String> registers = new HashSet<>();
  private int next;

  /** A multiply-add of a routine stays one, so that every target computes the same bits. */
  private boolean inRoutine;

  private List<Stmt> pre = new ArrayList<>();
  private Map<Expr, Expr> done = new HashMap<>();

  private Legalizer(Target target) {
    this.target = target;
  }

  /** The function without operations that the target lacks. */
  public static LoopFunction legalize(LoopFunction function, Target target) {
    Legalizer legalizer = new Legalizer(target);
    function.buffers().forEach(b -> legalizer.used.add(b.name()));
    legalizer.used.addAll(function.dims());
    legalizer.collect(function.body());
    return new LoopFunction(
        function.name(), function.buffers(), function.dims(), legalizer.single(function.body()));
  }

  private void collect(Stmt statement) {
    switch (statement) {
      case Stmt.Block block -> block.body().forEach(this::collect);
      case Stmt.For loop -> {
        used.add(loop.var());
        collect(loop.body());
      }
      case Stmt.While loop -> collect(loop.body());
      case Stmt.Let let -> used.add(let.name());
      case Stmt.Local local -> used.add(local.name());
      case Stmt.If branch -> {
        collect(branch.then());
        branch.otherwise().ifPresent(this::collect);
      }
      case Stmt.Alloc alloc -> {
        used.add(alloc.buffer());
        if (alloc.space() == Stmt.Space.REGISTER) {
          registers.add(alloc.buffer());
        }
      }
      case Stmt.Assign a -> {}
      case Stmt.Store s -> {}
      case Stmt.Prefetch p -> {}
      case Stmt.Barrier b -> {}
      case Stmt.Tile.Zero t -> used.add(t.name());
      case Stmt.Tile.Load t -> used.add(t.name());
      case Stmt.Tile.Dot t -> {}
      case Stmt.Tile.Store t -> {}
    }
  }

  private String fresh(String hint) {
    String name;
    do {
      name = hint + "_" + next++;
    } while (!used.add(name));
    return name;
  }

  /**
   * The value under a name, by a Let before the statement; variables and constants stay as they
   * are.
   */
  Expr bind(String hint, Expr value) {
    if (value instanceof Expr.Var
        || value instanceof Expr.IntConst
        || value instanceof Expr.FloatConst) {
      return value;
    }
    String name = fresh(hint);
    pre.add(new Stmt.Let(name, value));
    return new Expr.Var(value.type(), name);
  }

  private Stmt single(Stmt statement) {
    List<Stmt> out = new ArrayList<>();
    statement(statement, out);
    return out.size() == 1 ? out.getFirst() : new Stmt.Block(out);
  }

  private void statement(Stmt statement, List<Stmt> out) {
    List<Stmt> outerPre = pre;
    Map<Expr, Expr> outerDone = done;
    pre = out;
    done = new HashMap<>();
    switch (statement) {
      case Stmt.Block block -> {
        List<Stmt> body = new ArrayList<>();
        block.body().forEach(s -> statement(s, body));
        out.add(new Stmt.Block(body));
      }
      case Stmt.For loop -> {
        Expr begin = expr(loop.begin());
        Expr end = expr(loop.end());
        out.add(
            new Stmt.For(loop.kind(), loop.var(), begin, end, loop.step(), single(loop.body())));
      }
      case Stmt.While loop -> whileLoop(loop, out);
      case Stmt.Let let -> out.add(new Stmt.Let(let.name(), expr(let.value())));
      case Stmt.Local local -> out.add(new Stmt.Local(local.name(), expr(local.initial())));
      case Stmt.Assign assign -> out.add(new Stmt.Assign(assign.name(), expr(assign.value())));
      case Stmt.Store store ->
          out.add(
              new Stmt.Store(
                  store.buffer(),
                  expr(store.index()),
                  expr(store.value()),
                  store.mask().map(this::expr)));
      case Stmt.If branch ->
          out.add(
              new Stmt.If(
                  expr(branch.condition()),
                  single(branch.then()),
                  branch.otherwise().map(this::single)));
      case Stmt.Alloc alloc ->
          out.add(
              new Stmt.Alloc(alloc.buffer(), alloc.element(), expr(alloc.count()), alloc.space()));
      case Stmt.Prefetch prefetch ->
          out.add(new Stmt.Prefetch(prefetch.buffer(), expr(prefetch.index())));
      case Stmt.Barrier barrier -> out.add(barrier);
      case Stmt.Tile.Zero t -> out.add(t);
      case Stmt.Tile.Load t ->
          out.add(
              new Stmt.Tile.Load(
                  t.name(), t.rows(), t.words(), t.buffer(), expr(t.index()), expr(t.stride())));
      case Stmt.Tile.Dot t -> out.add(t);
      case Stmt.Tile.Store t ->
          out.add(new Stmt.Tile.Store(t.buffer(), expr(t.index()), expr(t.stride()), t.name()));
    }
    pre = outerPre;
    done = outerDone;
  }

  /**
   * A condition that needs statements is computed before the loop and again at the end of each
   * iteration.
   */
  private void whileLoop(Stmt.While loop, List<Stmt> out) {
    List<Stmt> before = new ArrayList<>();
    pre = before;
    Expr condition = expr(loop.condition());
    Stmt body = single(loop.body());
    if (before.isEmpty()) {
      out.add(new Stmt.While(condition, body));
      return;
    }
    String going = fresh("going");
    out.addAll(before);
    out.add(new Stmt.Local(going, condition));
    List<Stmt> again = new ArrayList<>(List.of(body));
    statement(new Stmt.Assign(going, loop.condition()), again);
    out.add(new Stmt.While(new Expr.Var(Type.BOOL, going), new Stmt.Block(again)));
  }

  private Expr expr(Expr e) {
    return switch (e) {
      case Expr.IntConst c -> c;
      case Expr.FloatConst c -> c;
      case Expr.Var v -> v;
      case Expr.Load load ->
          new Expr.Load(
              load.type(), load.buffer(), expr(load.index()), load.mask().map(this::expr));
      case Expr.Unary u -> {
        Expr a = expr(u.a());
        yield u.op().isTranscendental()
            ? inline(u.op(), new Expr.Unary(u.op(), a), List.of(a))
            : new Expr.Unary(u.op(), a);
      }
      case Expr.Binary b -> {
        Expr a = expr(b.a());
        Expr c = expr(b.b());
        Expr plain = new Expr.Binary(b.op(), a, c);
        yield b.op().isTranscendental() ? inline(b.op(), plain, List.of(a, c)) : plain;
      }
      case Expr.Compare c -> new Expr.Compare(c.op(), expr(c.a()), expr(c.b()));
      case Expr.Fma f -> {
        Expr a = expr(f.a());
        Expr b = expr(f.b());
        yield multiplyAdd(a, b, expr(f.c()));
      }
      case Expr.Select s ->
          new Expr.Select(expr(s.condition()), expr(s.then()), expr(s.otherwise()));
      case Expr.Cast c -> cast(new Expr.Cast(c.type(), expr(c.a()), c.inRange()));
      case Expr.Bits b -> new Expr.Bits(b.type(), expr(b.a()));
      case Expr.Dot2 d -> {
        Expr.Dot2 plain = new Expr.Dot2(expr(d.acc()), expr(d.a()), expr(d.b()));
        yield target.has(Target.Feature.BF16_DOT) ? plain : dot2(plain);
      }
      case Expr.Dot4 d -> {
        Expr.Dot4 plain = new Expr.Dot4(expr(d.acc()), expr(d.a()), expr(d.b()));
        yield target.sumsBytes() ? plain : dot4(plain);
      }
      case Expr.Reduce r -> new Expr.Reduce(r.op(), expr(r.a()));
      case Expr.Broadcast b -> new Expr.Broadcast(expr(b.a()), b.lanes());
      case Expr.Ramp r -> new Expr.Ramp(expr(r.base()), r.stride(), r.lanes());
      case Expr.Shuffle s -> new Expr.Shuffle(expr(s.a()), expr(s.b()), s.lanes());
      case Expr.LaneLt l -> new Expr.LaneLt(expr(l.count()), l.lanes());
    };
  }

  private Expr dot2(Expr.Dot2 d) {
    Expr a = bind("a", d.a());
    Expr b = bind("b", d.b());
    Expr high =
        flushedFma(
            op(BinaryOp.AND, a, 0xFFFF0000), op(BinaryOp.AND, b, 0xFFFF0000), flushed(d.acc()));
    return flushedFma(op(BinaryOp.SHL, a, 16), op(BinaryOp.SHL, b, 16), high);
  }

  private Expr multiplyAdd(Expr a, Expr b, Expr sum) {
    return target.has(Target.Feature.FMA) || inRoutine
        ? new Expr.Fma(a, b, sum)
        : new Expr.Binary(BinaryOp.ADD, new Expr.Binary(BinaryOp.MUL, a, b), sum);
  }

  /** As {@link #multiplyAdd} of what bits mean, without subnormal numbers. */
  private Expr flushedFma(Expr a, Expr b, Expr sum) {
    Type type = sum.type();
    return flushed(
        multiplyAdd(flushed(new Expr.Bits(type, a)), flushed(new Expr.Bits(type, b)), sum));
  }

  /** Subnormal numbers as zeros of their sign. */
  private Expr flushed(Expr x) {
    Expr number = bind("x", x);
    Expr bits = bind("w", new Expr.Bits(x.type().withScalar(Scalar.I32), number));
    Expr normal =
        new Expr.Compare(
            CompareOp.NE, op(BinaryOp.AND, bits, 0x7F800000), new Expr.IntConst(bits.type(), 0));
    return new Expr.Select(
        normal, number, new Expr.Bits(x.type(), op(BinaryOp.AND, bits, Integer.MIN_VALUE)));
  }

  private Expr dot4(Expr.Dot4 d) {
    Expr a = bind("a", d.a());
    Expr b = bind("b", d.b());
    Expr sum = d.acc();
    for (int i = 0; i < 4; i++) {
      Expr u = op(BinaryOp.AND, op(BinaryOp.SHR, a, 8L * i), 0xFF);
      Expr s = op(BinaryOp.SHR, op(BinaryOp.SHL, b, 24 - 8L * i), 24);
      sum = new Expr.Binary(BinaryOp.ADD, sum, new Expr.Binary(BinaryOp.MUL, u, s));
    }
    return sum;
  }

  static Expr op(BinaryOp op, Expr a, long b) {
    return new Expr.Binary(op, a, new Expr.IntConst(a.type(), b));
  }

  private Expr cast(Expr.Cast c) {
    Scalar from = c.a().type().scalar();
    Scalar to = c.type().scalar();
    if (from == to || (!from.isSmallFloat() && !to.isSmallFloat())) {
      return c;
    }
    Expr known = done.get(c);
    if (known != null) {
      return known;
    }
    SmallFloats small = new SmallFloats(this::bind);
    boolean half = target.has(Target.Feature.F16C);
    Expr single = c.a();
    if (from.isSmallFloat()) {
      single =
          half && from == Scalar.F16
              ? new Expr.Cast(c.type().withScalar(Scalar.F32), c.a(), false)
              : small.decode(from, codes(c.a()));
    } else if (from != Scalar.F32) {
      single = small.toSingle(c.a());
    }
    Expr result;
    if (!to.isSmallFloat()) {
      result = to == Scalar.F32 ? single : new Expr.Cast(c.type(), single, c.inRange());
    } else if (half && to == Scalar.F16) {
      result = new Expr.Cast(c.type(), single, c.inRange());
    } else {
      result = new Expr.Bits(c.type(), small.encode(to, single));
    }
    result = bind("f", result);
    done.put(c, result);
    return result;
  }

  /** The codes of small floats; a load from memory is turned into a load of integers. */
  private Expr codes(Expr a) {
    Type type = a.type().withScalar(a.type().scalar().bytes() == 1 ? Scalar.U8 : Scalar.U16);
    if (a instanceof Expr.Load load && !registers.contains(load.buffer())) {
      return new Expr.Load(type, load.buffer(), load.index(), load.mask());
    }
    return a instanceof Expr.Bits b && b.a().type().equals(type) ? b.a() : new Expr.Bits(type, a);
  }

  private Expr inline(Enum<?> op, Expr call, List<Expr> arguments) {
    Expr known = done.get(call);
    if (known != null) {
      return known;
    }
    Type type = call.type();
    LoopRoutine routine = MathRoutines.find(op, type.scalar());
    RoutineCopy copy = new RoutineCopy(type.lanes(), this::fresh);
    for (int i = 0; i < arguments.size(); i++) {
      copy.define(routine.parameters().get(i).name(), bind("x", arguments.get(i)));
    }
    boolean within = inRoutine;
    inRoutine = true;
    for (Stmt s : routine.body()) {
      statement(copy.statement(s), pre);
    }
    Map<Expr, Expr> outer = done;
    done = new HashMap<>();
    Expr result = bind(routine.name(), expr(copy.expr(routine.result())));
    inRoutine = within;
    done = outer;
    done.put(call, result);
    return result;
  }
}
