package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/**
 * Writes a loop nest and lowers kernel expressions into it. Every subexpression is computed once,
 * at the outermost loop where its axes are bound (buffers of a kernel do not overlap, which a
 * backend's compiler cannot know).
 */
final class NestEmitter extends NestStatements {

  /**
   * What an axis stands for.
   *
   * @param base its value in lane 0, a scalar INDEX
   * @param lanes lanes that follow one another from base; 1 for a plain loop
   */
  record Binding(Expr base, int lanes, int depth) {}

  /**
   * Under what condition a value is wanted: what it reads may be outside its buffer elsewhere. The
   * condition itself is evaluated only where {@code outer} holds.
   */
  record Guard(Optional<Guard> outer, KExpr condition) {
    static Optional<Guard> of(Optional<Guard> outer, KExpr condition) {
      return Optional.of(new Guard(outer, condition));
    }
  }

  private record Memo(KExpr expr, Optional<Guard> guard, Map<Axis, Limited> limited) {}

  /** A summed axis that does not run over its extent, inside of the loop at {@code depth}. */
  private record Limited(WindowTaps.Range range, int depth) {}

  private final Map<Axis, Binding> bindings = new LinkedHashMap<>();

  /** Axes that stand for the first lane of a vector axis. */
  private final Map<Axis, Binding> laneZeros = new HashMap<>();

  private final Map<Axis, Limited> limited = new LinkedHashMap<>();

  private final Map<KExpr, Expr> overrides = new HashMap<>();
  private final DimParameters dims = new DimParameters();
  private final FoldEmitter folds;
  private final NestMemory memory = new NestMemory(this);

  /** What the emitter asks about its target. */
  record LoopTarget(boolean fma, int maxUnroll) {}

  NestEmitter(LoopTarget target) {
    this.folds = new FoldEmitter(this, target);
  }

  /** Symbols used so far: the values of the function's INDEX parameters, in order. */
  List<DimExpr> dims() {
    return dims.values();
  }

  /**
   * Sets the lanes for folding the innermost axis in vectors where no output axis is a vector (1 at
   * first).
   */
  void setFoldLanes(int lanes) {
    folds.setLanes(lanes);
  }

  /** Sets how many terms of a fold are written out at most. */
  void setUnroll(int most) {
    folds.setUnroll(most);
  }

  /**
   * A loop with {@code axis} bound to its variable (in units of the axis), {@code lanes} positions
   * at a time.
   */
  void loop(
      Stmt.LoopKind kind, Axis axis, Expr begin, Expr end, int step, int lanes, Runnable body) {
    String var = fresh("i");
    Stmt.Block block =
        block(() -> {
          bindings.put(axis, new Binding(new Expr.Var(Type.INDEX, var), lanes, depth()));
          body.run();
          bindings.remove(axis);
        });
    emit(new Stmt.For(kind, var, begin, end, step, block));
  }

  /** Binds an axis to a value inside {@code body}, without a loop. */
  void with(Axis axis, Expr base, int lanes, Runnable body) {
    Stmt.Block block =
        block(() -> {
          bindings.put(axis, new Binding(base, lanes, depth()));
          body.run();
          bindings.remove(axis);
        });
    block.body().forEach(this::emit);
  }

  /** A dimension as an expression over the function's INDEX parameters. */
  Expr dim(DimExpr value) {
    return dims.expression(value);
  }

  /**
   * Runs {@code body} with {@code value} standing for {@code expr} (a fold that the schedule
   * computed itself).
   */
  void defining(KExpr expr, Expr value, Runnable body) {
    overrides.put(expr, value);
    Stmt.Block block = block(body);
    overrides.remove(expr);
    block.body().forEach(this::emit);
  }

  /** See {@link FoldEmitter#together}. */
  Optional<List<Expr>> together(List<KExpr.Fold> of) {
    return folds.together(of);
  }

  /** Runs {@code body}, where folds over these axes run over ranges of them. */
  void limiting(Map<Axis, WindowTaps.Range> ranges, Runnable body) {
    ranges.forEach((axis, range) -> limited.put(axis, new Limited(range, depth())));
    body.run();
    ranges.keySet().forEach(limited::remove);
  }

