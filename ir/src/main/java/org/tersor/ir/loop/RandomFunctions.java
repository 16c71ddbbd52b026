package org.tersor.ir.loop;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/**
 * Random functions that can be run, for tests of backends: indices stay inside buffers of {@link
 * #ELEMENTS} elements, nothing depends on undefined contents.
 */
public final class RandomFunctions {
  public static final int ELEMENTS = 640;
  private static final Scalar[] TYPES = {
    Scalar.BOOL,
    Scalar.I8,
    Scalar.U8,
    Scalar.I16,
    Scalar.U16,
    Scalar.I32,
    Scalar.U32,
    Scalar.I64,
    Scalar.U64,
    Scalar.F16,
    Scalar.BF16,
    Scalar.F8E4M3FN,
    Scalar.F32,
    Scalar.F64
  };
  private static final int MAX_LANES = 16;

  private final Random random;
  private final List<Expr.Var> names = new ArrayList<>();
  private final List<Expr.Var> locals = new ArrayList<>();
  private final List<Stmt.Alloc> tiles = new ArrayList<>();
  private int next;

  /** The generator of a seed. */
  public RandomFunctions(long seed) {
    this.random = new Random(seed);
  }

  /** One input and one output of each type. */
  public LoopFunction function() {
    List<LoopFunction.BufferParam> buffers = new ArrayList<>();
    for (Scalar s : TYPES) {
      buffers.add(new LoopFunction.BufferParam("in_" + s.text(), s, false));
      buffers.add(new LoopFunction.BufferParam("out_" + s.text(), s, true));
    }
    names.add(new Expr.Var(Type.INDEX, "n"));
    Stmt body = block(2, 4);
    if (random.nextBoolean()) {
      body =
          new Stmt.For(
              Stmt.LoopKind.PARALLEL,
              "task",
              new Expr.IntConst(Type.INDEX, 0),
              new Expr.IntConst(Type.INDEX, 1),
              1,
              body);
    }
    return new LoopFunction("random", buffers, List.of("n"), body);
  }

  private <T> T pick(T[] of) {
    return of[random.nextInt(of.length)];
  }

  private int lanes() {
    return 1 << random.nextInt(5);
  }

  private Type type() {
    return new Type(pick(TYPES), lanes());
  }

  private static Expr index(long value) {
    return new Expr.IntConst(Type.INDEX, value);
  }

  private Stmt.Block block(int depth, int least) {
    int oldNames = names.size();
    int oldLocals = locals.size();
    int oldTiles = tiles.size();
    List<Stmt> body = new ArrayList<>();
    for (int i = least + random.nextInt(4); i > 0; i--) {
      statement(depth, body);
    }
    names.subList(oldNames, names.size()).clear();
    locals.subList(oldLocals, locals.size()).clear();
    tiles.subList(oldTiles, tiles.size()).clear();
    return new Stmt.Block(body);
  }

  private void statement(int depth, List<Stmt> body) {
    switch (random.nextInt(depth == 0 ? 7 : 9)) {
      case 0 -> {
        Expr value = expr(random.nextInt(8) == 0 ? new Type(Scalar.INDEX, lanes()) : type(), 3);
        names.add(new Expr.Var(value.type(), "let" + next));
        body.add(new Stmt.Let("let" + next++, value));
      }
      case 1 -> {
        Expr value = expr(type(), 2);
        Expr.Var local = new Expr.Var(value.type(), "local" + next++);
        names.add(local);
        locals.add(local);
        body.add(new Stmt.Local(local.name(), value));
      }
      case 2 -> {
        if (!locals.isEmpty()) {
          Expr.Var local = locals.get(random.nextInt(locals.size()));
          body.add(new Stmt.Assign(local.name(), expr(local.type(), 3)));
        }
      }
      case 3 -> {
        Stmt.Alloc tile = new Stmt.Alloc("tile" + next++, type(), index(2), Stmt.Space.REGISTER);
        body.add(tile);
        for (int i = 0; i < 2; i++) {
          body.add(
              new Stmt.Store(tile.buffer(), index(i), expr(tile.element(), 2), Optional.empty()));
        }
        tiles.add(tile);
      }
      case 4, 5, 6 -> body.add(store());
      case 7 -> {
        String variable = "i" + next++;
        names.add(new Expr.Var(Type.INDEX, variable));
        Stmt inner = block(depth - 1, 1);
        names.removeLast();
        body.add(
            new Stmt.For(
                Stmt.LoopKind.SERIAL,
                variable,
                index(random.nextInt(2)),
                index(3),
                1 + random.nextInt(2),
                inner));
      }
      default ->
          body.add(
              new Stmt.If(
                  expr(Type.BOOL, 2),
                  block(depth - 1, 1),
                  random.nextBoolean() ? Optional.of(block(depth - 1, 1)) : Optional.empty()));
    }
  }

