package org.tersor.ir.loop;

import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;

/**
 * Arithmetic of one launch of a function, all of its tasks, counted by following its loops: lanes
 * that a mask switches off count, since the machine computes them too.
 *
 * @param floats operations on F32 and F64: sums, products, quotients, extremes, roots; {@link
 *     Expr.Fma} is two. Comparisons, choices, conversions and moves are none
 * @param byteProducts multiplications and additions of {@link Expr.Dot4}, eight a lane, and of
 *     {@link Stmt.Tile.Dot}
 * @param isExact false where data decide which statements run: then a {@code while} counts one
 *     turn, and an {@code if} its longer side
 */
public record LoopWork(long floats, long byteProducts, boolean isExact) {
  private static final LoopWork NONE = new LoopWork(0, 0, true);

  /**
   * Counts.
   *
   * @param dims values of {@link LoopFunction#dims}
   */
  public static LoopWork of(LoopFunction function, List<Long> dims) {
    Counter counter = new Counter(function.body());
    Map<String, Long> known = new HashMap<>();
    for (int i = 0; i < dims.size(); i++) {
      known.put(function.dims().get(i), dims.get(i));
    }
    return counter.count(function.body(), known);
  }

  /** Both kinds of operations. */
  public long operations() {
    return floats + byteProducts;
  }

  private LoopWork plus(LoopWork other) {
    return new LoopWork(
        Math.addExact(floats, other.floats),
        Math.addExact(byteProducts, other.byteProducts),
        isExact && other.isExact);
  }

  private LoopWork times(long turns) {
    return new LoopWork(
        Math.multiplyExact(floats, turns), Math.multiplyExact(byteProducts, turns), isExact);
  }

  private LoopWork estimated() {
    return new LoopWork(floats, byteProducts, false);
  }

  private static LoopWork of(Expr e) {
    LoopWork own =
        switch (e) {
          case Expr.Unary u -> floats(u.type(), isArithmetic(u.op()) ? 1 : 0);
          case Expr.Binary b -> floats(b.type(), isArithmetic(b.op()) ? 1 : 0);
          case Expr.Fma f -> floats(f.type(), 2);
          case Expr.Dot2 d -> floats(d.type(), 4);
          case Expr.Dot4 d -> new LoopWork(0, 8L * d.type().lanes(), true);
          case Expr.Reduce r -> floats(r.type(), r.a().type().lanes() - 1);
          case Expr.Load _,
              Expr.Compare _,
              Expr.Select _,
              Expr.Cast _,
              Expr.Bits _,
              Expr.Broadcast _,
              Expr.Ramp _,
              Expr.Shuffle _,
              Expr.LaneLt _,
              Expr.IntConst _,
              Expr.FloatConst _,
              Expr.Var _ ->
              NONE;
        };
    for (Expr operand : Operands.of(e)) {
      own = own.plus(of(operand));
    }
    return own;
  }

  private static LoopWork floats(Type type, int each) {
    return type.scalar().isFloat() ? new LoopWork((long) each * type.lanes(), 0, true) : NONE;
  }

  private static boolean isArithmetic(UnaryOp op) {
    return switch (op) {
      case NEG, ABS, NOT, POPCOUNT -> false;
      case SQRT, FLOOR, CEIL, TRUNC, RINT -> true;
      case EXP, EXPM1, LOG, LOG1P, TANH, SIGMOID, ERF, SIN, COS, TAN -> true;
      case ASIN, ACOS, ATAN, SINH, COSH, ASINH, ACOSH, ATANH -> true;
    };
  }

  private static boolean isArithmetic(BinaryOp op) {
    return switch (op) {
      case ADD, SUB, MUL, DIV, REM, MIN, MAX, FMOD, POW, ATAN2 -> true;
      case FLOORDIV, FLOORMOD, AND, OR, XOR, SHL, SHR -> false;
    };
  }

  /** Follows statements; loops whose turns are all alike are followed once. */
  private static final class Counter {
    private final IdentityHashMap<Stmt, LoopWork> straight = new IdentityHashMap<>();
    private final IdentityHashMap<Stmt, Set<String>> deciding = new IdentityHashMap<>();
    private final Map<String, Set<String>> definitions = new HashMap<>();

    /** What matrix registers hold that are multiplied. */
    private final Map<String, Stmt.Tile.Load> loaded = new HashMap<>();

    Counter(Stmt body) {
      define(body);
    }

