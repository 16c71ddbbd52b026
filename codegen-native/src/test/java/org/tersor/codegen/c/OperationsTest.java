package org.tersor.codegen.c;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.ReduceOp;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.ir.schedule.Target;
import org.tersor.runtime.Tensor;

/** Every operation and cast on every target at many widths gives the interpreter's bits. */
class OperationsTest {
  private static final int ROUNDS = 64;
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

  /** A result over the operands a, b, c; {@code name} for the message. */
  private record Case(String name, Scalar operand, Expr result) {}

  /**
   * Targets and lanes: one width each (below, at and above that of the registers), all of them with
   * -Dtersor.test.all=true.
   */
  static List<Arguments> targets() {
    List<Arguments> list = new ArrayList<>();
    IntStream.of(1, 4, 8, 16).forEach(n -> list.add(Arguments.of("avx512bf16", n)));
    if (Boolean.getBoolean("tersor.test.all")) {
      Kernels.TARGETS.forEach(
          t -> IntStream.of(1, 4, 8, 16).forEach(n -> list.add(Arguments.of(t, n))));
    } else {
      list.addAll(
          List.of(
              Arguments.of("avx512vnni", 16), Arguments.of("avx2", 8), Arguments.of("scalar", 1)));
    }
    return list;
  }

  private static Expr load(String buffer, Scalar s, int lanes) {
    Expr index = new Expr.Binary(BinaryOp.MUL, new Expr.Var(Type.INDEX, "i"), Kernels.index(lanes));
    return new Expr.Load(new Type(s, lanes), buffer, index, Optional.empty());
  }

