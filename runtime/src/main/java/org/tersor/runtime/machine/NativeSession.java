package org.tersor.runtime.machine;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.tersor.runtime.Cancellation;
import org.tersor.runtime.Plan;
import org.tersor.runtime.StepClock;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.ThreadChoice;

/** Memory of one call at a time; it grows with the dimensions, and shrinks where much is spare. */
final class NativeSession {
  /** Parts of a step between which a call that may be cancelled looks. */
  private static final int PARTS = 16;

  private final NativeCode code;
  private final Plan plan;
  private final int threads;
  private final Arena arena = Arena.ofAuto();
  private long[] dims;
  private final MemorySegment call;
  private final MemorySegment sizes;
  private final MemorySegment offsets;
  private final MemorySegment extents;

  /** For each thread and then for all of them a row: a number for each step. */
  private final MemorySegment counters;

  private final long row;

  /** Number of the step that found an index out of range, from 1, and what it found. */
  private final MemorySegment fault;

  private final PortMemory ports;
  private final ThreadChoice choice = new ThreadChoice();
  private MemorySegment values = MemorySegment.NULL;
  private MemorySegment scratches = MemorySegment.NULL;

  NativeSession(NativeCode code, long[] dims, boolean loading) {
    this.code = code;
    this.plan = code.plan();
    this.threads = code.pool().threads();
    int count = plan.loadSteps().size() + plan.runSteps().size();
    this.sizes = arena.allocate(JAVA_LONG, Math.max(1, dims.length));
    this.offsets = arena.allocate(JAVA_LONG, Math.max(1, plan.arenaSlots()));
    this.extents = arena.allocate(JAVA_LONG, Math.max(1, count));
    this.row = Math.ceilDiv(count, 8) * 8L;
    this.counters = arena.allocate(Math.max(1, row * (threads + 1L)) * 8, 64);
    this.ports = new PortMemory(arena, plan.inputs().size(), plan.outputs().size());
    // The last field but one, a flag for cancelling, stays null.
    this.call = arena.allocate(88, 64);
    this.fault = arena.allocate(16, 16);
    set(0, ports.inputs());
    set(1, ports.outputs());
    set(2, code.constants());
    set(3, code.packed());
    set(5, offsets);
    set(8, sizes);
    set(10, fault);
    this.dims = dims;
    bind(dims, loading);
  }

