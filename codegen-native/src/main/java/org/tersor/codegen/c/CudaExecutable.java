package org.tersor.codegen.c;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.function.Supplier;
import org.tersor.codegen.c.CudaDriver.Function;
import org.tersor.ir.spi.Program;
import org.tersor.runtime.Arguments;
import org.tersor.runtime.Executable;
import org.tersor.runtime.Plan;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.machine.HeapSegments;

/**
 * A program on a GPU. Weights are copied and packed once; a call takes device memory and a stream
 * from a pool, and puts copies and launches into that stream in the order of the plan.
 */
final class CudaExecutable implements Executable {
  /** Sessions kept for later calls. */
  private static final int MOST_SESSIONS = 4;

  private final Plan plan;
  private final CudaContext context;
  private final CudaDriver driver;
  private final CudaKernels kernels;
  private final CudaLayout weights;
  private final CudaContext.Handle weightMemory;
  private final String description;
  private final ConcurrentLinkedDeque<Session> pool = new ConcurrentLinkedDeque<>();

  CudaExecutable(Program program, CudaContext context, List<byte[]> images, String description) {
    this.plan = program.plan();
    this.context = context;
    this.driver = context.driver();
    this.kernels = context.in(() -> new CudaKernels(context, program.kernels(), images));
    boolean[] kept = constants(plan.runSteps(), program.constants().size());
    boolean[] needed = constants(plan.loadSteps(), kept.length);
    boolean[] loading = new boolean[kept.length];
    for (int i = 0; i < kept.length; i++) {
      loading[i] = needed[i] && !kept[i];
    }
    this.weights = CudaLayout.weights(plan, kept);
    this.weightMemory =
        context.in(() -> context.allocate(weights.bytes(), "the weights of " + plan.name()));
    this.description =
        description
            + "kernels in "
            + kernels.modules()
            + " modules\ndevice memory of weights: "
            + weights.bytes()
            + " bytes\n";
    CudaLayout temporary = CudaLayout.constants(plan, loading);
    context.in(() -> {
      load(program, kept, temporary, loading);
      return true;
    });
  }

  private boolean[] constants(List<Plan.Call> calls, int count) {
    boolean[] used = new boolean[count];
    for (Plan.Call call : calls) {
      for (int b : call.buffers()) {
        if (plan.buffers().get(b).storage() == Plan.Storage.CONSTANT) {
          used[plan.buffers().get(b).index()] = true;
        }
      }
    }
    return used;
  }

  /** Copies constants, runs the load steps, and frees the constants that only those need. */
  private void load(Program program, boolean[] kept, CudaLayout temporary, boolean[] loading) {
    CudaContext.Handle stream = context.stream();
    CudaContext.Handle early =
        context.allocate(temporary.bytes(), "loading the weights of " + plan.name());
    CudaLaunches launches = new CudaLaunches(plan, kernels, plan.loadSteps(), Map.of());
    CudaContext.Handle scratch =
        context.allocate(launches.scratchBytes(), "scratch while loading " + plan.name());
    // Not confined: if waiting fails, the device may still read from it.
    Arena arena = Arena.ofAuto();
    waitAfter(
        stream,
        arena,
        () -> {
          for (int b = 0; b < plan.buffers().size(); b++) {
            Plan.Buffer buffer = plan.buffers().get(b);
            if (buffer.storage() == Plan.Storage.CONSTANT
                && (kept[buffer.index()] || loading[buffer.index()])) {
              MemorySegment source =
                  NativeMemory.constant(program.constants().get(buffer.index()), arena);
              long bytes = kept[buffer.index()] ? weights.sizes().get(b) : temporary.sizes().get(b);
              copyIn(weight(b, early, temporary, loading), source, bytes, stream, "a weight");
            }
          }
          header(launches, scratch, arena, stream);
          launches.bind(b -> weight(b, early, temporary, loading), scratch.address(), arena);
          launches.enqueue(driver, stream);
          return true;
        });
    scratch.free();
    early.free();
    stream.free();
  }

