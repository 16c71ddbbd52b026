package org.tersor.codegen.jvm;

import static org.tersor.codegen.jvm.Differential.in;
import static org.tersor.codegen.jvm.Differential.out;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Legalizer;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.schedule.Target;

/**
 * Every operation on every type and number of lanes, at every vector width, against the
 * interpreter.
 */
class OperationsTest {
  private static final int[] LANES = {1, 2, 4, 8, 16};
  private static final int[] WIDE = {64};
  private static final int N = 192;

  private static Expr index(long value) {
    return new Expr.IntConst(Type.INDEX, value);
  }

  private static Expr load(Scalar scalar, int lanes, String buffer, long at) {
    return new Expr.Load(new Type(scalar, lanes), buffer, index(at), Optional.empty());
  }

  private static Stmt store(Expr value, int at) {
    return new Stmt.Store("out", index(at), value, Optional.empty());
  }

  private static boolean arithmetic(Scalar scalar) {
    return !scalar.isSmallFloat() && scalar != Scalar.INDEX;
  }

  private interface Make {
    Expr of(Expr a, Expr b);
  }

  /** {@code out = make(a, b)} with blocks of each number of lanes. */
  private static void check(String name, Scalar operand, Scalar result, Make make) {
    check(name, operand, result, make, LANES);
    check(name + "x64", operand, result, make, WIDE);
  }

  private static void check(String name, Scalar operand, Scalar result, Make make, int[] allLanes) {
    List<Stmt> body = new ArrayList<>();
    int at = 0;
    for (int lanes : allLanes) {
      body.add(store(make.of(load(operand, lanes, "a", at), load(operand, lanes, "b", at)), at));
      at += lanes;
    }
    LoopFunction f =
        new LoopFunction(
            name,
            List.of(in("a", operand), in("b", operand), out("out", result)),
            List.of(),
            new Stmt.Block(body));
    Differential.check(f, N, new Random(name.hashCode()));
  }

  @ParameterizedTest
  @EnumSource(UnaryOp.class)
  void unary(UnaryOp op) {
    if (op.isTranscendental()) {
      return;
    }
    for (Scalar s : Scalar.values()) {
      boolean fits =
          switch (op) {
            case NEG, ABS -> arithmetic(s) && s != Scalar.BOOL;
            case NOT -> arithmetic(s) && !s.isFloat();
            case POPCOUNT -> s.isInteger() && s != Scalar.INDEX;
            default -> s.isFloat();
          };
      if (fits) {
        check(op + "_" + s, s, s, (a, b) -> new Expr.Unary(op, a));
      }
    }
  }

  /** Legalised for each width: the same text, so the same bits. */
  @ParameterizedTest
  @EnumSource(UnaryOp.class)
  void transcendental(UnaryOp op) {
    if (!op.isTranscendental()) {
      return;
    }
    for (int width : Differential.WIDTHS) {
      int lanes = Math.max(1, width / 4);
      Expr value = new Expr.Unary(op, load(Scalar.F32, lanes, "a", 8));
      LoopFunction f =
          new LoopFunction(
              op.name(),
              List.of(in("a", Scalar.F32), out("out", Scalar.F32)),
              List.of(),
              new Stmt.Block(List.of(store(value, 0))));
      LoopFunction legal = Legalizer.legalize(f, Target.jvm(width));
      Differential.check(legal, N, new Random(op.name().hashCode()));
    }
  }

