package org.tersor.runtime;

/**
 * Whether calls take their threads. A small model loses more by handing work over than it gains,
 * and where the limit lies depends on the machine and on what else it does: so calls try the other
 * way now and then, and keep to what was faster of late. What they compute is the same either way.
 */
public final class ThreadChoice {
  /** Times that are kept of either way; the least of them counts. */
  private static final int KEPT = 4;

  /** Calls from one trial of the other way to the next: at least, and at the most. */
  private static final int OFTEN = 8;

  private static final int SELDOM = 1000;

  /** Part of the time of calls that trials may take. */
  private static final double TRIALS = 0.01;

  private final long[] alone = new long[KEPT];
  private final long[] together = new long[KEPT];
  private long measuredAlone;
  private long measuredTogether;
  private long trials;
  private long untilTrial = OFTEN;
  private long[] measuredFor = {};

  /**
   * Whether the next call takes the threads; {@link #took} says what became of it.
   *
   * @param sizes what the time of a call depends on: where one is twice or half as large as before,
   *     what was measured does not count any more
   */
  public synchronized boolean next(long... sizes) {
    if (!isNear(sizes)) {
      measuredFor = sizes.clone();
      measuredAlone = 0;
      measuredTogether = 0;
      trials = 0;
      untilTrial = OFTEN;
    }
    if (measuredTogether == 0 || measuredAlone == 0) {
      return measuredTogether == 0;
    }
    boolean best = isFasterTogether();
    if (--untilTrial > 0) {
      return best;
    }
    untilTrial = trials++ < KEPT ? OFTEN : gap();
    return !best;
  }

  private long gap() {
    long a = least(together, measuredTogether);
    long b = least(alone, measuredAlone);
    double loss = (double) Math.abs(a - b) / Math.max(1, Math.min(a, b));
    return Math.clamp((long) (loss / TRIALS), OFTEN, SELDOM);
  }

  /** The time of a call with the threads or without. */
  public synchronized void took(boolean threads, long nanos) {
    if (threads) {
      together[(int) (measuredTogether++ % KEPT)] = nanos;
    } else {
      alone[(int) (measuredAlone++ % KEPT)] = nanos;
    }
  }

  private boolean isNear(long[] sizes) {
    boolean near = sizes.length == measuredFor.length;
    for (int i = 0; near && i < sizes.length; i++) {
      near = sizes[i] / 2 <= measuredFor[i] && measuredFor[i] / 2 <= sizes[i];
    }
    return near;
  }

  private boolean isFasterTogether() {
    return least(together, measuredTogether) <= least(alone, measuredAlone);
  }

  private static long least(long[] times, long measured) {
    long least = Long.MAX_VALUE;
    for (int i = 0; i < Math.min(measured, KEPT); i++) {
      least = Math.min(least, times[i]);
    }
    return least;
  }
}