  private long weight(int b, CudaContext.Handle early, CudaLayout temporary, boolean[] loading) {
    Plan.Buffer buffer = plan.buffers().get(b);
    return buffer.storage() == Plan.Storage.CONSTANT && loading[buffer.index()]
        ? early.address() + temporary.offsets().get(b)
        : weightMemory.address() + weights.offsets().get(b);
  }

  /** Tells the threads of a stream's launches how much scratch each has. */
  private void header(
      CudaLaunches launches, CudaContext.Handle scratch, Arena arena, CudaContext.Handle stream) {
    if (launches.scratchBytes() > 0) {
      MemorySegment bytes = arena.allocateFrom(JAVA_LONG, launches.scratchPerThread());
      copyIn(scratch.address(), bytes, 8, stream, "the size of scratch");
    }
  }

  private void copyIn(
      long to, MemorySegment from, long bytes, CudaContext.Handle stream, String what) {
    if (bytes > from.byteSize()) {
      throw new TersorException(
          "TSR-0707", what + " has " + from.byteSize() + " bytes, its buffer " + bytes);
    }
    if (bytes > 0) {
      driver.call(
          Function.COPY_TO_DEVICE,
          "copy " + what + " to the device",
          to,
          from,
          bytes,
          stream.pointer());
    }
  }

