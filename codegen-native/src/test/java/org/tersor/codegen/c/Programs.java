package org.tersor.codegen.c;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Plan;
import org.tersor.runtime.Tensor;

/**
 * A hand-made program: y[n, k] = (x[n, k] * w[k] + 1) - 0.5, with a weight that is doubled at load
 * and a scratch row.
 */
final class Programs {
  static final int K = 37;

  private Programs() {}

  private static Expr var(String name) {
    return new Expr.Var(Type.INDEX, name);
  }

  private static Expr op(BinaryOp op, Expr a, Expr b) {
    return new Expr.Binary(op, a, b);
  }

  private static Expr load(String buffer, Expr index) {
    return new Expr.Load(Type.F32, buffer, index, Optional.empty());
  }

  private static Expr real(double v) {
    return new Expr.FloatConst(Type.F32, v);
  }

  private static Stmt store(String buffer, Expr index, Expr value) {
    return new Stmt.Store(buffer, index, value, Optional.empty());
  }

  private static Stmt loop(Stmt.LoopKind kind, String v, Expr end, Stmt... body) {
    return new Stmt.For(kind, v, Kernels.index(0), end, 1, new Stmt.Block(List.of(body)));
  }

  private static LoopFunction.BufferParam param(String name, boolean written) {
    return new LoopFunction.BufferParam(name, Scalar.F32, written);
  }

  static List<LoopFunction> kernels() {
    LoopFunction pack =
        new LoopFunction(
            "pack",
            List.of(param("w", false), param("p", true)),
            List.of(),
            loop(
                Stmt.LoopKind.SERIAL,
                "i",
                Kernels.index(K),
                store("p", var("i"), op(BinaryOp.MUL, load("w", var("i")), real(2)))));
    Expr at = op(BinaryOp.ADD, op(BinaryOp.MUL, var("r"), var("k")), var("i"));
    // A row goes through scratch whose size is a dimension.
    LoopFunction scale =
        new LoopFunction(
            "scale",
            List.of(param("x", false), param("p", false), param("y", true)),
            List.of("n", "k"),
            loop(
                Stmt.LoopKind.PARALLEL,
                "r",
                var("n"),
                new Stmt.Alloc("row", Type.F32, var("k"), Stmt.Space.LOCAL),
                loop(
                    Stmt.LoopKind.SERIAL,
                    "i",
                    var("k"),
                    store("row", var("i"), op(BinaryOp.MUL, load("x", at), load("p", var("i"))))),
                loop(
                    Stmt.LoopKind.SERIAL,
                    "i",
                    var("k"),
                    store("y", at, op(BinaryOp.ADD, load("row", var("i")), real(1))))));
    LoopFunction shift =
        new LoopFunction(
            "shift",
            List.of(param("x", false), param("y", true)),
            List.of("n"),
            loop(
                Stmt.LoopKind.PARALLEL,
                "i",
                var("n"),
                store("y", var("i"), op(BinaryOp.SUB, load("x", var("i")), real(0.5)))));
    return List.of(pack, scale, shift);
  }

  /**
   * A program that runs functions of one dimension n side by side: each has inputs and outputs of n
   * elements of its own.
   */
  static Program of(List<LoopFunction> functions, int n, Target target) {
    List<Plan.Buffer> buffers = new ArrayList<>();
    List<Executable.Port> inputs = new ArrayList<>();
    List<Executable.Port> outputs = new ArrayList<>();
    List<Plan.Call> calls = new ArrayList<>();
    for (int f = 0; f < functions.size(); f++) {
      LoopFunction function = functions.get(f);
      List<Integer> arguments = new ArrayList<>();
      for (LoopFunction.BufferParam parameter : function.buffers()) {
        List<Executable.Port> ports = parameter.written() ? outputs : inputs;
        String name = function.name() + "_" + parameter.name();
        arguments.add(buffers.size());
        buffers.add(
            new Plan.Buffer(
                name,
                parameter.element().dtype(),
                DimExpr.of(n),
                parameter.written() ? Plan.Storage.OUTPUT : Plan.Storage.INPUT,
                ports.size()));
        ports.add(new Executable.Port(name, parameter.element().dtype(), DimExpr.list(n)));
      }
      long tasks = function.name().equals("blocks") ? n / 64 : n;
      calls.add(new Plan.Call(f, arguments, DimExpr.list(n), DimExpr.of(tasks), function.name()));
    }
    List<String> names = functions.stream().map(LoopFunction::name).toList();
    Plan plan = new Plan("functions", List.of(), inputs, outputs, buffers, names, List.of(), calls);
    return new Program(plan, functions, List.of(), target, Map.of());
  }

