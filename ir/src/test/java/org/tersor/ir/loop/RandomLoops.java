package org.tersor.ir.loop;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;

/** Well-formed random functions that use every kind of node; not meant to be run. */
final class RandomLoops {
  private static final Scalar[] ELEMENTS = Scalar.values();
  private final Random random;
  private final List<Expr.Var> names = new ArrayList<>();
  private final List<Expr.Var> locals = new ArrayList<>();
  private final List<LoopFunction.BufferParam> buffers = new ArrayList<>();
  private final List<Stmt.Alloc> registers = new ArrayList<>();
  private int next;

  RandomLoops(long seed) {
    this.random = new Random(seed);
  }

  LoopFunction function() {
    for (int i = 0; i < 3; i++) {
      buffers.add(
          new LoopFunction.BufferParam(fresh(), pick(ELEMENTS), random.nextBoolean() || i == 0));
    }
    List<LoopFunction.BufferParam> parameters = List.copyOf(buffers);
    List<String> dims = random.nextBoolean() ? List.of() : List.of(fresh(), "in");
    dims.forEach(d -> names.add(new Expr.Var(Type.INDEX, d)));
    if (random.nextInt(3) == 0) {
      return new LoopFunction("f", parameters, dims, block(3));
    }
    String task = fresh();
    Expr end = expr(Type.INDEX, 2);
    names.add(new Expr.Var(Type.INDEX, task));
    List<Stmt> body = new ArrayList<>(block(2).body());
    String lane = fresh();
    body.add(new Stmt.Barrier());
    body.add(
        new Stmt.For(
            Stmt.LoopKind.LANES,
            lane,
            index(0),
            expr(Type.INDEX, 1),
            1,
            new Stmt.Block(List.of())));
    Stmt parallel =
        new Stmt.For(Stmt.LoopKind.PARALLEL, task, index(0), end, 1, new Stmt.Block(body));
    return new LoopFunction("step", parameters, dims, parallel);
  }

  private String fresh() {
    return (random.nextInt(8) == 0 ? "let x " : random.nextBoolean() ? "as_" : "v") + next++;
  }

  private <T> T pick(T[] of) {
    return of[random.nextInt(of.length)];
  }

  private static Expr index(long value) {
    return new Expr.IntConst(Type.INDEX, value);
  }

  private Stmt.Block block(int depth) {
    int oldNames = names.size();
    int oldLocals = locals.size();
    int oldBuffers = buffers.size();
    int oldRegisters = registers.size();
    List<Stmt> body =
        IntStream.range(0, random.nextInt(5)).mapToObj(i -> statement(depth)).toList();
    names.subList(oldNames, names.size()).clear();
    locals.subList(oldLocals, locals.size()).clear();
    buffers.subList(oldBuffers, buffers.size()).clear();
    registers.subList(oldRegisters, registers.size()).clear();
    return new Stmt.Block(body);
  }

  private Stmt body(int depth) {
    return random.nextInt(3) == 0
        ? new Stmt.Prefetch(buffers.getFirst().name(), expr(Type.INDEX, 1))
        : block(depth);
  }