  /** The range of a summed axis where it is not its extent. */
  Optional<WindowTaps.Range> limit(Axis axis) {
    return Optional.ofNullable(limited.get(axis)).map(Limited::range);
  }

  /** The ranges that an expression is folded over. */
  private Map<Axis, Limited> limits(KExpr expr) {
    if (limited.isEmpty()) {
      return Map.of();
    }
    Map<Axis, Limited> of = new HashMap<>();
    for (KExpr.Fold fold : KExprs.all(expr, KExpr.Fold.class)) {
      for (Axis axis : fold.axes()) {
        Limited range = limited.get(axis);
        if (range != null) {
          of.put(axis, range);
        }
      }
    }
    return of;
  }

  /** Lowers an expression at the current point. */
  Expr lower(KExpr expr) {
    return lower(expr, Optional.empty());
  }

  private Binding binding(Axis axis) {
    Binding binding = bindings.getOrDefault(axis, laneZeros.get(axis));
    if (binding == null) {
      throw new IllegalStateException("axis " + axis.name() + " is not bound");
    }
    return binding;
  }

  private int levelOf(KExpr expr) {
    int level = 0;
    for (Axis axis : KExprs.freeAxes(expr)) {
      level = Math.max(level, binding(axis).depth);
    }
    for (Limited range : limits(expr).values()) {
      level = Math.max(level, range.depth);
    }
    if (overrides.keySet().stream().anyMatch(replaced -> contains(expr, replaced))) {
      return depth();
    }
    // A fold is a loop, and only Let may stand before the parallel loop.
    return KExprs.all(expr, KExpr.Fold.class).isEmpty()
        ? level
        : Math.max(level, Math.min(1, depth()));
  }

  private static boolean contains(KExpr expr, KExpr part) {
    return expr.equals(part) || KExprs.operands(expr).stream().anyMatch(e -> contains(e, part));
  }

  /** Lowers an expression whose reads happen only where {@code guard} holds. */
  Expr lower(KExpr expr, Optional<Guard> guard) {
    Expr override = overrides.get(expr);
    if (override != null) {
      return override;
    }
    switch (expr) {
      case KExpr.IntLit e -> {
        return new Expr.IntConst(Type.of(e.scalar()), e.value());
      }
      case KExpr.FloatLit e -> {
        return new Expr.FloatConst(Type.of(e.scalar()), e.value());
      }
      default -> {}
    }
    boolean readsMemory = !KExprs.all(expr, KExpr.At.class).isEmpty();
    Optional<Guard> relevant = readsMemory ? guard : Optional.empty();
    Map<Axis, Limited> limits = limits(expr);
    return knownOutside(expr, relevant, limits)
        .orElseGet(() ->
            once(
                new Memo(expr, relevant, limits),
                Math.max(levelOf(expr), levelOf(relevant)),
                expr.scalar() == Scalar.INDEX ? "x" : "v",
                () -> compute(expr, relevant)));
  }

  /** What was computed where less must hold is good where more does, too. */
  private Optional<Expr> knownOutside(
      KExpr expr, Optional<Guard> guard, Map<Axis, Limited> limits) {
    return guard.flatMap(
        g -> knownOutside(expr, g.outer, limits).or(() -> known(new Memo(expr, g.outer, limits))));
  }

  private int levelOf(Optional<Guard> guard) {
    return guard.map(g -> Math.max(levelOf(g.condition), levelOf(g.outer))).orElse(0);
  }

  /** The truth of a guard; every condition is evaluated under those before it. */
  Expr lower(Guard guard) {
    return guard
        .outer
        .map(outer ->
            once(
                guard,
                levelOf(Optional.of(guard)),
                "v",
                () -> both(lower(outer), lower(guard.condition, guard.outer))))
        .orElseGet(() -> lower(guard.condition));
  }

  private static Expr both(Expr a, Expr b) {
    int lanes = Math.max(a.type().lanes(), b.type().lanes());
    return new Expr.Binary(BinaryOp.AND, widen(a, lanes), widen(b, lanes));
  }

