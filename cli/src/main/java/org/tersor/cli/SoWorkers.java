package org.tersor.cli;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.tersor.runtime.TaskPool;

/** What runs a library's tasks on several threads: the parallel_for of its header. */
@SuppressWarnings("restricted") // the library calls back
final class SoWorkers {
  private static final MethodHandle TASK =
      Linker.nativeLinker()
          .downcallHandle(FunctionDescriptor.ofVoid(ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_INT));

  private final TaskPool pool;
  private final ConcurrentLinkedQueue<Integer> numbers = new ConcurrentLinkedQueue<>();
  private final MemorySegment callback;

  SoWorkers(int threads) {
    this.pool = new TaskPool(threads);
    for (int worker = 0; worker < threads; worker++) {
      numbers.add(worker);
    }
    MethodType type =
        MethodType.methodType(
            void.class,
            MemorySegment.class,
            long.class,
            int.class,
            MemorySegment.class,
            MemorySegment.class);
    try {
      MethodHandle run =
          MethodHandles.lookup().findVirtual(SoWorkers.class, "parallelFor", type).bindTo(this);
      FunctionDescriptor signature =
          FunctionDescriptor.ofVoid(ADDRESS, JAVA_LONG, JAVA_INT, ADDRESS, ADDRESS);
      this.callback = Linker.nativeLinker().upcallStub(run, signature, Arena.ofAuto());
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The function that the library calls; it lives as long as this. */
  MemorySegment callback() {
    return callback;
  }

  /** Takes the threads for one call of the library; without them it must run alone. */
  boolean take() {
    return pool.take();
  }

  void release() {
    pool.release();
  }

  /**
   * One task for each worker, see the header. An exception that left it would end the JVM, as the
   * library is below: there is none for so few tasks.
   */
  void parallelFor(
      MemorySegment context, long tasks, int workers, MemorySegment task, MemorySegment data) {
    pool.run(
        Math.toIntExact(tasks),
        true,
        (from, to) -> {
          // At most one for each thread is taken at a time.
          Integer worker = numbers.remove();
          try {
            TASK.invokeExact(task, data, (long) from, (long) to, (int) worker);
          } catch (Throwable e) {
            throw new IllegalStateException("the library cannot be called", e);
          } finally {
            numbers.add(worker);
          }
        });
  }
}
