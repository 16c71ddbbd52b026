package org.tersor.plugins.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.Legalizer;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopInterpreter;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.schedule.Target;

/**
 * Every operation and cast below, at and above the width of registers gives the interpreter's bits.
 */
class OperationsTest {
  private static final int ROUNDS = 48;

  private static final List<Scalar> NUMBERS =
      List.of(
          Scalar.I8,
          Scalar.U8,
          Scalar.I16,
          Scalar.U16,
          Scalar.I32,
          Scalar.U32,
          Scalar.I64,
          Scalar.U64,
          Scalar.F32,
          Scalar.F64);

  private final List<Expr> results = new ArrayList<>();

  private static Expr index(long value) {
    return new Expr.IntConst(Type.INDEX, value);
  }

  private static Expr at(int lanes) {
    return new Expr.Binary(BinaryOp.MUL, new Expr.Var(Type.INDEX, "i"), index(lanes));
  }

  private static Expr load(String buffer, Type type) {
    return new Expr.Load(type, buffer, at(type.lanes()), Optional.empty());
  }

  private void arithmetic(Type t, Expr a, Expr b, Expr c) {
    Scalar s = t.scalar();
    for (UnaryOp op : UnaryOp.values()) {
      boolean fits =
          switch (op) {
            case NEG, ABS -> true;
            case NOT, POPCOUNT -> s.isInteger();
            case SQRT, FLOOR, CEIL, TRUNC, RINT -> s.isFloat();
            default -> false;
          };
      if (fits) {
        results.add(new Expr.Unary(op, a));
      }
    }
    for (BinaryOp op : BinaryOp.values()) {
      boolean fits =
          switch (op) {
            case ADD, SUB, MUL, DIV, MIN, MAX -> true;
            case REM, AND, OR, XOR, SHL, SHR -> s.isInteger();
            default -> false;
          };
      if (fits) {
        results.add(new Expr.Binary(op, a, b));
        for (long k : s.isFloat() ? new long[0] : new long[] {0, 3, 8, s.isSigned() ? -1 : 5}) {
          results.add(new Expr.Binary(op, a, new Expr.IntConst(t, k)));
        }
        for (double k : s.isFloat() ? new double[] {0.0, -0.0, 6, Double.NaN} : new double[0]) {
          results.add(new Expr.Binary(op, a, new Expr.FloatConst(t, k)));
          results.add(new Expr.Binary(op, new Expr.FloatConst(t, k), a));
        }
      }
    }
    if (s.isFloat()) {
      results.add(new Expr.Fma(a, b, c));
      results.add(new Expr.Fma(new Expr.Unary(UnaryOp.NEG, a), new Expr.Unary(UnaryOp.ABS, b), c));
    }
    if (s == Scalar.I32) {
      results.add(new Expr.Dot4(a, b, c));
    }
  }

  private void comparisons(Type t, Expr a, Expr b, Expr c) {
    for (CompareOp op : CompareOp.values()) {
      Expr mask = new Expr.Compare(op, a, b);
      Expr other = new Expr.Compare(CompareOp.GT, b, c);
      results.add(new Expr.Select(mask, a, c));
      results.add(mask);
      results.add(new Expr.Binary(BinaryOp.AND, mask, new Expr.Unary(UnaryOp.NOT, other)));
      results.add(new Expr.Compare(op, mask, other));
      results.add(new Expr.Cast(t.withScalar(Scalar.I32), mask, false));
      results.add(new Expr.Cast(t.withScalar(Scalar.F64), mask, false));
      results.add(new Expr.Select(mask, other, new Expr.Compare(CompareOp.EQ, a, c)));
    }
  }

  private void conversions(Type t, Expr a) {
    Scalar s = t.scalar();
    for (Scalar to : NUMBERS) {
      results.add(new Expr.Cast(t.withScalar(to), a, false));
      if (!s.isFloat() || !to.isFloat()) {
        int lanes = t.bytes() / to.bytes();
        if (t.bytes() % to.bytes() == 0 && lanes > 0 && lanes <= 64 && !s.isFloat()) {
          results.add(new Expr.Bits(new Type(to, lanes), a));
        }
      }
    }
    results.add(new Expr.Cast(t.withScalar(Scalar.BOOL), a, false));
    if (!s.isFloat()) {
      // Payloads of NaN are nobody's promise.
      results.add(new Expr.Cast(t.withScalar(Scalar.F16), a, false));
    }
    if (s == Scalar.U16) {
      Expr half = new Expr.Bits(t.withScalar(Scalar.F16), a);
      results.add(new Expr.Cast(t.withScalar(Scalar.F32), half, false));
      results.add(new Expr.Cast(t.withScalar(Scalar.I32), half, false));
    }
  }

