package org.tersor.ir.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tersor.ir.dsl.LoopParser;

/** Operations counted in loops against operations counted by hand. */
class LoopWorkTest {
  private static final Type VECTOR = new Type(Scalar.F32, 8);

  private static Expr var(String name) {
    return new Expr.Var(Type.INDEX, name);
  }

  private static Expr index(long value) {
    return new Expr.IntConst(Type.INDEX, value);
  }

  private static Expr op(BinaryOp op, Expr a, Expr b) {
    return new Expr.Binary(op, a, b);
  }

  private static Expr load(Type type, Expr at) {
    return new Expr.Load(type, "x", at, Optional.empty());
  }

  private static Stmt store(Expr value) {
    return new Stmt.Store("y", index(0), value, Optional.empty());
  }

  private static Stmt loop(String v, Expr begin, Expr end, int step, Stmt... body) {
    return new Stmt.For(Stmt.LoopKind.SERIAL, v, begin, end, step, new Stmt.Block(List.of(body)));
  }

  private static LoopWork count(Stmt body, Long... dims) {
    return LoopWork.of(
        new LoopFunction(
            "f",
            List.of(
                new LoopFunction.BufferParam("x", Scalar.F32, false),
                new LoopFunction.BufferParam("y", Scalar.F32, true)),
            List.of("n"),
            body),
        List.of(dims));
  }

  @Test
  void aTurnCountsAsOftenAsItRuns() {
    Expr x = load(VECTOR, var("i"));
    Stmt body = loop("i", index(0), var("n"), 8, store(new Expr.Fma(x, x, op(BinaryOp.ADD, x, x))));
    // 13 turns of 8 lanes with three operations each.
    assertEquals(new LoopWork(13 * 8 * 3, 0, true), count(body, 100L));
    assertEquals(new LoopWork(0, 0, true), count(body, 0L));
  }

  @Test
  void turnsThatDifferAreFollowedOneByOne() {
    // Blocks of 7 of n: the inner loop ends at min(b + 7, n), which a let says.
    Stmt inner =
        loop(
            "i",
            var("b"),
            var("e"),
            1,
            store(op(BinaryOp.MUL, load(Type.F32, var("i")), load(Type.F32, var("i")))));
    Stmt end = new Stmt.Let("e", op(BinaryOp.MIN, op(BinaryOp.ADD, var("b"), index(7)), var("n")));
    Stmt tail =
        new Stmt.If(
            new Expr.Compare(CompareOp.EQ, var("e"), var("n")),
            store(new Expr.Unary(UnaryOp.SQRT, load(Type.F32, index(0)))),
            Optional.empty());
    assertEquals(
        new LoopWork(20 + 1, 0, true),
        count(loop("b", index(0), var("n"), 7, end, inner, tail), 20L));
  }

  @Test
  void bytesAreCountedApartAndIndicesNot() {
    Type words = new Type(Scalar.I32, 16);
    Expr zero = new Expr.IntConst(words, 0);
    Stmt dots = new Stmt.Let("d", new Expr.Dot4(zero, zero, zero));
    Stmt sum =
        new Stmt.Let(
            "r", new Expr.Reduce(ReduceOp.SUM, load(VECTOR, op(BinaryOp.MUL, var("n"), index(3)))));
    assertEquals(
        new LoopWork(7 * 5, 16 * 8 * 5, true),
        count(loop("i", index(0), index(5), 1, dots, sum), 1L));
  }

  @Test
  void productsOfMatrixRegistersAreCounted() {
    LoopFunction function =
        LoopParser.parse(
            """
            kernel f(a: u8, b: i8; n) {
              tile s[12, 16];
              for i in 0 .. n {
                tile x[12, 5] = a[0 by 20];
                tile w[5, 16] = b[0 by 64];
                tile s += u8 x * i8 w;
              }
            }
            """);
    assertEquals(new LoopWork(0, 3 * 2 * 12 * 16 * 20, true), LoopWork.of(function, List.of(3L)));
  }

  @Test
  void whatDataDecideIsAnEstimate() {
    Expr x = load(Type.F32, index(0));
    Expr positive = new Expr.Compare(CompareOp.GT, x, new Expr.FloatConst(Type.F32, 0));
    Stmt either =
        new Stmt.If(
            positive, store(x), Optional.of(store(op(BinaryOp.ADD, x, op(BinaryOp.ADD, x, x)))));
    assertEquals(new LoopWork(2, 0, false), count(either, 1L));
    assertEquals(
        new LoopWork(1, 0, false),
        count(new Stmt.While(positive, store(op(BinaryOp.ADD, x, x))), 1L));
  }
}
