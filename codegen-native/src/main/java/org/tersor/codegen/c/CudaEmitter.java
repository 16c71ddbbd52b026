package org.tersor.codegen.c;

import java.util.Map;
import java.util.Optional;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.ir.loop.Stmt;
import org.tersor.ir.loop.Type;

/**
 * Loop IR to a CUDA kernel: parallel loops are blocks, lanes are threads. Everything that differs
 * between a device and the emulation is a macro or function of {@code tersor_device.h}. A function
 * without lanes is launched with one thread a block.
 */
final class CudaEmitter extends CEmitter {
  /** Shared memory that every device has without asking. */
  private static final long SHARED_BYTES = 48 * 1024;

  private boolean lanes;
  private Map<String, Integer> own = Map.of();
  private boolean insideLanes;

  CudaEmitter(CUnit unit) {
    super(unit);
    scratch = "TSR_SCRATCH(tsr_scratch)";
  }

  /**
   * Threads of a block: the largest constant extent of its loops over lanes, 256 if none is
   * constant, 1 without such loops.
   */
  static int threads(LoopFunction function) {
    return threads(function.body());
  }

  private static int threads(Stmt s) {
    return switch (s) {
      case Stmt.Block b -> b.body().stream().mapToInt(CudaEmitter::threads).max().orElse(1);
      case Stmt.For f -> {
        if (f.kind() != Stmt.LoopKind.LANES) {
          yield threads(f.body());
        }
        Optional<Long> begin = constant(f.begin());
        Optional<Long> end = constant(f.end());
        long extent =
            begin.isPresent() && end.isPresent()
                ? (end.get() - begin.get() + f.step() - 1) / f.step()
                : 256;
        yield Math.clamp(extent, 2, 1024);
      }
      case Stmt.While w -> threads(w.body());
      case Stmt.If i ->
          Math.max(threads(i.then()), i.otherwise().map(CudaEmitter::threads).orElse(1));
      case Stmt.Let _,
          Stmt.Local _,
          Stmt.Assign _,
          Stmt.Store _,
          Stmt.Alloc _,
          Stmt.Prefetch _,
          Stmt.Barrier _,
          Stmt.Tile _ ->
          1;
    };
  }

  @Override
  protected void begin(LoopFunction function) {
    lanes = threads(function) > 1;
    own = LaneMemory.of(function.body());
  }

  @Override
  protected String restrict() {
    return "TSR_RESTRICT";
  }

  @Override
  protected void barrier() {
    line("TSR_BARRIER();");
  }

  @Override
  protected void prefetch(Stmt.Prefetch p) {}

  @Override
  protected void loop(Stmt.For f) {
    switch (f.kind()) {
      case SERIAL -> super.loop(f);
      case PARALLEL -> {
        scope.push();
        line("TSR_BLOCKS(" + scope.declare(f.var(), Type.INDEX, 0).c() + ") {");
        nested(() -> statement(f.body()));
        if (lanes) {
          // A block that takes another turn writes what its threads may still read.
          line("  TSR_BARRIER();");
        }
        line("}");
        scope.pop();
      }
      case LANES -> {
        String begin = scope.fresh("begin");
        String end = scope.fresh("end");
        line(
            "const int64_t "
                + begin
                + " = "
                + exprs.value(f.begin())
                + ", "
                + end
                + " = "
                + exprs.value(f.end())
                + ";");
        scope.push();
        line(
            "TSR_LANES("
                + scope.declare(f.var(), Type.INDEX, 0).c()
                + ", "
                + begin
                + ", "
                + end
                + ", "
                + f.step()
                + ") {");
        insideLanes = true;
        nested(() -> statement(f.body()));
        insideLanes = false;
        line("}");
        scope.pop();
      }
    }
  }

  /**
   * Outside lanes a statement belongs to the block: one thread writes what the threads share,
   * before and after the others look.
   */
  @Override
  protected void store(Stmt.Store s) {
    boolean single = lanes && !insideLanes && scope.memory(s.buffer()).shared();
    if (single) {
      line("TSR_BARRIER();");
      line("TSR_SINGLE {");
    }
    super.store(s);
    if (single) {
      line("}");
      line("TSR_BARRIER();");
    }
  }

  @Override
  protected String scalarStore(Type t, String address, String value) {
    String type = unit.type(t);
    String name = "tsr_write_" + CUnit.carrier(t.scalar()).text();
    unit.helper(
        name,
        () -> "TSR_FN void " + name + "(void *p, " + type + " v) { TSR_COPY(p, &v, sizeof v); }");
    return name + "(" + address + ", " + value + ")";
  }

  @Override
  protected int each(Stmt.Alloc a) {
    return own.getOrDefault(a.buffer(), 0);
  }

  @Override
  protected void memory(Stmt.Alloc a, String id) {
    String type = CUnit.scalar(a.element().scalar());
    Optional<Long> count = constant(a.count());
    if (each(a) > 0) {
      line("TSR_PRIVATE(" + type + ", " + id + ", " + each(a) + ", " + count.orElseThrow() + ");");
    } else if (a.space() == Stmt.Space.SHARED) {
      if (count.filter(n -> n <= SHARED_BYTES / a.element().bytes()).isEmpty()) {
        throw Faults.unsupported(
            "a shared buffer of variable size or over " + SHARED_BYTES + " bytes in CUDA code",
            "the schedule must tile it");
      }
      line("TSR_SHARED " + type + " " + id + "[" + Math.max(1, count.get()) + "];");
    } else if (onStack(a)) {
      line(type + " " + id + "[" + Math.max(1, count.orElseThrow()) + "];");
    } else {
      super.memory(a, id);
    }
  }
}
