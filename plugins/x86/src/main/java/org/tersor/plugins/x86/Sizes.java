package org.tersor.plugins.x86;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.CompareOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.ir.loop.UnaryOp;
import org.tersor.runtime.DimExpr;

/** Dimension expressions as a loop function that reads symbols and writes the values. */
final class Sizes {
  private static final String SYMBOLS = "symbols";
  private static final String VALUES = "values";

  private Sizes() {}

  static LoopFunction function(List<DimExpr> sizes, List<String> symbols) {
    List<Stmt> body = new ArrayList<>();
    for (int i = 0; i < sizes.size(); i++) {
      body.add(
          new Stmt.Store(
              VALUES,
              index(i),
              new Expr.Cast(Type.of(Scalar.I64), expr(sizes.get(i), symbols), true),
              Optional.empty()));
    }
    return new LoopFunction(
        "sizes",
        List.of(
            new LoopFunction.BufferParam(SYMBOLS, Scalar.I64, false),
            new LoopFunction.BufferParam(VALUES, Scalar.I64, true)),
        List.of(),
        new Stmt.Block(body));
  }

  private static Expr index(long value) {
    return new Expr.IntConst(Type.INDEX, value);
  }

  private static Expr binary(BinaryOp op, Expr a, Expr b) {
    return new Expr.Binary(op, a, b);
  }

  private static Expr negative(Expr a) {
    return new Expr.Unary(UnaryOp.NEG, a);
  }

  /** Toward minus infinity by any divisor; 0 by 0. */
  private static Expr floorDiv(Expr a, Expr b) {
    return new Expr.Select(
        new Expr.Compare(CompareOp.LT, b, index(0)),
        binary(BinaryOp.FLOORDIV, negative(a), negative(b)),
        binary(BinaryOp.FLOORDIV, a, b));
  }

  private static Expr expr(DimExpr size, List<String> symbols) {
    return size.fold(
        new DimExpr.Algebra<Expr>() {
          @Override
          public Expr constant(long value) {
            return index(value);
          }

          @Override
          public Expr symbol(String name) {
            int i = symbols.indexOf(name);
            if (i < 0) {
              throw new IllegalStateException("the plan has no dimension " + name);
            }
            return new Expr.Cast(
                Type.INDEX,
                new Expr.Load(Type.of(Scalar.I64), SYMBOLS, index(i), Optional.empty()),
                true);
          }

          @Override
          public Expr add(Expr a, Expr b) {
            return binary(BinaryOp.ADD, a, b);
          }

          @Override
          public Expr multiply(Expr a, Expr b) {
            return binary(BinaryOp.MUL, a, b);
          }

          @Override
          public Expr opaque(DimExpr.Kind kind, Expr a, Expr b) {
            return switch (kind) {
              case FLOORDIV -> floorDiv(a, b);
              case CEILDIV -> negative(floorDiv(negative(a), b));
              case MOD ->
                  new Expr.Select(
                      new Expr.Compare(CompareOp.EQ, b, index(0)),
                      index(0),
                      binary(BinaryOp.SUB, a, binary(BinaryOp.MUL, b, floorDiv(a, b))));
              case MIN -> binary(BinaryOp.MIN, a, b);
              case MAX -> binary(BinaryOp.MAX, a, b);
            };
          }
        });
  }
}
