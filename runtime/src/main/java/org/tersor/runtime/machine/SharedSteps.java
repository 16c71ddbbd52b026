package org.tersor.runtime.machine;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.util.concurrent.locks.LockSupport;

/**
 * What several threads do with the steps of a call, for code that has no {@code P_work}: the same
 * as that, see {@link NativeExecutable}.
 *
 * @param step {@code P_step}
 * @param counters a row of numbers for each worker (how much of its share of a step's tasks is
 *     claimed) and one for all (how much is done)
 * @param row numbers in a row
 * @param tasks of each step
 * @param fault not 0 if a step found an index out of range
 */
record SharedSteps(
    MethodHandle step,
    MemorySegment call,
    MemorySegment counters,
    long row,
    MemorySegment tasks,
    MemorySegment fault) {
  private static final VarHandle LONG = JAVA_LONG.varHandle();
  private static final int SPINS = 2000;
  private static final long PAUSE_NANOS = 10_000;

  /** Tasks of the steps from number {@code base} on, as one of the workers. */
  void work(long base, int from, int to, int worker, int workers) throws Throwable {
    for (int at = from; at < to; at++) {
      long count = tasks.getAtIndex(JAVA_LONG, at) - base;
      long each = Math.ceilDiv(count, workers);
      long mine = 0;
      for (int k = 0; k < workers; k++) {
        int owner = (worker + k) % workers;
        long begin = owner * each;
        mine += claim(at, owner, base + begin, Math.min(count - begin, each), worker);
      }
      long done = place(workers, at);
      if (mine > 0) {
        LONG.getAndAddRelease(counters, done, mine);
      }
      for (int spins = 0; (long) LONG.getAcquire(counters, done) < count; spins++) {
        if (spins < SPINS) {
          Thread.onSpinWait();
        } else {
          LockSupport.parkNanos(PAUSE_NANOS);
        }
      }
      if ((long) LONG.getOpaque(fault, 0L) != 0) {
        return;
      }
    }
  }

  /** Does what is left of a share, a quarter at a time; how much that was. */
  private long claim(int at, int owner, long begin, long size, int worker) throws Throwable {
    if (size <= 0) {
      return 0;
    }
    long chunk = Math.max(1, size / 4);
    long next = place(owner, at);
    long done = 0;
    while ((long) LONG.getOpaque(counters, next) < size) {
      long first = (long) LONG.getAndAdd(counters, next, chunk);
      if (first >= size) {
        break;
      }
      long end = Math.min(size, first + chunk);
      step.invokeExact(call, at, begin + first, begin + end, worker);
      done += end - first;
    }
    return done;
  }

  private long place(int ofRow, int at) {
    return 8 * (ofRow * row + at);
  }
}