  private Stmt store() {
    Type type = type();
    boolean scatter = random.nextInt(5) == 0;
    Expr at = scatter ? element(type.lanes()) : element(1);
    return new Stmt.Store("out_" + type.scalar().text(), at, expr(type, 3), mask(type.lanes()));
  }

  private Optional<Expr> mask(int lanes) {
    return random.nextInt(3) == 0
        ? Optional.of(expr(new Type(Scalar.BOOL, lanes), 1))
        : Optional.empty();
  }

  /** An index such that 16 elements of 8 bytes from there are inside a buffer of bytes. */
  private Expr element(int lanes) {
    if (lanes == 1) {
      return random.nextBoolean()
          ? index(random.nextInt(32))
          : new Expr.Binary(BinaryOp.ADD, index(random.nextInt(16)), small(1));
    }
    return random.nextBoolean()
        ? small(lanes)
        : new Expr.Ramp(index(random.nextInt(8) + 16), random.nextInt(3) - 1, lanes);
  }

  /** INDEX values from 0 to 15. */
  private Expr small(int lanes) {
    Type bytes = new Type(Scalar.U8, lanes);
    Expr masked = new Expr.Binary(BinaryOp.AND, expr(bytes, 1), new Expr.IntConst(bytes, 15));
    return new Expr.Cast(new Type(Scalar.INDEX, lanes), masked, true);
  }

  private Expr index(int lanes, int depth) {
    if (depth == 0 || random.nextInt(3) == 0) {
      return random.nextBoolean()
          ? small(lanes)
          : new Expr.Ramp(small(1), random.nextInt(9) - 4, lanes);
    }
    Expr a = index(lanes, depth - 1);
    BinaryOp op =
        pick(new BinaryOp[] {BinaryOp.ADD, BinaryOp.SUB, BinaryOp.MUL, BinaryOp.MIN, BinaryOp.MAX});
    Expr divisor = new Expr.IntConst(a.type(), random.nextBoolean() ? 4 : 7);
    return switch (random.nextInt(4)) {
      case 0 -> new Expr.Binary(BinaryOp.FLOORDIV, a, divisor);
      case 1 -> new Expr.Binary(BinaryOp.FLOORMOD, a, divisor);
      default -> new Expr.Binary(op, a, index(lanes, depth - 1));
    };
  }

  private Expr expr(Type type, int depth) {
    Scalar scalar = type.scalar();
    if (scalar == Scalar.INDEX) {
      return index(type.lanes(), Math.min(depth, 2));
    }
    if (depth == 0) {
      return leaf(type);
    }
    switch (random.nextInt(11)) {
      case 0 -> {
        if (scalar == Scalar.BOOL) {
          Type operand = new Type(number(), type.lanes());
          return new Expr.Compare(
              pick(CompareOp.values()), expr(operand, depth - 1), expr(operand, depth - 1));
        }
      }
      case 1 -> {
        if (scalar.isFloat()) {
          return new Expr.Fma(expr(type, depth - 1), expr(type, depth - 1), expr(type, depth - 1));
        }
      }
      case 2 -> {
        return new Expr.Select(
            expr(type.withScalar(Scalar.BOOL), depth - 1),
            expr(type, depth - 1),
            expr(type, depth - 1));
      }
      case 3, 4 -> {
        return new Expr.Cast(type, expr(type.withScalar(pick(TYPES)), depth - 1), false);
      }
      case 5 -> {
        return bits(type, depth);
      }
      case 6 -> {
        if (type.lanes() == 1) {
          return reduce(scalar, depth);
        }
        return new Expr.Broadcast(expr(type.withLanes(1), depth - 1), type.lanes());
      }
      case 7 -> {
        if (scalar == Scalar.BOOL) {
          return new Expr.LaneLt(small(1), type.lanes());
        }
        int n = lanes();
        return new Expr.Shuffle(
            expr(type.withLanes(n), depth - 1),
            expr(type.withLanes(n), depth - 1),
            random.ints(type.lanes(), 0, 2 * n).boxed().toList());
      }
      case 8 -> {
        UnaryOp op = pick(UnaryOp.values());
        boolean fits =
            switch (op) {
              case NEG, ABS -> scalar.isFloat() || scalar.isInteger();
              case NOT -> scalar.isInteger() || scalar == Scalar.BOOL;
              case POPCOUNT -> scalar.isInteger();
              case SQRT, FLOOR, CEIL, TRUNC, RINT -> scalar.isFloat();
              default -> false;
            };
        if (fits) {
          return new Expr.Unary(op, expr(type, depth - 1));
        }
      }
      default -> {
        BinaryOp op = pick(BinaryOp.values());
        boolean fits =
            switch (op) {
              case ADD, SUB, MUL, DIV, MIN, MAX -> scalar.isFloat() || scalar.isInteger();
              case REM, SHL, SHR -> scalar.isInteger();
              case AND, OR, XOR -> scalar.isInteger() || scalar == Scalar.BOOL;
              case FLOORDIV, FLOORMOD, FMOD, POW, ATAN2 -> false;
            };
        if (fits) {
          return new Expr.Binary(op, expr(type, depth - 1), expr(type, depth - 1));
        }
      }
    }
    return leaf(type);
  }

