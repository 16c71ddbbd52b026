package org.tersor.runtime;

import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.ObjLongConsumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Stops calls of models, and bounds what they use:
 *
 * <pre>{@code
 * Cancellation cancellation = new Cancellation(RunLimits.standard().withTime(Duration.ofSeconds(5)));
 * cancellation.during(() -> executable.run(inputs)); // cancellation.cancel() in another thread ends it
 * }</pre>
 *
 * It is looked at between nodes, in every iteration of a loop and for every tile that a kernel
 * shares out. A call ends with TSR-0709 when it was cancelled or its thread interrupted, with
 * TSR-0712 when its time is over, TSR-0713 after too many iterations, TSR-0714 where a tensor is
 * too large or memory short. Good for one call; all of several calls share one time and one count.
 */
public final class Cancellation {
  private static final ScopedValue<Cancellation> CURRENT = ScopedValue.newInstance();

  /** Outside of any call: nobody can cancel it, and it counts nothing. */
  private static final Cancellation NOBODY = new Cancellation(RunLimits.standard());

  private final RunLimits limits;
  private final long deadline;
  private final boolean timed;
  private final AtomicLong trips = new AtomicLong();

  /** How many values of the call share each array. */
  private final IdentityHashMap<Object, Integer> holders = new IdentityHashMap<>();

  private volatile long held;
  private volatile boolean cancelled;

  /** The time starts now. */
  public Cancellation(RunLimits limits) {
    this.limits = limits;
    this.timed = limits.time().isPresent();
    this.deadline = System.nanoTime() + limits.time().map(time -> nanos(time)).orElse(0L);
  }

  private static long nanos(java.time.Duration time) {
    try {
      return Math.min(time.toNanos(), Long.MAX_VALUE / 2);
    } catch (ArithmeticException e) {
      return Long.MAX_VALUE / 2;
    }
  }

  /** That of the call in which this thread is; one with the standard limits outside of any. */
  public static Cancellation current() {
    return CURRENT.orElse(NOBODY);
  }

  /** Whether this thread is in a call that somebody may cancel. */
  public static boolean isBound() {
    return CURRENT.isBound();
  }

  /** Runs under this cancellation. */
  public <T> T during(Supplier<? extends T> call) {
    return ScopedValue.where(CURRENT, this).<T, RuntimeException>call(() -> frugal(call));
  }

  /**
   * Runs; that memory is short is a diagnostic, since all of it that the call took is free then.
   */
  static <T> T frugal(Supplier<? extends T> call) {
    try {
      return call.get();
    } catch (OutOfMemoryError e) {
      throw new TersorException(
          "TSR-0714",
          "the model needs more memory than there is ("
              + Runtime.getRuntime().maxMemory()
              + " bytes of heap); use smaller inputs, or give Java more (-Xmx)",
          e);
    }
  }

  /** Runs under the cancellation of this thread, or with the standard limits where it has none. */
  public static <T> T within(Supplier<? extends T> call) {
    return CURRENT.isBound() ? call.get() : new Cancellation(RunLimits.standard()).<T>during(call);
  }

  /** Ends the call soon; may be called by any thread, and more than once. */
  public void cancel() {
    cancelled = true;
  }

  public boolean isCancelled() {
    return cancelled;
  }

  public RunLimits limits() {
    return limits;
  }

  /**
   * Throws if the call is to end.
   *
   * @param where what comes next, for the message
   */
  public void check(Object where) {
    if (cancelled || Thread.currentThread().isInterrupted()) {
      throw new TersorException(
          "TSR-0709",
          "the call was " + (cancelled ? "cancelled" : "interrupted") + " before " + where);
    }
    if (timed && System.nanoTime() - deadline > 0) {
      throw new TersorException(
          "TSR-0712",
          "the call takes longer than "
              + limits.time().map(time -> time.toMillis()).orElse(0L)
              + " ms; it was ended before "
              + where
              + ". Raise the limit of time if this is meant");
    }
  }

  /** Another iteration of a Loop; throws if there are too many, or the call is to end. */
  public void trip(Object loop) {
    if (this != NOBODY && trips.incrementAndGet() > limits.trips()) {
      throw new TersorException(
          "TSR-0713",
          loop
              + ": the loops of this call have more than "
              + limits.trips()
              + " iterations; raise the limit of trips if this is meant");
    }
    check(loop);
  }

  /**
   * Called before an array is allocated; throws if it is too large.
   *
   * @param what the thing to allocate, for the message
   */
  public static void allocate(Object what, long elements, long bytes) {
    current().admit(what, elements, bytes);
  }

  /** As {@link #allocate(Object, long, long)}; the text is made only where it is needed. */
  static void allocate(DType dtype, long[] shape, long elements) {
    Cancellation current = current();
    long bytes = elements > Long.MAX_VALUE / 16 ? Long.MAX_VALUE : elements * dtype.memoryBytes();
    if (elements > current.limits.elements() || bytes > current.limits.bytes() - current.held) {
      current.admit("a tensor " + dtype.text() + Arrays.toString(shape), elements, bytes);
    }
  }

  private void admit(Object what, long elements, long bytes) {
    if (elements > limits.elements()) {
      throw new TersorException(
          "TSR-0714",
          what
              + " would have "
              + elements
              + " elements; the limit is "
              + limits.elements()
              + ". Use smaller inputs, or raise the limit of elements");
    }
    if (bytes > limits.bytes() - held) {
      throw new TersorException(
          "TSR-0714",
          what
              + " would take "
              + bytes
              + " bytes beside "
              + held
              + " that are held; the limit is "
              + limits.bytes()
              + ". Use smaller inputs, or raise the limit of memory");
    }
  }

  /** The call keeps a value; each array counts once. */
  public void hold(Datum datum) {
    if (this != NOBODY) {
      arrays(
          datum,
          (array, bytes) -> {
            synchronized (holders) {
              if (holders.merge(array, 1, Integer::sum) == 1) {
                held += bytes;
              }
            }
          });
    }
  }

  /** The call no longer keeps a value, see {@link #hold}. */
  public void release(Datum datum) {
    if (this != NOBODY) {
      arrays(
          datum,
          (array, bytes) -> {
            synchronized (holders) {
              if (holders.merge(array, -1, Cancellation::left) == null) {
                held -= bytes;
              }
            }
          });
    }
  }

  private static @Nullable Integer left(int before, int change) {
    return before + change > 0 ? before + change : null;
  }

  private static void arrays(Datum datum, ObjLongConsumer<Object> use) {
    switch (datum) {
      case Tensor tensor ->
          use.accept(tensor.array(), (long) tensor.size() * tensor.dtype().memoryBytes());
      case Datum.Sequence sequence -> sequence.elements().forEach(e -> arrays(e, use));
      case Datum.Maybe maybe -> maybe.value().ifPresent(e -> arrays(e, use));
      case Datum.Dictionary map -> {
        arrays(map.keys(), use);
        arrays(map.values(), use);
      }
    }
  }
}