  private void lanes(Type t, Expr a, Expr b, Expr c) {
    int n = t.lanes();
    Expr count = new Expr.Binary(BinaryOp.SUB, new Expr.Var(Type.INDEX, "i"), index(3));
    Expr tail = new Expr.LaneLt(count, n);
    results.add(new Expr.Load(t, "a", at(n), Optional.of(tail)));
    results.add(new Expr.Select(tail, a, b));
    if (n == 1) {
      return;
    }
    for (ReduceOp op : ReduceOp.values()) {
      boolean bitwise = op == ReduceOp.AND || op == ReduceOp.OR || op == ReduceOp.XOR;
      if (!(bitwise && t.scalar().isFloat())) {
        results.add(new Expr.Broadcast(new Expr.Reduce(op, a), n));
      }
      if (bitwise) {
        Expr mask = new Expr.Compare(CompareOp.LT, a, b);
        results.add(new Expr.Broadcast(new Expr.Reduce(op, mask), n));
      }
    }
    List<Integer> reverse = new ArrayList<>();
    List<Integer> mixed = new ArrayList<>();
    List<Integer> pairs = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      reverse.add(n - 1 - i);
      mixed.add((i * 5) % (2 * n));
      pairs.add(((i ^ 2) + n / 2) % (2 * n));
    }
    for (List<Integer> order : List.of(reverse, mixed, pairs, mixed.subList(0, n / 2))) {
      if (!order.isEmpty()) {
        results.add(new Expr.Shuffle(a, b, order));
      }
    }
    results.add(
        new Expr.Shuffle(
            new Expr.Compare(CompareOp.LT, a, b), new Expr.Compare(CompareOp.LT, b, c), mixed));
    results.add(new Expr.Broadcast(new Expr.Shuffle(a, b, List.of(n + 1)), n));
    for (int stride : new int[] {0, 1}) {
      Expr ramp = new Expr.Ramp(at(n), stride, n);
      results.add(new Expr.Load(t, "b", ramp, Optional.empty()));
      results.add(new Expr.Load(t, "b", ramp, Optional.of(tail)));
    }
    Expr places =
        new Expr.Binary(
            BinaryOp.ADD,
            new Expr.Ramp(at(n), 1, n),
            new Expr.IntConst(new Type(Scalar.INDEX, n), 0));
    results.add(new Expr.Load(t, "b", places, Optional.empty()));
    results.add(new Expr.Load(t, "b", places, Optional.of(tail)));
    for (long by : new long[] {4, 7, 0}) {
      Expr divisor = new Expr.IntConst(new Type(Scalar.INDEX, n), by);
      results.add(new Expr.Binary(BinaryOp.FLOORDIV, places, divisor));
      results.add(new Expr.Binary(BinaryOp.FLOORMOD, places, divisor));
    }
  }

  /** for i: out[i * lanes] = result, stored through a mask for every second case. */
  private static LoopFunction function(Expr given, Scalar operand, int number, int lanes) {
    Expr result =
        given.type().scalar() == Scalar.INDEX
            ? new Expr.Cast(given.type().withScalar(Scalar.I64), given, true)
            : given;
    int own = result.type().lanes();
    Stmt store =
        new Stmt.Store(
            "out",
            at(Math.max(own, lanes)),
            result,
            number % 2 == 0
                ? Optional.empty()
                : Optional.of(new Expr.LaneLt(new Expr.Var(Type.INDEX, "i"), own)));
    return new LoopFunction(
        "case" + number,
        List.of(
            new LoopFunction.BufferParam("a", operand, false),
            new LoopFunction.BufferParam("b", operand, false),
            new LoopFunction.BufferParam("c", operand, false),
            new LoopFunction.BufferParam("out", result.type().scalar(), true)),
        List.of("n"),
        new Stmt.For(Stmt.LoopKind.SERIAL, "i", index(0), new Expr.Var(Type.INDEX, "n"), 1, store));
  }

  @ParameterizedTest
  @CsvSource({
    "avx512vnni, 1",
    "avx512vnni, 2",
    "avx512vnni, 8",
    "avx512vnni, 16",
    "avx512vnni, 64",
    "avx512, 4",
    "avx512bf16, 16"
  })
  void everyOperation(String name, int lanes) {
    Target target = Target.nativeTarget(name);
    assumeTrue(Cpu.unavailable().isEmpty() && Cpu.supports(target), "no processor for " + name);
    List<String> wrong = new ArrayList<>();
    int number = 0;
    for (Scalar s : NUMBERS) {
      Type t = new Type(s, lanes);
      Expr a = load("a", t);
      Expr b = load("b", t);
      Expr c = load("c", t);
      results.clear();
      if (target.has(Target.Feature.BF16_DOT)) {
        // All else is as without it.
        Type words = t.withScalar(Scalar.I32);
        if (s == Scalar.F32) {
          results.add(new Expr.Dot2(a, new Expr.Bits(words, b), new Expr.Bits(words, c)));
        }
      } else {
        arithmetic(t, a, b, c);
        comparisons(t, a, b, c);
        conversions(t, a);
        lanes(t, a, b, c);
      }
      for (Expr result : results) {
        check(result, s, number++, lanes, target).ifPresent(wrong::add);
      }
    }
    assertEquals("", String.join("\n", wrong.subList(0, Math.min(20, wrong.size()))));
  }

  private static Optional<String> check(
      Expr result, Scalar operand, int number, int lanes, Target target) {
    LoopFunction function = Legalizer.legalize(function(result, operand, number, lanes), target);
    Random random = new Random(number);
    int n = ROUNDS * lanes;
    List<Object> inputs = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      inputs.add(RandomFunctionsTest.random(operand, n, random));
    }
    Scalar to = function.buffers().get(3).element();
    inputs.add(to.dtype().slot().newArray(ROUNDS * Math.max(lanes, result.type().lanes())));
    List<Object> expected = inputs.stream().map(RandomFunctionsTest::copy).toList();
    List<Object> actual = inputs.stream().map(RandomFunctionsTest::copy).toList();
    RandomFunctionsTest.run(LoopInterpreter.compile(function), expected, ROUNDS);
    String difference;
    try {
      RandomFunctionsTest.run(Compiled.of(function, target), actual, ROUNDS);
      difference = RandomFunctionsTest.difference(function, expected, actual);
    } catch (RuntimeException e) {
      difference = e.toString();
    }
    return difference.isEmpty()
        ? Optional.empty()
        : Optional.of(operand + " x" + lanes + " " + result + ": " + difference);
  }
}