  /** Sizes and places for values of the dimensions that the plan's checks allow. */
  void bind(long[] wanted, boolean loading) {
    dims = wanted;
    for (int i = 0; i < dims.length; i++) {
      sizes.setAtIndex(JAVA_LONG, i, dims[i]);
    }
    try {
      long bytes = (long) code.layout().invokeExact(sizes, offsets);
      // Steps of the load know no dimensions and use no arena.
      if (bytes < 0 && !loading) {
        throw new TersorException(
            "TSR-0705",
            "the buffers of the model are too large at dimensions "
                + plan.dims()
                + " = "
                + Arrays.toString(dims));
      }
      code.tasks().invokeExact(sizes, extents);
      long each = (long) code.scratch().invokeExact(sizes);
      if (!loading) {
        Cancellation.allocate("the arena of model " + plan.name(), 0, bytes);
      }
      values = PortMemory.room(values, loading ? 0 : bytes);
      scratches = PortMemory.room(scratches, Math.multiplyExact(each, (long) threads));
      set(4, values);
      set(6, scratches);
      call.set(JAVA_LONG, 56, each);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private void set(int field, MemorySegment value) {
    call.set(ADDRESS, field * 8L, value);
  }

  /** A diagnostic if a step found an index out of range. */
  void look(Map<String, Long> dims) {
    long step = fault.getAtIndex(JAVA_LONG, 0);
    if (step != 0) {
      fault.setAtIndex(JAVA_LONG, 0, 0);
      Plan.Call call = plan.runSteps().get((int) step - 1 - plan.loadSteps().size());
      call.demand().orElseThrow().require(fault.getAtIndex(JAVA_LONG, 1), dims, call.origin());
    }
  }

  /** Whether these are the sizes that it has places for. */
  boolean fits(long[] wanted) {
    return Arrays.equals(dims, wanted);
  }

  /** Where inputs and outputs are. */
  PortMemory ports() {
    return ports;
  }

  /** Runs on the caller's arrays. */
  void runInPlace(int from, int to, List<Tensor> given, List<Tensor> results) {
    MemorySegment[] arrays = new MemorySegment[given.size() + results.size()];
    for (int i = 0; i < given.size(); i++) {
      arrays[i] = HeapSegments.of(given.get(i));
    }
    for (int i = 0; i < results.size(); i++) {
      arrays[given.size() + i] = HeapSegments.of(results.get(i));
    }
    try {
      code.direct().invokeExact(call, from, to, arrays);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    } finally {
      // Nothing may follow an address of a Java array after the call.
      ports.restore();
      Reference.reachabilityFence(code);
    }
  }

  /** Whether the next call takes the threads, for {@link #runAll}. */
  boolean takesThreads() {
    return threads > 1 && (StepClock.isRunning() || choice.next(dims));
  }

  /** The time of a call after {@link #takesThreads}, if it had what that said. */
  void took(boolean together, boolean wanted, long nanos) {
    if (threads > 1 && together == wanted && !StepClock.isRunning()) {
      choice.took(together, nanos);
    }
  }

  /**
   * All steps of a call.
   *
   * @return whether it had the threads: another call may have them
   */
  boolean runAll(Map<String, Long> bound, boolean together) {
    int from = plan.loadSteps().size();
    int to = from + plan.runSteps().size();
    boolean taken = together && code.pool().take();
    try {
      if (Cancellation.isBound() || StepClock.isRunning()) {
        Cancellation cancellation = Cancellation.current();
        for (int step = from; step < to; step++) {
          Plan.Call call = plan.runSteps().get(step - from);
          int at = step;
          StepClock.time(plan, call, bound, () -> run(at, call.origin(), cancellation, taken));
          look(bound);
        }
      } else {
        run(from, to, taken);
        look(bound);
      }
    } finally {
      if (taken) {
        code.pool().release();
      }
    }
    return taken;
  }

  /** Steps of the load. */
  void load() {
    boolean taken = code.pool().take();
    try {
      run(0, plan.loadSteps().size(), taken);
    } finally {
      if (taken) {
        code.pool().release();
      }
    }
  }

  private void run(int from, int to, boolean taken) {
    try {
      if (taken) {
        work(0, from, to);
      } else {
        code.steps().invokeExact(call, from, to);
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    } finally {
      Reference.reachabilityFence(code);
    }
  }

  /** One step, in parts with a look at the cancellation before each. */
  private void run(int step, String origin, Cancellation cancellation, boolean taken) {
    long tasks = extents.getAtIndex(JAVA_LONG, step);
    long part = Math.max(1, Math.ceilDiv(tasks, PARTS * threads));
    try {
      for (long at = 0; at < Math.max(1, tasks); at += part) {
        cancellation.check(origin);
        long end = Math.min(tasks, at + part);
        if (taken) {
          extents.setAtIndex(JAVA_LONG, step, end);
          work(at, step, step + 1);
        } else {
          code.oneStep().invokeExact(call, step, at, end, 0);
        }
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    } finally {
      extents.setAtIndex(JAVA_LONG, step, tasks);
      Reference.reachabilityFence(code);
    }
  }

  /** Tasks from {@code base} on of each step, on all threads. */
  private void work(long base, int from, int to) {
    counters.fill((byte) 0);
    code.pool()
        .run(
            threads,
            true,
            (first, end) -> {
              for (int worker = first; worker < end; worker++) {
                work(base, from, to, worker);
              }
            });
  }

  private void work(long base, int from, int to, int worker) {
    try {
      if (code.work().isPresent()) {
        MethodHandle work = code.work().get();
        work.invokeExact(call, counters, row, extents, base, from, to, worker, threads);
      } else {
        new SharedSteps(code.oneStep(), call, counters, row, extents, fault)
            .work(base, from, to, worker, threads);
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
