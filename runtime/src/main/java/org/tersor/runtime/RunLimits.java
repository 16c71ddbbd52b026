package org.tersor.runtime;

import java.time.Duration;
import java.util.Optional;

/**
 * What one call of a model may use; whatever needs more ends in a diagnostic. See {@link
 * Cancellation} for how limits are set.
 *
 * @param elements largest number of elements of one tensor
 * @param bytes largest size of one array that a call allocates, and of all that it holds at once
 * @param trips largest number of iterations of all Loop operators of the call together; slices of a
 *     Scan do not count, its inputs bound them
 * @param time longest time of the call; empty for no limit. It is looked at between steps, so a
 *     call ends a little later.
 */
public record RunLimits(long elements, long bytes, long trips, Optional<Duration> time) {
  /** Iterations of loops unless told otherwise. */
  public static final long TRIPS = 1L << 18;

  /** Arrays of Java have at most about this many elements. */
  private static final long ARRAY = Integer.MAX_VALUE - 64;

  public RunLimits {
    if (elements < 0 || bytes < 0 || trips < 0) {
      throw new IllegalArgumentException(elements + ", " + bytes + ", " + trips);
    }
  }

  /** What a Java array holds, what the heap holds, {@link #TRIPS}, no limit of time. */
  public static RunLimits standard() {
    return new RunLimits(ARRAY, Runtime.getRuntime().maxMemory(), TRIPS, Optional.empty());
  }

  public RunLimits withElements(long newElements) {
    return new RunLimits(newElements, bytes, trips, time);
  }

  public RunLimits withBytes(long newBytes) {
    return new RunLimits(elements, newBytes, trips, time);
  }

  public RunLimits withTrips(long newTrips) {
    return new RunLimits(elements, bytes, newTrips, time);
  }

  public RunLimits withTime(Duration newTime) {
    return new RunLimits(elements, bytes, trips, Optional.of(newTime));
  }
}
