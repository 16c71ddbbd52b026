package org.tersor.codegen.jvm;

import static org.tersor.codegen.jvm.Differential.in;
import static org.tersor.codegen.jvm.Differential.out;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/** Kernels written by hand in the loop IR, of the shapes that schedules make. */
final class HandKernels {
  private HandKernels() {}

  static Expr index(int value) {
    return new Expr.IntConst(Type.INDEX, value);
  }

  static Expr var(String name) {
    return new Expr.Var(Type.INDEX, name);
  }

  static Expr add(Expr a, Expr b) {
    return new Expr.Binary(BinaryOp.ADD, a, b);
  }

  static Expr mul(Expr a, Expr b) {
    return new Expr.Binary(BinaryOp.MUL, a, b);
  }

  static Expr load(Type type, String buffer, Expr index) {
    return new Expr.Load(type, buffer, index, Optional.empty());
  }

  static Stmt store(String buffer, Expr index, Expr value) {
    return new Stmt.Store(buffer, index, value, Optional.empty());
  }

  static Stmt loop(Stmt.LoopKind kind, String variable, Expr end, Stmt... body) {
    return new Stmt.For(kind, variable, index(0), end, 1, new Stmt.Block(List.of(body)));
  }

  /**
   * C[m, n] = relu(bias[n] + sum(k) A[m, k] * B[k, n]), fp32, in tiles of {@code rows} x {@code
   * columns}; A packed as [m / rows][k][rows], B as [n / columns][k][columns]; a task per row of
   * tiles; dims: K, tiles in n.
   */
  static LoopFunction gemm(int rows, int columns, int lanes) {
    Type vector = new Type(Scalar.F32, lanes);
    int parts = columns / lanes;
    List<Stmt> tile = new ArrayList<>();
    tile.add(new Stmt.Alloc("acc", vector, index(rows * parts), Stmt.Space.REGISTER));
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < parts; c++) {
        tile.add(
            store(
                "acc",
                index(r * parts + c),
                load(vector, "bias", add(mul(var("n"), index(columns)), index(c * lanes)))));
      }
    }
    tile.add(new Stmt.Let("a0", mul(mul(var("m"), var("K")), index(rows))));
    tile.add(new Stmt.Let("b0", mul(mul(var("n"), var("K")), index(columns))));
    List<Stmt> step = new ArrayList<>();
    for (int c = 0; c < parts; c++) {
      step.add(
          new Stmt.Let(
              "b" + "v" + c,
              load(
                  vector,
                  "B",
                  add(add(var("b0"), mul(var("k"), index(columns))), index(c * lanes)))));
    }
    for (int r = 0; r < rows; r++) {
      Expr a = load(Type.F32, "A", add(add(var("a0"), mul(var("k"), index(rows))), index(r)));
      step.add(new Stmt.Let("av" + r, new Expr.Broadcast(a, lanes)));
      for (int c = 0; c < parts; c++) {
        Expr acc = load(vector, "acc", index(r * parts + c));
        step.add(
            store(
                "acc",
                index(r * parts + c),
                new Expr.Fma(new Expr.Var(vector, "av" + r), new Expr.Var(vector, "bv" + c), acc)));
      }
    }
    tile.add(loop(Stmt.LoopKind.SERIAL, "k", var("K"), step.toArray(Stmt[]::new)));
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < parts; c++) {
        Expr row = mul(add(mul(var("m"), index(rows)), index(r)), mul(var("N"), index(columns)));
        Expr at = add(add(row, mul(var("n"), index(columns))), index(c * lanes));
        Expr relu =
            new Expr.Binary(
                BinaryOp.MAX,
                load(vector, "acc", index(r * parts + c)),
                new Expr.FloatConst(vector, 0));
        tile.add(store("C", at, relu));
      }
    }
    Stmt body =
        loop(
            Stmt.LoopKind.PARALLEL,
            "m",
            var("M"),
            loop(Stmt.LoopKind.SERIAL, "n", var("N"), tile.toArray(Stmt[]::new)));
    return new LoopFunction(
        "gemm",
        List.of(
            in("A", Scalar.F32), in("B", Scalar.F32), in("bias", Scalar.F32), out("C", Scalar.F32)),
        List.of("M", "N", "K"),
        body);
  }

  /** y[i] = x[i] * s[0] + y[i] with a masked tail; dims: n. */
  static LoopFunction scaleAdd(int lanes) {
    Type vector = new Type(Scalar.F32, lanes);
    Expr s = new Expr.Broadcast(load(Type.F32, "s", index(0)), lanes);
    Expr left = new Expr.Binary(BinaryOp.SUB, var("n"), var("i"));
    Optional<Expr> tail = Optional.of(new Expr.Var(new Type(Scalar.BOOL, lanes), "tail"));
    Stmt body =
        new Stmt.For(
            Stmt.LoopKind.SERIAL,
            "i",
            index(0),
            var("n"),
            lanes,
            new Stmt.Block(
                List.of(
                    new Stmt.Let("tail", new Expr.LaneLt(left, lanes)),
                    new Stmt.Store(
                        "y",
                        var("i"),
                        new Expr.Fma(
                            new Expr.Load(vector, "x", var("i"), tail),
                            s,
                            new Expr.Load(vector, "y", var("i"), tail)),
                        tail))));
    return new LoopFunction(
        "scaleAdd",
        List.of(in("x", Scalar.F32), in("s", Scalar.F32), out("y", Scalar.F32)),
        List.of("n"),
        body);
  }

  /**
   * y[r] = sum of u8 x[r, :] * i8 w[:] in i32, through a scratch block of products; a task per row;
   * dims: rows, n (a multiple of lanes).
   */
  static LoopFunction dot(int lanes) {
    Type wide = new Type(Scalar.I32, lanes);
    Expr at = add(mul(var("r"), var("n")), var("i"));
    Expr x = new Expr.Cast(wide, load(new Type(Scalar.U8, lanes), "x", at), true);
    Expr w = new Expr.Cast(wide, load(new Type(Scalar.I8, lanes), "w", var("i")), true);
    Stmt body =
        loop(
            Stmt.LoopKind.PARALLEL,
            "r",
            var("rows"),
            new Stmt.Alloc("products", Type.I32, var("n"), Stmt.Space.LOCAL),
            new Stmt.For(
                Stmt.LoopKind.SERIAL,
                "i",
                index(0),
                var("n"),
                lanes,
                new Stmt.Block(List.of(store("products", var("i"), mul(x, w))))),
            new Stmt.Local("sum", new Expr.IntConst(wide, 0)),
            new Stmt.For(
                Stmt.LoopKind.SERIAL,
                "i",
                index(0),
                var("n"),
                lanes,
                new Stmt.Block(
                    List.of(
                        new Stmt.Assign(
                            "sum",
                            add(new Expr.Var(wide, "sum"), load(wide, "products", var("i"))))))),
            store(
                "y",
                var("r"),
                new Expr.Reduce(org.tersor.ir.loop.ReduceOp.SUM, new Expr.Var(wide, "sum"))));
    return new LoopFunction(
        "dot",
        List.of(in("x", Scalar.U8), in("w", Scalar.I8), out("y", Scalar.I32)),
        List.of("rows", "n"),
        body);
  }
}
