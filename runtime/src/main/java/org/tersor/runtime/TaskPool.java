package org.tersor.runtime;

import java.lang.ref.Cleaner;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Runs the tasks of a kernel on the calling thread and on workers. Chunks of tasks are claimed one
 * by one, so a slow thread takes fewer. Workers are daemons, spin for a moment after their last
 * task and then sleep; they end when the pool is no longer reachable. One call at a time has the
 * workers; others run their tasks themselves, so no call ever waits for another.
 */
public final class TaskPool {
  /**
   * A sleeping worker costs a wake-up of some microseconds; between two kernels it need not fall
   * asleep.
   */
  private static final long SPIN_NANOS = 50_000;

  /** Chunks per thread: few enough to be cheap, enough to even out unequal threads. */
  private static final int CHUNKS = 4;

  private static final Cleaner CLEANER = Cleaner.create();

  private final Shared shared = new Shared();
  private final AtomicBoolean taken = new AtomicBoolean();
  private final int threads;
  private Thread[] workers = new Thread[0];

  /** Tasks {@code from} (inclusive) to {@code to} (exclusive). */
  public interface Tasks {
    void run(int from, int to);
  }

  /** What workers see: no reference to the pool, so that it can be collected. */
  private static final class Shared {
    volatile Job job = new Job((from, to) -> {}, 0, 1);
    volatile boolean stopped;
  }

  private static final class Job {
    final Tasks tasks;
    final int count;
    final int chunk;
    final AtomicInteger next = new AtomicInteger();
    final AtomicInteger done = new AtomicInteger();
    final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    final Thread caller = Thread.currentThread();
    volatile boolean callerWaits;

    Job(Tasks tasks, int count, int chunk) {
      this.tasks = tasks;
      this.count = count;
      this.chunk = chunk;
    }

    /** Claims and runs chunks until there are none. */
    void help() {
      int from = next.get();
      while (from < count) {
        int to = (int) Math.min((long) from + chunk, count);
        if (next.compareAndSet(from, to)) {
          try {
            tasks.run(from, to);
          } catch (Throwable e) {
            failure.compareAndSet(null, e);
          }
          if (done.addAndGet(to - from) == count && callerWaits) {
            LockSupport.unpark(caller);
          }
        }
        from = next.get();
      }
    }

    void await() {
      long start = System.nanoTime();
      while (done.get() < count) {
        if (System.nanoTime() - start < SPIN_NANOS) {
          Thread.onSpinWait();
        } else {
          callerWaits = true;
          if (done.get() < count) {
            LockSupport.parkNanos(this, 1_000_000);
          }
        }
      }
    }
  }

  private static final class Worker implements Runnable {
    private final Shared shared;
    volatile boolean asleep;

    Worker(Shared shared) {
      this.shared = shared;
    }

    @Override
    public void run() {
      Job last = shared.job;
      last.help();
      while (!shared.stopped) {
        Job job = awaitNew(last);
        job.help();
        last = job;
      }
    }

    private Job awaitNew(Job last) {
      long start = System.nanoTime();
      while (shared.job == last && !shared.stopped) {
        if (System.nanoTime() - start < SPIN_NANOS) {
          Thread.onSpinWait();
        } else {
          asleep = true;
          if (shared.job == last && !shared.stopped) {
            LockSupport.park(this);
          }
          asleep = false;
        }
      }
      return shared.job;
    }
  }

  private Worker[] states = new Worker[0];

  /**
   * @param threads the caller and the workers together, at least 1
   */
  public TaskPool(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("threads: " + threads);
    }
    this.threads = threads;
  }

  public int threads() {
    return threads;
  }

  /** Takes the workers for this call; false if another call has them (or there are none). */
  public boolean take() {
    if (threads == 1 || !taken.compareAndSet(false, true)) {
      return false;
    }
    if (workers.length == 0) {
      start();
    }
    return true;
  }

  /** Gives the workers back after {@link #take}. */
  public void release() {
    // Workers must not keep the arrays of the last call alive.
    shared.job = new Job((from, to) -> {}, 0, 1);
    taken.set(false);
  }

  private void start() {
    Worker[] newStates = new Worker[threads - 1];
    Thread[] newWorkers = new Thread[threads - 1];
    for (int i = 0; i < newWorkers.length; i++) {
      newStates[i] = new Worker(shared);
      newWorkers[i] = Thread.ofPlatform().daemon().name("tersor-" + (i + 1)).start(newStates[i]);
    }
    states = newStates;
    workers = newWorkers;
    Shared state = shared;
    CLEANER.register(
        this,
        () -> {
          state.stopped = true;
          for (Thread worker : newWorkers) {
            LockSupport.unpark(worker);
          }
        });
  }

  /**
   * Runs tasks 0 to {@code count}; returns when all are done. A task's exception is thrown here.
   *
   * @param shareOut whether this call has taken the workers
   */
  public void run(int count, boolean shareOut, Tasks tasks) {
    if (count <= 1 || !shareOut) {
      if (count > 0) {
        tasks.run(0, count);
      }
      return;
    }
    Job job = new Job(tasks, count, Math.max(1, count / (threads * CHUNKS)));
    shared.job = job;
    for (int i = 0; i < states.length; i++) {
      if (states[i].asleep) {
        LockSupport.unpark(workers[i]);
      }
    }
    job.help();
    job.await();
    Throwable failure = job.failure.get();
    if (failure instanceof RuntimeException e) {
      throw e;
    }
    if (failure instanceof Error e) {
      throw e;
    }
  }
}
