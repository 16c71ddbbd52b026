package org.tersor.conformance;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.tersor.ir.loop.BinaryOp;
import org.tersor.ir.loop.Expr;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.LoopWork;
import org.tersor.ir.loop.Scalar;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;
import org.tersor.ir.schedule.Target;
import org.tersor.ir.spi.Backend;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Plan;
import org.tersor.runtime.Tensor;

/**
 * What a target's arithmetic reaches here at most, measured: independent multiply-adds on
 * registers, compiled by the backend as kernels are.
 *
 * @param floats operations on F32 a second; empty for a target without vectors, whose plain loops
 *     the backend's own compiler may turn into vectors or not
 * @param byteProducts operations of {@link Expr.Dot4} a second, if the target sums bytes
 */
public record PeakRate(OptionalDouble floats, OptionalDouble byteProducts) {
  /** Nothing is known. */
  public static final PeakRate UNKNOWN =
      new PeakRate(OptionalDouble.empty(), OptionalDouble.empty());

  private static final long TURNS = 1 << 14;

  /**
   * For so long, and so many runs, none was clearly faster than those before. Bytecode is
   * interpreted first, which takes a second a run, so a fixed time would measure the interpreter on
   * a busy machine.
   */
  private static final long STEADY_NANOS = 800_000_000L;

  private static final int STEADY_RUNS = 50;

  private static final long MOST_NANOS = 20_000_000_000L;
  private static final double CLEARLY = .98;

  /** Measures on as many threads as the options say. */
  public static PeakRate measure(Backend.OfProgram backend, Target target, int threads) {
    if (target.vectorBytes() == 0 || target.kind() == Target.Kind.CUDA) {
      return UNKNOWN;
    }
    return new PeakRate(
        OptionalDouble.of(rate(backend, target, threads, Scalar.F32)),
        target.sumsBytes()
            ? OptionalDouble.of(rate(backend, target, threads, Scalar.I32))
            : OptionalDouble.empty());
  }

  /**
   * The fraction of the peak that some work reaches; empty if the peak is not known.
   *
   * @param seconds that the work takes
   */
  public OptionalDouble fraction(LoopWork work, double seconds) {
    if ((work.floats() > 0 && floats.isEmpty())
        || (work.byteProducts() > 0 && byteProducts.isEmpty())) {
      return OptionalDouble.empty();
    }
    double least =
        work.floats() / floats.orElse(Double.POSITIVE_INFINITY)
            + work.byteProducts() / byteProducts.orElse(Double.POSITIVE_INFINITY);
    return OptionalDouble.of(least / seconds);
  }

  private static double rate(Backend.OfProgram backend, Target target, int threads, Scalar type) {
    LoopFunction function = function(target, threads, type);
    DimExpr operands = DimExpr.of(2 + sums(target));
    DimExpr elements = DimExpr.of((long) threads * sums(target) * target.lanes(4));
    DType dtype = type.dtype();
    Plan plan =
        new Plan(
            "peak",
            List.of(),
            List.of(new Executable.Port("x", dtype, List.of(operands))),
            List.of(new Executable.Port("y", dtype, List.of(elements))),
            List.of(
                new Plan.Buffer("x", dtype, operands, Plan.Storage.INPUT, 0),
                new Plan.Buffer("y", dtype, elements, Plan.Storage.OUTPUT, 0)),
            List.of(function.name()),
            List.of(),
            List.of(
                new Plan.Call(0, List.of(0, 1), List.of(), DimExpr.of(threads), function.name())));
    Executable executable =
        backend.load(
            new Program(plan, List.of(function), List.of(), target, Map.of()),
            Backend.Options.threads(threads));
    Map<String, Tensor> inputs = Map.of("x", Tensor.zeros(dtype, operands.constValue()));
    Map<String, Tensor> outputs = executable.run(inputs);
    long best = Long.MAX_VALUE;
    long begin = System.nanoTime();
    long improved = begin;
    int same = 0;
    for (long now = begin;
        (now - improved < STEADY_NANOS || same < STEADY_RUNS) && now - begin < MOST_NANOS; ) {
      executable.run(inputs, outputs);
      long end = System.nanoTime();
      same++;
      if (end - now < CLEARLY * best) {
        improved = end;
        same = 0;
      }
      best = Math.min(best, end - now);
      now = end;
    }
    return LoopWork.of(function, List.of()).operations() / (best / 1e9);
  }

  /** Enough sums in flight for two units of a latency of four or five cycles, within registers. */
  private static int sums(Target target) {
    return target.registers() >= 32 ? 24 : 10;
  }

  private static LoopFunction function(Target target, int threads, Scalar scalar) {
    Type vector = new Type(scalar, target.lanes(4));
    int sums = sums(target);
    List<Stmt> task = new ArrayList<>();
    for (int i = 0; i < 2 + sums; i++) {
      task.add(
          new Stmt.Let("x" + i, new Expr.Broadcast(load(vector.withLanes(1), i), vector.lanes())));
    }
    List<Stmt> turn = new ArrayList<>();
    for (int i = 0; i < sums; i++) {
      Expr.Var sum = new Expr.Var(vector, "s" + i);
      // A start of its own, else a compiler finds that all sums are the same.
      task.add(new Stmt.Local(sum.name(), new Expr.Var(vector, "x" + (2 + i))));
      Expr a = new Expr.Var(vector, "x0");
      Expr b = new Expr.Var(vector, "x1");
      Expr next = scalar == Scalar.F32 ? new Expr.Fma(a, b, sum) : new Expr.Dot4(sum, a, b);
      turn.add(new Stmt.Assign(sum.name(), next));
    }
    task.add(
        new Stmt.For(Stmt.LoopKind.SERIAL, "k", index(0), index(TURNS), 1, new Stmt.Block(turn)));
    Expr row =
        new Expr.Binary(
            BinaryOp.MUL, new Expr.Var(Type.INDEX, "task"), index((long) sums * vector.lanes()));
    for (int i = 0; i < sums; i++) {
      Expr at = new Expr.Binary(BinaryOp.ADD, row, index((long) i * vector.lanes()));
      task.add(new Stmt.Store("y", at, new Expr.Var(vector, "s" + i), Optional.empty()));
    }
    return new LoopFunction(
        "peak",
        List.of(
            new LoopFunction.BufferParam("x", scalar, false),
            new LoopFunction.BufferParam("y", scalar, true)),
        List.of(),
        new Stmt.For(
            Stmt.LoopKind.PARALLEL, "task", index(0), index(threads), 1, new Stmt.Block(task)));
  }

  private static Expr load(Type type, long at) {
    return new Expr.Load(type, "x", index(at), Optional.empty());
  }

  private static Expr index(long value) {
    return new Expr.IntConst(Type.INDEX, value);
  }
}
