package org.tersor.ir.schedule;

import static org.tersor.ir.schedule.LoopExprs.index;
import static org.tersor.ir.schedule.LoopExprs.minus;
import static org.tersor.ir.schedule.LoopExprs.plus;
import static org.tersor.ir.schedule.LoopExprs.times;
import static org.tersor.ir.schedule.LoopExprs.widen;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Axis;
import org.tersor.ir.kernel.K;
import org.tersor.ir.kernel.KExpr;
import org.tersor.ir.kernel.KExprs;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.ReduceOp;
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
final class NestEmitter {

  /** One loop body under construction. */
  private static final class Scope {
    private final List<Stmt> statements = new ArrayList<>();
    private final Map<Object, Expr> known = new HashMap<>();
  }

  /**
   * What an axis stands for.
   *
   * @param base its value in lane 0, a scalar INDEX
   * @param lanes lanes that follow one another from base; 1 for a plain loop
   */
  private record Binding(Expr base, int lanes, int depth) {}

  private record Memo(KExpr expr, Optional<KExpr> guard) {}

  private final List<Scope> scopes = new ArrayList<>();
  private final Map<Axis, Binding> bindings = new HashMap<>();
  private final Map<KExpr, Expr> overrides = new HashMap<>();
  private final DimParameters dims = new DimParameters();
  private final FoldEmitter folds;
  private Optional<Expr> active = Optional.empty();
  private int names;

  /** What the emitter asks about its target. */
  record LoopTarget(boolean fma, int maxUnroll) {}

  NestEmitter(LoopTarget target) {
    this.folds = new FoldEmitter(this, target);
    scopes.add(new Scope());
  }

  /** Symbols used so far: the values of the function's INDEX parameters, in order. */
  List<String> dims() {
    return dims.symbols();
  }

  /**
   * Sets the lanes for folding the innermost axis in vectors where no output axis is a vector (1 at
   * first).
   */
  void setFoldLanes(int lanes) {
    folds.setLanes(lanes);
  }

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

  private int depth() {
    return scopes.size() - 1;
  }