  static Program program(String name, Target target) {
    DimExpr n = DimExpr.symbol("N\"*/\n");
    DimExpr k = DimExpr.of(K);
    List<Plan.Buffer> buffers =
        List.of(
            new Plan.Buffer("x", DType.F32, n.times(k), Plan.Storage.INPUT, 0),
            new Plan.Buffer("w", DType.F32, k, Plan.Storage.CONSTANT, 0),
            new Plan.Buffer("p", DType.F32, k, Plan.Storage.PACKED, 0),
            new Plan.Buffer("t", DType.F32, n.times(k), Plan.Storage.ARENA, 0),
            new Plan.Buffer("y", DType.F32, n.times(k), Plan.Storage.OUTPUT, 0));
    Plan plan =
        new Plan(
            name,
            List.of("N\"*/\n"),
            List.of(new Executable.Port("x\"*/ evil", DType.F32, List.of(n, k))),
            List.of(new Executable.Port("y", DType.F32, List.of(n, k))),
            buffers,
            List.of("pack", "scale", "shift"),
            List.of(new Plan.Call(0, List.of(1, 2), List.of(), DimExpr.ONE, "w")),
            List.of(
                new Plan.Call(1, List.of(0, 2, 3), List.of(n, k), n, "scale"),
                new Plan.Call(2, List.of(3, 4), List.of(n.times(k)), n.times(k), "shift")));
    return new Program(
        plan, kernels(), List.of(Constant.of(weights())), target, Map.of("kernels", "3"));
  }

  /** y[i] = x[i] - steps / 2, in as many steps. */
  static Program chain(int steps, Target target) {
    DimExpr n = DimExpr.symbol("N");
    List<Plan.Buffer> buffers =
        List.of(
            new Plan.Buffer("x", DType.F32, n, Plan.Storage.INPUT, 0),
            new Plan.Buffer("y", DType.F32, n, Plan.Storage.OUTPUT, 0),
            new Plan.Buffer("s", DType.F32, n, Plan.Storage.ARENA, 0),
            new Plan.Buffer("t", DType.F32, n, Plan.Storage.ARENA, 1));
    List<Plan.Call> calls = new ArrayList<>();
    for (int i = 0; i < steps; i++) {
      int from = i == 0 ? 0 : 2 + (i - 1) % 2;
      int to = i == steps - 1 ? 1 : 2 + i % 2;
      calls.add(new Plan.Call(2, List.of(from, to), List.of(n), n, "shift" + i));
    }
    Plan plan =
        new Plan(
            "chain",
            List.of("N"),
            List.of(new Executable.Port("x", DType.F32, List.of(n))),
            List.of(new Executable.Port("y", DType.F32, List.of(n))),
            buffers,
            List.of("pack", "scale", "shift"),
            List.of(),
            calls);
    return new Program(plan, kernels(), List.of(), target, Map.of());
  }

  static Tensor weights() {
    float[] w = new float[K];
    for (int i = 0; i < K; i++) {
      w[i] = i * 0.25f - 3;
    }
    return Tensor.of(w, K);
  }

  static Tensor input(int n) {
    float[] x = new float[n * K];
    for (int i = 0; i < x.length; i++) {
      x[i] = (i * 7919 % 1000) * 0.01f;
    }
    return Tensor.of(x, n, K);
  }

  static float[] expected(int n) {
    float[] y = new float[n * K];
    float[] x = input(n).floats();
    float[] w = weights().floats();
    for (int i = 0; i < y.length; i++) {
      y[i] = x[i] * (w[i % K] * 2) + 1 - 0.5f;
    }
    return y;
  }
}