  private static List<Case> cases(Scalar s, int lanes, Target target) {
    Expr a = load("a", s, lanes);
    Expr b = load("b", s, lanes);
    Expr c = load("c", s, lanes);
    List<Case> cases = new ArrayList<>();
    if (target.has(Target.Feature.BF16_DOT)) {
      // All else is as without it.
      Type words = new Type(Scalar.I32, lanes);
      Expr dot = new Expr.Dot2(a, new Expr.Bits(words, b), new Expr.Bits(words, c));
      return s == Scalar.F32 ? List.of(new Case("DOT2", s, dot)) : List.of();
    }
    for (UnaryOp op : UnaryOp.values()) {
      boolean fits =
          switch (op) {
            case NEG, ABS -> true;
            case NOT, POPCOUNT -> s.isInteger();
            case SQRT, FLOOR, CEIL, TRUNC, RINT -> s.isFloat();
            default -> false;
          };
      if (fits) {
        cases.add(new Case(op.name(), s, new Expr.Unary(op, a)));
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
        cases.add(new Case(op.name(), s, new Expr.Binary(op, a, b)));
      }
    }
    for (double constant : s.isFloat() ? new double[] {0.0, -0.0, 6, Double.NaN} : new double[0]) {
      Expr k = new Expr.FloatConst(new Type(s, lanes), constant);
      cases.add(new Case("MIN " + constant, s, new Expr.Binary(BinaryOp.MIN, a, k)));
      cases.add(new Case("MAX " + constant, s, new Expr.Binary(BinaryOp.MAX, a, k)));
      cases.add(new Case("MAX' " + constant, s, new Expr.Binary(BinaryOp.MAX, k, a)));
    }
    if (!s.isFloat()) {
      for (long constant : new long[] {0, 3, 8}) {
        Expr k = new Expr.IntConst(new Type(s, lanes), constant);
        cases.add(new Case("DIV " + constant, s, new Expr.Binary(BinaryOp.DIV, a, k)));
        cases.add(new Case("REM " + constant, s, new Expr.Binary(BinaryOp.REM, a, k)));
        cases.add(new Case("SHR " + constant, s, new Expr.Binary(BinaryOp.SHR, a, k)));
      }
    }
    for (CompareOp op : CompareOp.values()) {
      Expr mask = new Expr.Compare(op, a, b);
      cases.add(new Case(op.name(), s, new Expr.Select(mask, a, c)));
      cases.add(new Case(op + " stored", s, mask));
      Expr other = new Expr.Compare(CompareOp.GT, b, c);
      cases.add(
          new Case(
              op + " and",
              s,
              new Expr.Binary(BinaryOp.AND, mask, new Expr.Unary(UnaryOp.NOT, other))));
      cases.add(new Case(op + " of bool", s, new Expr.Compare(op, mask, other)));
      cases.add(
          new Case(op + " to i32", s, new Expr.Cast(new Type(Scalar.I32, lanes), mask, false)));
      cases.add(
          new Case(op + " to f64", s, new Expr.Cast(new Type(Scalar.F64, lanes), mask, false)));
      cases.add(
          new Case(
              op + " select",
              s,
              new Expr.Select(mask, other, new Expr.Compare(CompareOp.EQ, a, c))));
    }
    if (s == Scalar.F32 || (s == Scalar.F64 && target.has(Target.Feature.FMA))) {
      cases.add(new Case("FMA", s, new Expr.Fma(a, b, c)));
    }
    if (s == Scalar.I32) {
      cases.add(new Case("DOT4", s, new Expr.Dot4(a, b, c)));
    }
    for (Scalar to : NUMBERS) {
      cases.add(new Case("to " + to, s, new Expr.Cast(new Type(to, lanes), a, false)));
      if (to.bytes() == s.bytes()) {
        cases.add(new Case("bits " + to, s, new Expr.Bits(new Type(to, lanes), a)));
      }
    }
    cases.add(new Case("to bool", s, new Expr.Cast(new Type(Scalar.BOOL, lanes), a, false)));
    if (target.has(Target.Feature.F16C) || !s.isFloat() || s == Scalar.F32) {
      // Payloads of NaN are nobody's promise: they become zero first.
      Expr number =
          s.isFloat()
              ? new Expr.Select(
                  new Expr.Compare(CompareOp.EQ, a, a),
                  a,
                  new Expr.FloatConst(new Type(s, lanes), 0))
              : a;
      cases.add(
          new Case(
              "to f16",
              s,
              new Expr.Bits(
                  new Type(Scalar.U16, lanes),
                  new Expr.Cast(new Type(Scalar.F16, lanes), number, false))));
    }
    if (s == Scalar.U16) {
      Expr half = new Expr.Bits(new Type(Scalar.F16, lanes), a);
      cases.add(new Case("f16 to f32", s, new Expr.Cast(new Type(Scalar.F32, lanes), half, false)));
      cases.add(new Case("f16 to i32", s, new Expr.Cast(new Type(Scalar.I32, lanes), half, false)));
    }
    for (ReduceOp op : ReduceOp.values()) {
      boolean bitwise = op == ReduceOp.AND || op == ReduceOp.OR || op == ReduceOp.XOR;
      if (lanes > 1 && !(bitwise && s.isFloat())) {
        cases.add(new Case("reduce " + op, s, new Expr.Broadcast(new Expr.Reduce(op, a), lanes)));
      }
      if (lanes > 1 && bitwise) {
        cases.add(
            new Case(
                "reduce bool " + op,
                s,
                new Expr.Broadcast(
                    new Expr.Reduce(op, new Expr.Compare(CompareOp.LT, a, b)), lanes)));
      }
    }
    if (lanes > 1) {
      List<Integer> order = new ArrayList<>();
      List<Integer> mixed = new ArrayList<>();
      for (int i = 0; i < lanes; i++) {
        order.add(lanes - 1 - i);
        mixed.add((i * 5) % (2 * lanes));
      }
      cases.add(new Case("reverse", s, new Expr.Shuffle(a, b, order)));
      cases.add(new Case("mix", s, new Expr.Shuffle(a, b, mixed)));
      cases.add(
          new Case(
              "mix masks",
              s,
              new Expr.Shuffle(
                  new Expr.Compare(CompareOp.LT, a, b),
                  new Expr.Compare(CompareOp.LT, b, c),
                  mixed)));
      cases.add(
          new Case(
              "lane", s, new Expr.Broadcast(new Expr.Shuffle(a, b, List.of(lanes + 1)), lanes)));
    }
    Expr count = new Expr.Binary(BinaryOp.SUB, new Expr.Var(Type.INDEX, "i"), Kernels.index(3));
    Expr tail = new Expr.LaneLt(count, lanes);
    Expr at = new Expr.Binary(BinaryOp.MUL, new Expr.Var(Type.INDEX, "i"), Kernels.index(lanes));
    cases.add(
        new Case("masked load", s, new Expr.Load(new Type(s, lanes), "a", at, Optional.of(tail))));
    cases.add(new Case("tail", s, new Expr.Select(tail, a, b)));
    if (lanes > 1) {
      Expr ramp = new Expr.Ramp(at, 1, lanes);
      cases.add(
          new Case("gather", s, new Expr.Load(new Type(s, lanes), "b", ramp, Optional.empty())));
      cases.add(
          new Case(
              "masked gather", s, new Expr.Load(new Type(s, lanes), "b", ramp, Optional.of(tail))));
    }
    return cases;
  }