  /** Runs {@code body} with a new scope and returns its statements. */
  Stmt.Block block(Runnable body) {
    scopes.add(new Scope());
    body.run();
    return new Stmt.Block(scopes.removeLast().statements);
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

  /** A loop over a bare variable. */
  void loop(
      Stmt.LoopKind kind, Expr begin, Expr end, int step, java.util.function.Consumer<Expr> body) {
    String var = fresh("t");
    Stmt.Block block = block(() -> body.accept(new Expr.Var(Type.INDEX, var)));
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

  /** Lowers an expression at the current point. */
  Expr lower(KExpr expr) {
    return lower(expr, Optional.empty());
  }

  private Binding binding(Axis axis) {
    Binding binding = bindings.get(axis);
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
  Expr lower(KExpr expr, Optional<KExpr> guard) {
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
    Optional<KExpr> relevant = readsMemory ? guard : Optional.empty();
    Memo memo = new Memo(expr, relevant);
    int level = Math.max(levelOf(expr), relevant.map(this::levelOf).orElse(0));
    for (int i = 0; i <= depth(); i++) {
      Expr known = scopes.get(i).known.get(memo);
      if (known != null) {
        return known;
      }
    }
    // Everything of this expression is bound at `level`: work there, then return to the inner
    // loops.
    List<Scope> inner = new ArrayList<>(scopes.subList(level + 1, scopes.size()));
    scopes.subList(level + 1, scopes.size()).clear();
    Expr value = compute(expr, relevant);
    Expr named = isCheap(value) ? value : let(expr.scalar() == Scalar.INDEX ? "x" : "v", value);
    scopes.getLast().known.put(memo, named);
    scopes.addAll(inner);
    return named;
  }

  private static boolean isCheap(Expr value) {
    return value instanceof Expr.Var
        || value instanceof Expr.IntConst
        || value instanceof Expr.FloatConst;
  }

  private Expr compute(KExpr expr, Optional<KExpr> guard) {
    return switch (expr) {
      case KExpr.IntLit _, KExpr.FloatLit _ -> throw new AssertionError();
      case KExpr.Dim e -> dim(e.value());
      case KExpr.AxisRef e -> axisValue(binding(e.axis()));
      case KExpr.At e -> load(e, guard);
      case KExpr.Un e -> new Expr.Unary(e.op(), lower(e.a(), guard));
      case KExpr.Bin e -> binary(e, guard);
      case KExpr.Cmp e -> compare(e, guard);
      case KExpr.If e -> {
        Expr condition = lower(e.condition(), guard);
        Expr then =
            lower(
                e.then(),
                Optional.of(guard.map(g -> K.and(g, e.condition())).orElse(e.condition())));
        KExpr not = K.not(e.condition());
        Expr otherwise =
            lower(e.otherwise(), Optional.of(guard.map(g -> K.and(g, not)).orElse(not)));
        int lanes =
            Math.max(
                condition.type().lanes(), Math.max(then.type().lanes(), otherwise.type().lanes()));
        yield new Expr.Select(widen(condition, lanes), widen(then, lanes), widen(otherwise, lanes));
      }
      case KExpr.To e -> {
        Expr a = lower(e.a(), guard);
        yield new Expr.Cast(a.type().withScalar(e.scalar()), a, e.inRange());
      }
      case KExpr.BitsAs e -> {
        Expr a = lower(e.a(), guard);
        yield new Expr.Bits(a.type().withScalar(e.scalar()), a);
      }
      case KExpr.Fold e -> folds.emit(e, guard);
    };
  }

  private static Expr axisValue(Binding binding) {
    return binding.lanes == 1 ? binding.base : new Expr.Ramp(binding.base, 1, binding.lanes);
  }

  private Expr binary(KExpr.Bin e, Optional<KExpr> guard) {
    if (e.scalar() == Scalar.INDEX) {
      return indexBinary(e, guard);
    }
    Expr a = lower(e.a(), guard);
    Expr b = lower(e.b(), guard);
    int lanes = Math.max(a.type().lanes(), b.type().lanes());
    return new Expr.Binary(e.op(), widen(a, lanes), widen(b, lanes));
  }

  private Expr indexBinary(KExpr.Bin e, Optional<KExpr> guard) {
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

  private record VectorPart(Axis axis, Binding binding) {}

  private Optional<VectorPart> vectorAxis(KExpr expr) {
    for (Axis axis : KExprs.freeAxes(expr)) {
      Binding binding = bindings.get(axis);
      if (binding != null && binding.lanes > 1) {
        return Optional.of(new VectorPart(axis, binding));
      }
    }
    return Optional.empty();
  }

  /** Scalar value in lane 0: the vector axis replaced by its base. */
  private Expr laneZero(KExpr expr, VectorPart vector, Optional<KExpr> guard) {
    Binding saved = binding(vector.axis);
    Axis scalar = new Axis(vector.axis.name() + "@0", vector.axis.extent());
    bindings.put(scalar, new Binding(saved.base, 1, saved.depth));
    return lower(KExprs.substitute(expr, Map.of(vector.axis, new KExpr.AxisRef(scalar))), guard);
  }

  private Expr compare(KExpr.Cmp e, Optional<KExpr> guard) {
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
  private Optional<Expr> laneMask(KExpr.Cmp e, VectorPart vector, Optional<KExpr> guard) {
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

  private Expr load(KExpr.At at, Optional<KExpr> guard) {
    KExpr index = at.index().getFirst();
    Optional<KExpr> needed = guard.filter(g -> !inBounds(at));
    Optional<VectorPart> vector = vectorAxis(index);
    if (vector.isEmpty()) {
      Expr mask = needed.map(g -> lower(g)).orElse(null);
      if (mask != null && mask.type().isVector()) {
        // One element for all lanes: it is read if any lane wants it.
        mask = new Expr.Reduce(ReduceOp.OR, mask);
      }
      return new Expr.Load(
          Type.of(at.scalar()), at.buffer().name(), lower(index, guard), Optional.ofNullable(mask));
    }
    int lanes = vector.get().binding.lanes;
    Affine affine = Affine.of(index);
    Optional<Expr> mask = needed.map(g -> widen(lower(g), lanes));
    if (affine.isLinearIn(vector.get().axis) && affine.coefficient(vector.get().axis).isConst(1)) {
      return new Expr.Load(
          new Type(at.scalar(), lanes),
          at.buffer().name(),
          laneZero(index, vector.get(), guard),
          merge(mask, activeMask(lanes)));
    }
    return new Expr.Load(
        new Type(at.scalar(), lanes),
        at.buffer().name(),
        lower(index, guard),
        merge(mask, activeMask(lanes)));
  }

  /** The mask of {@link #masked} around the current point. */
  Optional<Expr> activeMask() {
    return active;
  }

  private Optional<Expr> activeMask(int lanes) {
    return active.filter(mask -> mask.type().lanes() == lanes);
  }

  private static Optional<Expr> merge(Optional<Expr> a, Optional<Expr> b) {
    return a.isEmpty()
        ? b
        : b.isEmpty() ? a : Optional.of(new Expr.Binary(BinaryOp.AND, a.get(), b.get()));
  }

  /**
   * Runs {@code body} with lanes outside {@code mask} switched off for loads and {@link #store}.
   */
  void masked(Expr mask, Runnable body) {
    Optional<Expr> saved = active;
    Stmt.Block block =
        block(() -> {
          active = Optional.of(let("m", mask));
          body.run();
        });
    active = saved;
    block.body().forEach(this::emit);
  }

  /** Whether an unguarded read can never leave the buffer. */
  private static boolean inBounds(KExpr.At at) {
    DimExpr size = at.buffer().elements();
    return size.isConst()
        && Interval.of(at.index().getFirst())
            .map(range -> range.low() >= 0 && range.high() < size.constValue())
            .orElse(false);
  }

  /** Stores a stage's value at the current point. */
  void store(String buffer, KExpr flatIndex, Expr value) {
    Optional<VectorPart> vector = vectorAxis(flatIndex);
    if (vector.isEmpty()) {
      emit(new Stmt.Store(buffer, lower(flatIndex), value, Optional.empty()));
      return;
    }
    int lanes = vector.get().binding.lanes;
    Affine affine = Affine.of(flatIndex);
    boolean contiguous =
        affine.isLinearIn(vector.get().axis) && affine.coefficient(vector.get().axis).isConst(1);
    Expr index =
        contiguous ? laneZero(flatIndex, vector.get(), Optional.empty()) : lower(flatIndex);
    emit(new Stmt.Store(buffer, index, widen(value, lanes), activeMask(lanes)));
  }
}