  private Stmt statement(int depth) {
    return switch (random.nextInt(depth == 0 ? 6 : 10)) {
      case 0 -> {
        Expr value = expr(type(), 3);
        String name = fresh();
        names.add(new Expr.Var(value.type(), name));
        yield new Stmt.Let(name, value);
      }
      case 1 -> {
        Expr value = expr(type(), 3);
        Expr.Var local = new Expr.Var(value.type(), fresh());
        names.add(local);
        locals.add(local);
        yield new Stmt.Local(local.name(), value);
      }
      case 2 -> {
        if (locals.isEmpty()) {
          yield new Stmt.Block(List.of());
        }
        Expr.Var local = locals.get(random.nextInt(locals.size()));
        yield new Stmt.Assign(local.name(), expr(local.type(), 3));
      }
      case 3 -> {
        if (!registers.isEmpty() && random.nextBoolean()) {
          Stmt.Alloc tile = registers.get(random.nextInt(registers.size()));
          yield new Stmt.Store(tile.buffer(), index(1), expr(tile.element(), 2), Optional.empty());
        }
        LoopFunction.BufferParam to =
            buffers.stream().filter(LoopFunction.BufferParam::written).findFirst().orElseThrow();
        Type type = new Type(to.element(), lanes());
        Expr index = expr(random.nextBoolean() ? Type.INDEX : type.withScalar(Scalar.INDEX), 2);
        yield new Stmt.Store(to.name(), index, expr(type, 3), mask(type));
      }
      case 4 -> {
        Stmt.Alloc tile = new Stmt.Alloc(fresh(), type(), index(2), Stmt.Space.REGISTER);
        registers.add(tile);
        yield tile;
      }
      case 5 -> {
        Stmt.Space space = random.nextBoolean() ? Stmt.Space.LOCAL : Stmt.Space.SHARED;
        Stmt.Alloc alloc =
            new Stmt.Alloc(fresh(), Type.of(pick(ELEMENTS)), expr(Type.INDEX, 1), space);
        buffers.add(new LoopFunction.BufferParam(alloc.buffer(), alloc.element().scalar(), true));
        yield alloc;
      }
      case 6 -> {
        Expr begin = expr(Type.INDEX, 1);
        Expr end = expr(Type.INDEX, 1);
        String variable = fresh();
        names.add(new Expr.Var(Type.INDEX, variable));
        Stmt body = body(depth - 1);
        names.removeLast();
        yield new Stmt.For(Stmt.LoopKind.SERIAL, variable, begin, end, 1 + random.nextInt(4), body);
      }
      case 7 -> {
        yield new Stmt.While(expr(Type.BOOL, 2), body(depth - 1));
      }
      case 8 -> {
        yield new Stmt.If(
            expr(Type.BOOL, 2),
            body(depth - 1),
            random.nextBoolean() ? Optional.of(body(depth - 1)) : Optional.empty());
      }
      default -> {
        yield block(depth - 1);
      }
    };
  }

  private int lanes() {
    return 1 << random.nextInt(4);
  }

  private Type type() {
    return new Type(pick(ELEMENTS), lanes());
  }

  private Optional<Expr> mask(Type type) {
    return random.nextInt(3) == 0
        ? Optional.of(expr(type.withScalar(Scalar.BOOL), 1))
        : Optional.empty();
  }