  private Expr compute(KExpr expr, Optional<Guard> guard) {
    return switch (expr) {
      case KExpr.IntLit _, KExpr.FloatLit _ -> throw new AssertionError();
      case KExpr.Dim e -> dim(e.value());
      case KExpr.AxisRef e -> axisValue(binding(e.axis()));
      case KExpr.At e -> memory.load(e, guard);
      case KExpr.Un e -> new Expr.Unary(e.op(), lower(e.a(), guard));
      case KExpr.Bin e -> binary(e, guard);
      case KExpr.Cmp e -> compare(e, guard);
      case KExpr.If e -> {
        Expr condition = lower(e.condition(), guard);
        Expr then = lower(e.then(), Guard.of(guard, e.condition()));
        Expr otherwise = lower(e.otherwise(), Guard.of(guard, K.not(e.condition())));
        int lanes =
            Math.max(
                condition.type().lanes(), Math.max(then.type().lanes(), otherwise.type().lanes()));
        yield new Expr.Select(widen(condition, lanes), widen(then, lanes), widen(otherwise, lanes));
      }
      case KExpr.To e -> {
        Expr a = e.inRange() ? clamped(e.a(), guard) : lower(e.a(), guard);
        yield new Expr.Cast(a.type().withScalar(e.scalar()), a, e.inRange());
      }
      case KExpr.BitsAs e -> {
        Expr a = lower(e.a(), guard);
        yield new Expr.Bits(a.type().withScalar(e.scalar()), a);
      }
      case KExpr.Fold e -> folds.emit(e, guard);
      case KExpr.Within e -> lower(e.unchecked(), guard);
    };
  }

  /**
   * A value that is rounded and brought into the range of an integer stays one expression with the
   * conversion: some targets have instructions for several of its steps.
   */
  private Expr clamped(KExpr value, Optional<Guard> guard) {
    if (value instanceof KExpr.Bin bin
        && (bin.op() == BinaryOp.MIN || bin.op() == BinaryOp.MAX)
        && bin.b() instanceof KExpr.FloatLit) {
      Expr a = clamped(bin.a(), guard);
      return new Expr.Binary(bin.op(), a, widen(lower(bin.b()), a.type().lanes()));
    }
    return value instanceof KExpr.Un un && un.op() == UnaryOp.RINT
        ? new Expr.Unary(un.op(), lower(un.a(), guard))
        : lower(value, guard);
  }

  private static Expr axisValue(Binding binding) {
    return binding.lanes == 1 ? binding.base : new Expr.Ramp(binding.base, 1, binding.lanes);
  }

  private Expr binary(KExpr.Bin e, Optional<Guard> guard) {
    if (e.scalar() == Scalar.INDEX) {
      return indexBinary(e, guard);
    }
    Expr a = lower(e.a(), guard);
    Expr b = lower(e.b(), guard);
    int lanes = Math.max(a.type().lanes(), b.type().lanes());
    return new Expr.Binary(e.op(), widen(a, lanes), widen(b, lanes));
  }

  private Expr indexBinary(KExpr.Bin e, Optional<Guard> guard) {
    Expr a = lower(e.a(), guard);
    Expr b = lower(e.b(), guard);
    int lanes = Math.max(a.type().lanes(), b.type().lanes());
    if (lanes > 1) {
      return new Expr.Binary(e.op(), widen(a, lanes), widen(b, lanes));
    }
    return switch (e.op()) {
      case ADD -> plus(a, b);
      case SUB -> minus(a, b);
      case MUL -> times(a, b);
      default -> new Expr.Binary(e.op(), a, b);
    };
  }

  /** Lanes that a value has at the current point; empty if it is a scalar. */
  Optional<Integer> vectorLanes(KExpr expr) {
    return vectorAxis(expr).map(v -> v.binding.lanes);
  }

  /** Whether a guard differs between lanes at the current point. */
  boolean isVector(Optional<Guard> guard) {
    return guard.map(g -> vectorAxis(g.condition).isPresent() || isVector(g.outer)).orElse(false);
  }