    /** What the value of a name is computed from, whichever of its definitions holds. */
    private void define(Stmt stmt) {
      switch (stmt) {
        case Stmt.Block block -> block.body().forEach(this::define);
        case Stmt.For loop -> {
          define(loop.var(), loop.begin());
          define(loop.var(), loop.end());
          define(loop.body());
        }
        case Stmt.While loop -> define(loop.body());
        case Stmt.Let let -> define(let.name(), let.value());
        case Stmt.If branch -> {
          define(branch.then());
          branch.otherwise().ifPresent(this::define);
        }
        case Stmt.Tile.Load tile -> loaded.put(tile.name(), tile);
        case Stmt.Local _,
            Stmt.Assign _,
            Stmt.Store _,
            Stmt.Alloc _,
            Stmt.Prefetch _,
            Stmt.Barrier _,
            Stmt.Tile _ -> {}
      }
    }

    private void define(String name, Expr value) {
      names(value, definitions.computeIfAbsent(name, n -> new HashSet<>()));
    }

    private static void names(Expr e, Set<String> into) {
      if (e instanceof Expr.Var v) {
        into.add(v.name());
      }
      Operands.of(e).forEach(operand -> names(operand, into));
    }

    /** Names that decide which statements of {@code stmt} run, and how often. */
    private Set<String> deciding(Stmt stmt) {
      Set<String> known = deciding.get(stmt);
      if (known == null) {
        known = new HashSet<>();
        collect(stmt, known);
        deciding.put(stmt, known);
      }
      return known;
    }

    private void collect(Stmt stmt, Set<String> into) {
      switch (stmt) {
        case Stmt.Block block -> block.body().forEach(s -> into.addAll(deciding(s)));
        case Stmt.For loop -> {
          close(loop.begin(), into);
          close(loop.end(), into);
          into.addAll(deciding(loop.body()));
        }
        case Stmt.While loop -> into.addAll(deciding(loop.body()));
        case Stmt.If branch -> {
          close(branch.condition(), into);
          into.addAll(deciding(branch.then()));
          branch.otherwise().ifPresent(s -> into.addAll(deciding(s)));
        }
        case Stmt.Let _,
            Stmt.Local _,
            Stmt.Assign _,
            Stmt.Store _,
            Stmt.Alloc _,
            Stmt.Prefetch _,
            Stmt.Barrier _,
            Stmt.Tile _ -> {}
      }
    }

    private void close(Expr e, Set<String> into) {
      Set<String> open = new HashSet<>();
      names(e, open);
      open.forEach(name -> close(name, into));
    }

    private void close(String name, Set<String> into) {
      if (into.add(name)) {
        definitions.getOrDefault(name, Set.of()).forEach(other -> close(other, into));
      }
    }

    LoopWork count(Stmt stmt, Map<String, Long> known) {
      return switch (stmt) {
        case Stmt.Block block -> {
          Map<String, Long> inside = new HashMap<>(known);
          LoopWork sum = NONE;
          for (Stmt s : block.body()) {
            sum = sum.plus(count(s, inside));
          }
          yield sum;
        }
        case Stmt.For loop -> loop(loop, known);
        case Stmt.While loop ->
            of(loop.condition()).plus(count(loop.body(), new HashMap<>(known))).estimated();
        case Stmt.If branch -> branch(branch, known);
        case Stmt.Let let -> {
          if (let.value().type().equals(Type.INDEX) || let.value().type().equals(Type.BOOL)) {
            Values.of(let.value(), known)
                .ifPresentOrElse(v -> known.put(let.name(), v), () -> known.remove(let.name()));
          }
          yield straight(let, let.value());
        }
        case Stmt.Local local -> {
          known.remove(local.name());
          yield straight(local, local.initial());
        }
        case Stmt.Assign assign -> straight(assign, assign.value());
        case Stmt.Store store -> straight(store, store.value());
        case Stmt.Tile.Dot dot -> dot(dot);
        case Stmt.Alloc _, Stmt.Prefetch _, Stmt.Barrier _, Stmt.Tile _ -> NONE;
      };
    }

    private LoopWork dot(Stmt.Tile.Dot dot) {
      Stmt.Tile.Load a = loaded.get(dot.a());
      Stmt.Tile.Load b = loaded.get(dot.b());
      return a == null || b == null
          ? NONE
          : new LoopWork(0, 8L * a.rows() * a.words() * b.words(), true);
    }

    private LoopWork straight(Stmt stmt, Expr value) {
      return straight.computeIfAbsent(stmt, s -> LoopWork.of(value));
    }

    private LoopWork branch(Stmt.If branch, Map<String, Long> known) {
      OptionalLong condition = Values.of(branch.condition(), known);
      Optional<Stmt> otherwise = branch.otherwise();
      LoopWork own = LoopWork.of(branch.condition());
      if (condition.isPresent()) {
        Optional<Stmt> taken = condition.getAsLong() != 0 ? Optional.of(branch.then()) : otherwise;
        return own.plus(taken.map(s -> count(s, new HashMap<>(known))).orElse(NONE));
      }
      LoopWork then = count(branch.then(), new HashMap<>(known));
      LoopWork other = otherwise.map(s -> count(s, new HashMap<>(known))).orElse(NONE);
      return own.plus(then.operations() >= other.operations() ? then : other).estimated();
    }