  @ParameterizedTest
  @EnumSource(BinaryOp.class)
  void binary(BinaryOp op) {
    if (op.isTranscendental() || op == BinaryOp.FLOORDIV || op == BinaryOp.FLOORMOD) {
      return;
    }
    for (Scalar s : Scalar.values()) {
      boolean fits =
          switch (op) {
            case ADD, SUB, MUL, DIV, MIN, MAX -> arithmetic(s) && s != Scalar.BOOL;
            case REM, SHL, SHR -> arithmetic(s) && s.isInteger();
            case AND, OR, XOR -> arithmetic(s) && !s.isFloat();
            default -> false;
          };
      if (fits) {
        check(op + "_" + s, s, s, (a, b) -> new Expr.Binary(op, a, b));
        if (s.isInteger()) {
          check(
              op + "_" + s + "_const",
              s,
              s,
              (a, b) -> new Expr.Binary(op, a, new Expr.IntConst(a.type(), 3)));
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(CompareOp.class)
  void compare(CompareOp op) {
    for (Scalar s : Scalar.values()) {
      if (arithmetic(s)) {
        check(op + "_" + s, s, Scalar.BOOL, (a, b) -> new Expr.Compare(op, a, b));
        check(
            op + "_select_" + s, s, s, (a, b) -> new Expr.Select(new Expr.Compare(op, a, b), a, b));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Scalar.class)
  void castToAll(Scalar from) {
    if (from == Scalar.INDEX) {
      return;
    }
    for (Scalar to : Scalar.values()) {
      if (to != Scalar.INDEX) {
        check(
            "cast_" + from + "_" + to,
            from,
            to,
            (a, b) -> new Expr.Cast(a.type().withScalar(to), a, false));
      }
    }
  }

  /** Zeros, NaN and infinities among them. */
  @Test
  void floatsHeldByNumbers() {
    for (Scalar s : List.of(Scalar.F32, Scalar.F64)) {
      for (BinaryOp op : List.of(BinaryOp.MIN, BinaryOp.MAX)) {
        for (double bound : new double[] {0.0, -0.0, 1, -3, Double.NEGATIVE_INFINITY, Double.NaN}) {
          String name = op + "_" + s + bound;
          check(name, s, s, (a, b) -> new Expr.Binary(op, a, new Expr.FloatConst(a.type(), bound)));
        }
      }
    }
  }

  /** Quarters: ties, and numbers far beyond the bounds. */
  @ParameterizedTest
  @EnumSource(
      value = Scalar.class,
      names = {"U8", "I8", "I16", "U16"})
  void castsOfClampedNumbers(Scalar to) {
    for (boolean rounds : List.of(true, false)) {
      for (long[] bounds : new long[][] {{0, 255}, {-128, 127}, {3, 90}}) {
        if (bounds[0] >= to.dtype().minValue() && bounds[1] <= to.dtype().maxValue()) {
          check(
              "clamped_" + to + rounds + bounds[0],
              Scalar.I16,
              to,
              (a, b) -> clamped(a, to, rounds, bounds));
        }
      }
    }
  }

  private static Expr clamped(Expr a, Scalar to, boolean rounds, long[] bounds) {
    Type type = a.type().withScalar(Scalar.F32);
    Expr number =
        new Expr.Binary(
            BinaryOp.MUL, new Expr.Cast(type, a, false), new Expr.FloatConst(type, 0.25));
    Expr rounded = rounds ? new Expr.Unary(UnaryOp.RINT, number) : number;
    Expr low = new Expr.Binary(BinaryOp.MAX, rounded, new Expr.FloatConst(type, bounds[0]));
    Expr high = new Expr.Binary(BinaryOp.MIN, low, new Expr.FloatConst(type, bounds[1]));
    return new Expr.Cast(type.withScalar(to), high, true);
  }

  @ParameterizedTest
  @EnumSource(Scalar.class)
  void bitsAsAll(Scalar from) {
    if (from == Scalar.INDEX || from == Scalar.BOOL) {
      return;
    }
    for (Scalar to : Scalar.values()) {
      if (to == Scalar.INDEX || to == Scalar.BOOL) {
        continue;
      }
      List<Stmt> body = new ArrayList<>();
      int at = 0;
      for (int lanes : LANES) {
        int bytes = lanes * from.bytes();
        if (bytes % to.bytes() == 0) {
          Type type = new Type(to, bytes / to.bytes());
          body.add(store(new Expr.Bits(type, load(from, lanes, "a", 2L * lanes)), at));
          at += type.lanes();
        }
      }
      Differential.check(
          new LoopFunction(
              "bits_" + from + "_" + to,
              List.of(in("a", from), out("out", to)),
              List.of(),
              new Stmt.Block(body)),
          1024,
          new Random(7));
    }
  }

  @ParameterizedTest
  @EnumSource(Scalar.class)
  void reinterpretingLoadsAndStores(Scalar element) {
    if (element == Scalar.INDEX || element == Scalar.BOOL) {
      return;
    }
    for (Scalar as : Scalar.values()) {
      if (as == Scalar.INDEX || as == Scalar.BOOL || (as.isFloat() && element.isFloat())) {
        continue;
      }
      List<Stmt> body = new ArrayList<>();
      for (int lanes : LANES) {
        Type type = new Type(as, lanes);
        Expr mask = new Expr.LaneLt(index(lanes - 1), lanes);
        body.add(
            new Stmt.Store(
                "out", index(17 * lanes % 64), load(as, lanes, "a", 5), Optional.empty()));
        body.add(
            new Stmt.Store(
                "out",
                index(lanes + 100),
                new Expr.Load(type, "a", index(9), Optional.of(mask)),
                Optional.of(mask)));
        Expr ramp = new Expr.Ramp(index(lanes * 3 + 8), -3, lanes);
        body.add(
            new Stmt.Store(
                "out", ramp, new Expr.Load(type, "a", ramp, Optional.empty()), Optional.of(mask)));
        body.add(
            new Stmt.Store(
                "out",
                new Expr.Ramp(index(600), 2, lanes),
                new Expr.Load(type, "a", ramp, Optional.of(mask)),
                Optional.empty()));
      }
      Differential.check(
          new LoopFunction(
              "reinterpret_" + element + "_" + as,
              List.of(in("a", element), out("out", element)),
              List.of(),
              new Stmt.Block(body)),
          1400,
          new Random(3));
    }
  }

  @ParameterizedTest
  @EnumSource(ReduceOp.class)
  void reduce(ReduceOp op) {
    for (Scalar s : Scalar.values()) {
      boolean fits =
          switch (op) {
            case SUM, PROD, MIN, MAX -> arithmetic(s) && s != Scalar.BOOL;
            case AND, OR, XOR -> arithmetic(s) && !s.isFloat();
          };
      if (fits) {
        check(op + "_" + s, s, s, (a, b) -> new Expr.Reduce(op, a));
      }
    }
  }

  @Test
  void fmaAndDot() {
    for (Scalar s : List.of(Scalar.F32, Scalar.F64)) {
      check("fma_" + s, s, s, (a, b) -> new Expr.Fma(a, b, a));
    }
    check("dot4", Scalar.I32, Scalar.I32, (a, b) -> new Expr.Dot4(a, b, a));
  }

  @Test
  void masks() {
    for (Scalar s : Scalar.values()) {
      if (!arithmetic(s)) {
        continue;
      }
      check(
          "masks_" + s,
          s,
          s,
          (a, b) -> {
            int lanes = a.type().lanes();
            Expr c = new Expr.Cast(new Type(Scalar.BOOL, lanes), a, false);
            Expr d = new Expr.LaneLt(index(lanes / 2 + 1), lanes);
            Expr e = new Expr.Binary(BinaryOp.XOR, c, new Expr.Unary(UnaryOp.NOT, d));
            Expr f = new Expr.Select(new Expr.Compare(CompareOp.LE, c, d), e, c);
            Expr all = new Expr.Broadcast(new Expr.Reduce(ReduceOp.OR, f), lanes);
            return new Expr.Select(new Expr.Binary(BinaryOp.AND, f, all), a, b);
          });
      check(
          "masked_" + s,
          s,
          s,
          (a, b) -> {
            int lanes = a.type().lanes();
            Expr mask = new Expr.Cast(new Type(Scalar.BOOL, lanes), b, false);
            return new Expr.Load(a.type(), "a", index(70), Optional.of(mask));
          });
    }
  }

  @Test
  void shuffles() {
    for (Scalar s : Scalar.values()) {
      if (s == Scalar.INDEX) {
        continue;
      }
      Random random = new Random(11);
      check(
          "shuffle_" + s,
          s,
          s,
          (a, b) ->
              new Expr.Shuffle(
                  a, b, random.ints(a.type().lanes(), 0, 2 * a.type().lanes()).boxed().toList()));
      check(
          "permute_" + s,
          s,
          s,
          (a, b) ->
              new Expr.Shuffle(
                  a, b, random.ints(a.type().lanes(), 0, a.type().lanes()).boxed().toList()));
      check(
          "even_" + s,
          s,
          s,
          (a, b) -> {
            int n = a.type().lanes();
            return new Expr.Shuffle(
                a, b, IntStream.range(0, n).map(i -> 2 * i % (2 * n)).boxed().toList());
          });
    }
  }
}