  private Expr expr(Type type, int depth) {
    if (depth == 0) {
      return leaf(type);
    }
    Scalar scalar = type.scalar();
    boolean number = scalar.isFloat() || scalar.isInteger();
    switch (random.nextInt(12)) {
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
      case 3 -> {
        return new Expr.Cast(
            type, expr(type.withScalar(pick(ELEMENTS)), depth - 1), random.nextBoolean());
      }
      case 4 -> {
        int more = type.bytes() >= 4 ? type.bytes() / 4 : 0;
        if (more > 0 && scalar != Scalar.BOOL && scalar != Scalar.INDEX) {
          return new Expr.Bits(
              type,
              expr(new Type(random.nextBoolean() ? Scalar.U32 : Scalar.F32, more), depth - 1));
        }
      }
      case 5 -> {
        if (scalar == Scalar.I32) {
          return new Expr.Dot4(expr(type, depth - 1), expr(type, depth - 1), expr(type, depth - 1));
        }
        if (scalar == Scalar.F32 && random.nextBoolean()) {
          Type words = type.withScalar(Scalar.I32);
          return new Expr.Dot2(
              expr(type, depth - 1), expr(words, depth - 1), expr(words, depth - 1));
        }
        if (type.equals(Type.F32) || type.equals(Type.BOOL)) {
          return new Expr.Reduce(
              scalar == Scalar.F32 ? ReduceOp.MAX : ReduceOp.OR,
              expr(type.withLanes(lanes()), depth - 1));
        }
      }
      case 6 -> {
        return new Expr.Broadcast(expr(type.withLanes(1), depth - 1), type.lanes());
      }
      case 7 -> {
        if (scalar == Scalar.INDEX) {
          return new Expr.Ramp(expr(Type.INDEX, depth - 1), random.nextInt(9) - 4, type.lanes());
        }
        if (scalar == Scalar.BOOL) {
          return new Expr.LaneLt(expr(Type.INDEX, depth - 1), type.lanes());
        }
      }
      case 8 -> {
        Expr a = expr(type.withLanes(4), depth - 1);
        Expr b = expr(type.withLanes(2), depth - 1);
        return new Expr.Shuffle(a, b, random.ints(type.lanes(), 0, 6).boxed().toList());
      }
      case 9 -> {
        if (number) {
          UnaryOp[] ops =
              scalar.isFloat()
                  ? UnaryOp.values()
                  : new UnaryOp[] {UnaryOp.NEG, UnaryOp.ABS, UnaryOp.POPCOUNT};
          UnaryOp op = pick(ops);
          if (!scalar.isFloat() || (op != UnaryOp.NOT && op != UnaryOp.POPCOUNT)) {
            return new Expr.Unary(op, expr(type, depth - 1));
          }
        } else if (scalar == Scalar.BOOL) {
          return new Expr.Unary(UnaryOp.NOT, expr(type, depth - 1));
        }
      }
      default -> {
        BinaryOp op = pick(BinaryOp.values());
        boolean fits =
            switch (op) {
              case ADD, SUB, MUL, DIV, MIN, MAX -> number;
              case REM, SHL, SHR -> scalar.isInteger();
              case FLOORDIV, FLOORMOD -> scalar == Scalar.INDEX;
              case AND, OR, XOR -> scalar.isInteger() || scalar == Scalar.BOOL;
              case FMOD, POW, ATAN2 -> scalar.isFloat();
            };
        if (fits) {
          return new Expr.Binary(op, expr(type, depth - 1), expr(type, depth - 1));
        }
      }
    }
    return leaf(type);
  }

  private Scalar number() {
    Scalar scalar = pick(ELEMENTS);
    return scalar.isSmallFloat() ? Scalar.F32 : scalar;
  }

  private Expr leaf(Type type) {
    List<Expr.Var> fitting = names.stream().filter(v -> v.type().equals(type)).toList();
    if (!fitting.isEmpty() && random.nextBoolean()) {
      return fitting.get(random.nextInt(fitting.size()));
    }
    List<Stmt.Alloc> tiles = registers.stream().filter(r -> r.element().equals(type)).toList();
    if (!tiles.isEmpty() && random.nextBoolean()) {
      return new Expr.Load(
          type, tiles.getFirst().buffer(), index(random.nextInt(2)), Optional.empty());
    }
    if (type.scalar().isSmallFloat() || random.nextInt(4) == 0) {
      String from = buffers.get(random.nextInt(buffers.size())).name();
      return new Expr.Load(
          type,
          from,
          random.nextBoolean() ? index(7) : new Expr.Ramp(index(-3), 2, type.lanes()),
          mask(type));
    }
    if (type.scalar().isFloat()) {
      double value =
          switch (random.nextInt(8)) {
            case 0 -> Double.NaN;
            case 1 -> Double.NEGATIVE_INFINITY;
            case 2 -> -0.0;
            case 3 -> Double.longBitsToDouble(random.nextLong());
            default -> random.nextGaussian();
          };
      return new Expr.FloatConst(type, type.scalar() == Scalar.F32 ? (float) value : value);
    }
    return new Expr.IntConst(
        type, InterpreterOps.canon(type.scalar(), random.nextLong() >> random.nextInt(64)));
  }
}