  private Expr reduce(Scalar scalar, int depth) {
    Type operand = new Type(scalar, lanes());
    if (scalar == Scalar.BOOL) {
      return new Expr.Reduce(
          pick(new ReduceOp[] {ReduceOp.AND, ReduceOp.OR, ReduceOp.XOR}), expr(operand, depth - 1));
    }
    if (scalar.isSmallFloat()) {
      return leaf(Type.of(scalar));
    }
    ReduceOp op = pick(new ReduceOp[] {ReduceOp.SUM, ReduceOp.PROD, ReduceOp.MIN, ReduceOp.MAX});
    return new Expr.Reduce(op, expr(operand, depth - 1));
  }

  /** From integers only: which NaN an operation gives is not defined, and its bits would tell. */
  private Expr bits(Type type, int depth) {
    Scalar from = pick(new Scalar[] {Scalar.U8, Scalar.I16, Scalar.U32, Scalar.I64});
    int lanes = type.bytes() / from.bytes();
    if (type.scalar() == Scalar.BOOL || lanes == 0 || lanes > 4 * MAX_LANES) {
      return leaf(type);
    }
    return new Expr.Bits(type, expr(new Type(from, lanes), depth - 1));
  }

  private Scalar number() {
    Scalar scalar = pick(TYPES);
    return scalar.isSmallFloat() ? Scalar.F32 : scalar;
  }

  private Expr leaf(Type type) {
    List<Expr.Var> fitting = names.stream().filter(v -> v.type().equals(type)).toList();
    if (!fitting.isEmpty() && random.nextInt(3) > 0) {
      return fitting.get(random.nextInt(fitting.size()));
    }
    List<Stmt.Alloc> same = tiles.stream().filter(r -> r.element().equals(type)).toList();
    if (!same.isEmpty() && random.nextBoolean()) {
      return new Expr.Load(
          type, same.getFirst().buffer(), index(random.nextInt(2)), Optional.empty());
    }
    if (type.scalar().isSmallFloat() || random.nextInt(3) > 0) {
      boolean gather = random.nextInt(4) == 0;
      boolean other = random.nextInt(4) == 0 && type.scalar().isInteger();
      Scalar from =
          other
              ? pick(new Scalar[] {Scalar.I8, Scalar.U16, Scalar.U32, Scalar.F64, Scalar.I64})
              : type.scalar();
      Expr at =
          gather
              ? new Expr.Ramp(
                  index(32 + random.nextInt(16)),
                  type.lanes() > 16 ? random.nextInt(2) : random.nextInt(5) - 2,
                  type.lanes())
              : index(random.nextInt(32));
      Optional<Expr> mask =
          random.nextInt(4) == 0
              ? Optional.of(new Expr.LaneLt(index(random.nextInt(17)), type.lanes()))
              : Optional.empty();
      boolean inside = !gather || type.lanes() > 1;
      return new Expr.Load(type, "in_" + from.text(), inside ? at : index(3), mask);
    }
    if (type.scalar().isFloat()) {
      double[] values = {0, -0.0, 1, -2.5, 1e30, Double.POSITIVE_INFINITY, 0x1p-140};
      double value = values[random.nextInt(values.length)];
      return new Expr.FloatConst(type, type.scalar() == Scalar.F32 ? (float) value : value);
    }
    long value = random.nextLong() >> random.nextInt(64);
    return new Expr.IntConst(
        type,
        switch (type.scalar()) {
          case BOOL -> value & 1;
          case I8 -> (byte) value;
          case U8 -> value & 0xFF;
          case I16 -> (short) value;
          case U16 -> value & 0xFFFF;
          case I32 -> (int) value;
          case U32 -> value & 0xFFFF_FFFFL;
          default -> value;
        });
  }
}