  /** for i: out[i * lanes] = result, stored through a mask for every second case. */
  private static LoopFunction function(Case c, int number, int lanes) {
    Scalar result = c.result().type().scalar();
    Stmt store =
        new Stmt.Store(
            "out",
            new Expr.Binary(BinaryOp.MUL, new Expr.Var(Type.INDEX, "i"), Kernels.index(lanes)),
            c.result(),
            number % 2 == 0
                ? Optional.empty()
                : Optional.of(new Expr.LaneLt(new Expr.Var(Type.INDEX, "i"), lanes)));
    Stmt body =
        new Stmt.For(
            Stmt.LoopKind.SERIAL, "i", Kernels.index(0), new Expr.Var(Type.INDEX, "n"), 1, store);
    return new LoopFunction(
        "case" + number,
        List.of(
            new LoopFunction.BufferParam("a", c.operand(), false),
            new LoopFunction.BufferParam("b", c.operand(), false),
            new LoopFunction.BufferParam("c", c.operand(), false),
            new LoopFunction.BufferParam("out", result, true)),
        List.of("n"),
        body);
  }

  @ParameterizedTest
  @MethodSource("targets")
  void everyOperation(String name, int lanes) {
    assumeTrue(Toolchain.unavailable().isEmpty(), () -> Toolchain.unavailable().orElse(""));
    assumeTrue(Kernels.runsHere(name), "the processor has no " + name);
    Target target = Target.nativeTarget(name);
    List<Case> cases = new ArrayList<>();
    List<LoopFunction> functions = new ArrayList<>();
    int number = 0;
    for (Scalar s : NUMBERS) {
      for (Case c : cases(s, lanes, target)) {
        // All of the two types that everything is made of; of the others every fifth, unless all
        // are asked for.
        if (s != Scalar.F32
            && s != Scalar.I32
            && number++ % 5 != 0
            && !Boolean.getBoolean("tersor.test.all")) {
          continue;
        }
        functions.add(function(c, cases.size(), lanes));
        cases.add(c);
      }
    }
    List<NativeKernel> kernels = NativeKernel.load(functions, target);
    List<String> wrong = new ArrayList<>();
    for (int i = 0; i < cases.size(); i++) {
      Random random = new Random(i);
      Case c = cases.get(i);
      int n = ROUNDS * lanes;
      Tensor out = Tensor.zeros(c.result().type().scalar().dtype(), n);
      List<Object> arrays =
          List.of(
              Kernels.values(c.operand(), n, random).array(),
              Kernels.values(c.operand(), n, random).array(),
              Kernels.values(c.operand(), n, random).array(),
              out.array());
      long[] dims = {ROUNDS};
      Object expected = Kernels.runInterpreter(functions.get(i), arrays, dims).get(3);
      Object actual = Kernels.runNative(kernels.get(i), arrays, dims, 0, 1).get(3);
      String difference = Kernels.difference(expected, actual);
      if (!difference.isEmpty()) {
        wrong.add(c.name() + " of " + c.operand() + " x" + lanes + ": " + difference);
      }
    }
    assertEquals(List.of(), wrong);
  }
}