  /**
   * Runs {@code body}, which fills the stream, and waits for the device, also if the body fails:
   * nothing may be freed before.
   *
   * @param memory what copies read and write
   */
  private void waitAfter(CudaContext.Handle stream, Arena memory, Supplier<Boolean> body) {
    boolean filled = false;
    try {
      filled = body.get();
      driver.call(Function.STREAM_SYNCHRONIZE, "run the model " + plan.name(), stream.pointer());
    } finally {
      if (!filled) {
        driver.quietly(Function.STREAM_SYNCHRONIZE, stream.pointer());
      }
      Reference.reachabilityFence(memory);
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public List<Port> inputs() {
    return plan.inputs();
  }

  @Override
  public List<Port> outputs() {
    return plan.outputs();
  }

  @Override
  public String describe() {
    return description;
  }

  @Override
  public Map<String, Tensor> run(Map<String, Tensor> given, Map<String, Tensor> targets) {
    return run(given, targets, Map.of());
  }

  @Override
  public Map<String, Tensor> run(
      Map<String, Tensor> given, Map<String, Tensor> targets, Map<String, Long> symbols) {
    List<Tensor> inputs = Arguments.named(plan.inputs(), given);
    Map<String, Long> dims = Arguments.bind(plan.inputs(), inputs, symbols);
    dims.keySet().retainAll(plan.dims());
    plan.check(dims);
    List<Tensor> results = Arguments.outputs(plan.outputs(), targets, dims);
    return context.in(() -> {
      Session session = session(dims);
      // A session that failed is not used again.
      session.run(inputs, results);
      if (pool.size() < MOST_SESSIONS) {
        pool.offerFirst(session);
      } else {
        session.free();
      }
      return Arguments.byName(plan.outputs(), results);
    });
  }

  private Session session(Map<String, Long> dims) {
    Session pooled = pool.pollFirst();
    if (pooled != null && pooled.dims.equals(dims)) {
      return pooled;
    }
    if (pooled != null) {
      pooled.free();
    }
    try {
      return new Session(dims);
    } catch (CudaFault e) {
      if (!e.outOfMemory() || pool.isEmpty()) {
        throw e;
      }
    }
    // Memory that waits for later calls is wanted now.
    for (Session idle = pool.pollFirst(); idle != null; idle = pool.pollFirst()) {
      idle.free();
    }
    return new Session(dims);
  }

  /** Memory of one call at a time, for one value of the dimensions. */
  private final class Session {
    private final Map<String, Long> dims;
    private final Arena arena = Arena.ofAuto();
    private final CudaLayout layout;
    private final CudaContext.Handle memory;
    private final CudaContext.Handle scratch;
    private final CudaContext.Handle stream;
    private final CudaLaunches launches;
    private final List<MemorySegment> in = new ArrayList<>();
    private final List<MemorySegment> out = new ArrayList<>();
    private final List<Plan.Call> demanding =
        plan.runSteps().stream().filter(call -> call.demand().isPresent()).toList();
    private final MemorySegment found = arena.allocate(JAVA_LONG, Math.max(1, demanding.size()));

    Session(Map<String, Long> dims) {
      this.dims = dims;
      this.layout = CudaLayout.call(plan, dims);
      try {
        this.launches = new CudaLaunches(plan, kernels, plan.runSteps(), dims);
      } catch (ArithmeticException e) {
        throw new TersorException(
            "TSR-0705", "a kernel has no size at dimensions " + dims + ": " + e.getMessage(), e);
      }
      this.memory = context.allocate(layout.bytes(), "a call of " + plan.name() + " at " + dims);
      this.scratch =
          context.allocate(launches.scratchBytes(), "scratch of " + plan.name() + " at " + dims);
      this.stream = context.stream();
      launches.bind(this::address, scratch.address(), arena);
      waitAfter(
          stream,
          arena,
          () -> {
            header(launches, scratch, arena, stream);
            return true;
          });
    }

    private long address(int b) {
      return switch (plan.buffers().get(b).storage()) {
        case CONSTANT, PACKED -> weightMemory.address() + weights.offsets().get(b);
        case INPUT, OUTPUT, ARENA -> memory.address() + layout.offsets().get(b);
      };
    }

    private MemorySegment staged(List<MemorySegment> staging, int number, Tensor tensor) {
      long bytes = HeapSegments.of(tensor).byteSize();
      if (staging.size() == number) {
        staging.add(arena.allocate(Math.max(64, bytes), 64).asSlice(0, bytes));
      }
      return staging.get(number);
    }

    void run(List<Tensor> inputs, List<Tensor> results) {
      for (int i = 0; i < inputs.size(); i++) {
        staged(in, i, inputs.get(i)).copyFrom(HeapSegments.of(inputs.get(i)));
      }
      for (int i = 0; i < results.size(); i++) {
        MemorySegment _ = staged(out, i, results.get(i));
      }
      waitAfter(
          stream,
          arena,
          () -> {
            copies(Plan.Storage.INPUT);
            launches.enqueue(driver, stream);
            copies(Plan.Storage.OUTPUT);
            numbers();
            return true;
          });
      for (int i = 0; i < demanding.size(); i++) {
        Plan.Call call = demanding.get(i);
        call.demand().orElseThrow().require(found.getAtIndex(JAVA_LONG, i), dims, call.origin());
      }
      for (int i = 0; i < results.size(); i++) {
        HeapSegments.of(results.get(i)).copyFrom(out.get(i));
      }
    }

    /**
     * What the demands of the plan are about. Kernels after them have run by then: they limit what
     * they index with to their buffers.
     */
    private void numbers() {
      for (int i = 0; i < demanding.size(); i++) {
        driver.call(
            Function.COPY_TO_HOST,
            "copy a range of indices from the device",
            found.asSlice(8L * i, 8),
            address(demanding.get(i).demand().orElseThrow().buffer()),
            8L,
            stream.pointer());
      }
    }

    private void copies(Plan.Storage storage) {
      for (int b = 0; b < plan.buffers().size(); b++) {
        Plan.Buffer buffer = plan.buffers().get(b);
        if (buffer.storage() != storage) {
          continue;
        }
        if (storage == Plan.Storage.INPUT) {
          String what = "input '" + plan.inputs().get(buffer.index()).name() + "'";
          copyIn(address(b), in.get(buffer.index()), layout.sizes().get(b), stream, what);
        } else {
          MemorySegment target = out.get(buffer.index());
          if (target.byteSize() > 0) {
            driver.call(
                Function.COPY_TO_HOST,
                "copy output '" + plan.outputs().get(buffer.index()).name() + "' from the device",
                target,
                address(b),
                Math.min(target.byteSize(), layout.sizes().get(b)),
                stream.pointer());
          }
        }
      }
    }

    void free() {
      stream.free();
      scratch.free();
      memory.free();
    }
  }
}
