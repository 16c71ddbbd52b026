package org.tersor.codegen.c;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.IntToLongFunction;
import org.tersor.codegen.c.CudaDriver.Function;
import org.tersor.ir.loop.LoopFunction;
import org.tersor.runtime.Plan;

/** Launches of a plan's steps at given dimensions, with their arguments laid out for the driver. */
final class CudaLaunches {
  /** Most bytes of scratch; more blocks than fit there take turns. */
  private static final long SCRATCH_BYTES = 1L << 28;

  /** Most blocks of a launch. */
  private static final long MOST_BLOCKS = Integer.MAX_VALUE;

  private record Launch(String purpose, MemorySegment entry, int blocks, int threads, long tasks) {}

  private final List<Launch> launches = new ArrayList<>();
  private final List<MemorySegment> arguments = new ArrayList<>();
  private long scratchPerThread;
  private long scratchBytes;

  private final CudaKernels kernels;
  private final Map<String, Long> dims;
  private final List<Plan.Call> calls;

  /** Sizes only: {@link #bind} gives the addresses. */
  CudaLaunches(Plan plan, CudaKernels kernels, List<Plan.Call> calls, Map<String, Long> dims) {
    this.kernels = kernels;
    this.dims = dims;
    this.calls = calls.stream().filter(call -> call.tasks().eval(dims) > 0).toList();
    for (Plan.Call call : this.calls) {
      scratchPerThread = Math.max(scratchPerThread, scratch(call));
    }
    for (Plan.Call call : this.calls) {
      long tasks = call.tasks().eval(dims);
      int threads = CudaEmitter.threads(kernels.function(call.kernel()));
      long blocks = Math.min(tasks, MOST_BLOCKS);
      if (scratch(call) > 0) {
        long each = Math.multiplyExact(scratchPerThread, (long) threads);
        blocks = Math.clamp(SCRATCH_BYTES / each, 1, blocks);
        scratchBytes = Math.max(scratchBytes, Math.addExact(64, Math.multiplyExact(blocks, each)));
      }
      launches.add(
          new Launch(
              "run kernel "
                  + plan.kernels().get(call.kernel())
                  + " of "
                  + call.origin()
                  + " with "
                  + blocks
                  + " blocks of "
                  + threads
                  + " threads",
              kernels.entry(call.kernel()),
              (int) blocks,
              threads,
              tasks));
    }
  }

  private long scratch(Plan.Call call) {
    LoopFunction function = kernels.function(call.kernel());
    return ScratchSize.ofThread(function, values(call));
  }

  private long[] values(Plan.Call call) {
    return call.dims().stream().mapToLong(dim -> dim.eval(dims)).toArray();
  }

  /** Bytes of scratch that the launches share: first the bytes of a thread, then the threads'. */
  long scratchBytes() {
    return scratchBytes;
  }

  long scratchPerThread() {
    return scratchPerThread;
  }

  /**
   * Lays out the arguments.
   *
   * @param address of each buffer of the plan
   * @param memory where the arguments live, as long as this
   */
  void bind(IntToLongFunction address, long scratch, Arena memory) {
    for (int i = 0; i < calls.size(); i++) {
      Plan.Call call = calls.get(i);
      List<Long> values = new ArrayList<>();
      call.buffers().forEach(b -> values.add(address.applyAsLong(b)));
      for (long value : values(call)) {
        values.add(value);
      }
      values.add(0L);
      values.add(launches.get(i).tasks());
      values.add(scratch);
      // A null pointer ends the list, which a debugging driver can check.
      MemorySegment pointers = memory.allocate(ADDRESS, values.size() + 1L);
      MemorySegment words = memory.allocate(JAVA_LONG, values.size());
      for (int v = 0; v < values.size(); v++) {
        words.setAtIndex(JAVA_LONG, v, values.get(v));
        pointers.setAtIndex(ADDRESS, v, words.asSlice(8L * v, 8));
      }
      arguments.add(pointers);
    }
  }

  /** Puts all launches into a stream. Inside {@link CudaContext#in}. */
  void enqueue(CudaDriver driver, CudaContext.Handle stream) {
    for (int i = 0; i < launches.size(); i++) {
      Launch launch = launches.get(i);
      driver.call(
          Function.LAUNCH,
          launch.purpose(),
          launch.entry(),
          launch.blocks(),
          1,
          1,
          launch.threads(),
          1,
          1,
          0,
          stream.pointer(),
          arguments.get(i),
          MemorySegment.NULL);
    }
  }
}