    private LoopWork loop(Stmt.For loop, Map<String, Long> known) {
      OptionalLong begin = Values.of(loop.begin(), known);
      OptionalLong end = Values.of(loop.end(), known);
      Map<String, Long> inside = new HashMap<>(known);
      inside.remove(loop.var());
      if (begin.isEmpty() || end.isEmpty()) {
        return count(loop.body(), inside).estimated();
      }
      long first = begin.getAsLong();
      long last = end.getAsLong();
      if (first >= last) {
        return NONE;
      }
      if (!deciding(loop.body()).contains(loop.var())) {
        long turns = Math.ceilDiv(last - first, (long) loop.step());
        inside.put(loop.var(), first);
        return count(loop.body(), inside).times(turns);
      }
      LoopWork sum = NONE;
      for (long at = first; at < last; at += loop.step()) {
        inside.put(loop.var(), at);
        sum = sum.plus(count(loop.body(), new HashMap<>(inside)));
      }
      return sum;
    }
  }

  /** Values of scalar INDEX and BOOL expressions, where names alone tell them. */
  private static final class Values {
    private Values() {}

    static OptionalLong of(Expr e, Map<String, Long> known) {
      return switch (e) {
        case Expr.IntConst c -> OptionalLong.of(c.value());
        case Expr.Var v -> {
          Long value = known.get(v.name());
          yield value == null ? OptionalLong.empty() : OptionalLong.of(value);
        }
        case Expr.Binary b when isPlain(b.type()) -> binary(b, known);
        case Expr.Compare c when isPlain(c.a().type()) -> {
          OptionalLong a = of(c.a(), known);
          OptionalLong b = of(c.b(), known);
          yield a.isEmpty() || b.isEmpty()
              ? OptionalLong.empty()
              : OptionalLong.of(compare(c.op(), a.getAsLong(), b.getAsLong()) ? 1 : 0);
        }
        case Expr.Unary u when u.op() == UnaryOp.NOT && u.type().equals(Type.BOOL) ->
            of(u.a(), known).stream().map(a -> 1 - a).findFirst();
        case Expr.Unary u when u.op() == UnaryOp.NEG && u.type().equals(Type.INDEX) ->
            of(u.a(), known).stream().map(a -> -a).findFirst();
        case Expr.Select s when isPlain(s.type()) -> {
          OptionalLong condition = of(s.condition(), known);
          yield condition.isEmpty()
              ? OptionalLong.empty()
              : of(condition.getAsLong() != 0 ? s.then() : s.otherwise(), known);
        }
        case Expr.Unary _,
            Expr.Binary _,
            Expr.Compare _,
            Expr.Select _,
            Expr.FloatConst _,
            Expr.Load _,
            Expr.Fma _,
            Expr.Cast _,
            Expr.Bits _,
            Expr.Dot2 _,
            Expr.Dot4 _,
            Expr.Reduce _,
            Expr.Broadcast _,
            Expr.Ramp _,
            Expr.Shuffle _,
            Expr.LaneLt _ ->
            OptionalLong.empty();
      };
    }

    private static boolean isPlain(Type type) {
      return type.equals(Type.INDEX) || type.equals(Type.BOOL);
    }

    private static OptionalLong binary(Expr.Binary e, Map<String, Long> known) {
      OptionalLong left = of(e.a(), known);
      OptionalLong right = of(e.b(), known);
      if (left.isEmpty() || right.isEmpty()) {
        return OptionalLong.empty();
      }
      long a = left.getAsLong();
      long b = right.getAsLong();
      return switch (e.op()) {
        case ADD -> OptionalLong.of(a + b);
        case SUB -> OptionalLong.of(a - b);
        case MUL -> OptionalLong.of(a * b);
        case DIV -> OptionalLong.of(b == 0 ? 0 : a / b);
        case REM -> OptionalLong.of(b == 0 ? 0 : a % b);
        case FLOORDIV -> OptionalLong.of(b <= 0 ? 0 : Math.floorDiv(a, b));
        case FLOORMOD -> OptionalLong.of(b <= 0 ? 0 : Math.floorMod(a, b));
        case MIN -> OptionalLong.of(Math.min(a, b));
        case MAX -> OptionalLong.of(Math.max(a, b));
        case AND -> OptionalLong.of(a & b);
        case OR -> OptionalLong.of(a | b);
        case XOR -> OptionalLong.of(a ^ b);
        case SHL, SHR, FMOD, POW, ATAN2 -> OptionalLong.empty();
      };
    }

    private static boolean compare(CompareOp op, long a, long b) {
      return switch (op) {
        case EQ -> a == b;
        case NE -> a != b;
        case LT -> a < b;
        case LE -> a <= b;
        case GT -> a > b;
        case GE -> a >= b;
      };
    }
  }
}