  /** The axis whose positions are lanes. */
  record VectorPart(Axis axis, Binding binding) {
    int lanes() {
      return binding.lanes;
    }
  }

  Optional<VectorPart> vectorAxis(KExpr expr) {
    for (Axis axis : KExprs.freeAxes(expr)) {
      Binding binding = bindings.get(axis);
      if (binding != null && binding.lanes > 1) {
        return Optional.of(new VectorPart(axis, binding));
      }
    }
    return Optional.empty();
  }

  /** Scalar value in lane 0: the vector axis replaced by its base. */
  Expr laneZero(KExpr expr, VectorPart vector, Optional<Guard> guard) {
    Binding saved = binding(vector.axis);
    Axis scalar = new Axis(vector.axis.name() + "@0", vector.axis.extent());
    laneZeros.put(scalar, new Binding(saved.base, 1, saved.depth));
    return lower(KExprs.substitute(expr, Map.of(vector.axis, new KExpr.AxisRef(scalar))), guard);
  }

  private Expr compare(KExpr.Cmp e, Optional<Guard> guard) {
    Optional<VectorPart> vector = e.a().scalar() == Scalar.INDEX ? vectorAxis(e) : Optional.empty();
    if (vector.isPresent()) {
      Optional<Expr> mask = laneMask(e, vector.get(), guard);
      if (mask.isPresent()) {
        return mask.get();
      }
    }
    Expr a = lower(e.a(), guard);
    Expr b = lower(e.b(), guard);
    int lanes = Math.max(a.type().lanes(), b.type().lanes());
    return new Expr.Compare(e.op(), widen(a, lanes), widen(b, lanes));
  }

  /**
   * lane + x < y and its like as a tail mask, which costs one instruction instead of index
   * arithmetic in vectors.
   */
  private Optional<Expr> laneMask(KExpr.Cmp e, VectorPart vector, Optional<Guard> guard) {
    Affine difference = Affine.of(K.sub(e.a(), e.b()));
    if (!difference.isLinearIn(vector.axis) || !difference.coefficient(vector.axis).isConst(1)) {
      return Optional.empty();
    }
    // a - b at lane l is zero + l.
    Expr zero = laneZero(difference.toKExpr(), vector, guard);
    int lanes = vector.binding.lanes;
    Expr below = new Expr.LaneLt(minus(index(0), zero), lanes);
    Expr belowOrEqual = new Expr.LaneLt(minus(index(1), zero), lanes);
    return switch (e.op()) {
      case LT -> Optional.of(below);
      case LE -> Optional.of(belowOrEqual);
      case GE -> Optional.of(new Expr.Unary(UnaryOp.NOT, below));
      case GT -> Optional.of(new Expr.Unary(UnaryOp.NOT, belowOrEqual));
      case EQ, NE -> Optional.empty();
    };
  }

  /**
   * The guard of a read that moves out of loops it does not depend on: where such a loop has no
   * turns, the kernel does not execute the read.
   */
  Optional<Guard> executed(KExpr.At at, Optional<Guard> guard) {
    int level = Math.max(levelOf(at), levelOf(guard));
    Optional<Guard> result = guard;
    for (Map.Entry<Axis, Binding> bound : bindings.entrySet()) {
      DimExpr extent = bound.getKey().extent();
      if (bound.getValue().depth > level && !(extent.isConst() && extent.constValue() > 0)) {
        result = Guard.of(result, K.lt(K.index(0), K.dim(extent)));
      }
    }
    return result;
  }

  /** The mask of {@link #masked} around the current point. */
  Optional<Expr> activeMask() {
    return memory.mask();
  }

  /**
   * Runs {@code body} with lanes from {@code count} on switched off for loads and {@link #store}.
   */
  void masked(Expr count, int lanes, Runnable body) {
    memory.masked(count, lanes, body);
  }

  /** Stores a stage's value at the current point. */
  void store(String buffer, KExpr flatIndex, Expr value) {
    memory.store(buffer, flatIndex, value);
  }
}
