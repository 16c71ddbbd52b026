package org.tersor.cli;

import org.tersor.runtime.Cancellation;
import org.tersor.runtime.TersorException;

/**
 * Tells code that cannot look at a {@link Cancellation} itself (a library, the runtime inside a
 * jar) when its call is to end. Outside of a call that may end it does nothing.
 */
final class Watch implements AutoCloseable {
  private static final long MILLIS = 5;

  private volatile boolean over;

  /**
   * Begins to watch the call in which this thread is.
   *
   * @param end run once, by another thread, when the call is to end
   */
  Watch(Runnable end) {
    if (Cancellation.isBound()) {
      Cancellation cancellation = Cancellation.current();
      Thread caller = Thread.currentThread();
      Thread _ =
          Thread.ofPlatform()
              .daemon()
              .name("tersor-watch")
              .start(() -> watch(cancellation, caller, end));
    }
  }

  private void watch(Cancellation cancellation, Thread caller, Runnable end) {
    try {
      while (!over) {
        cancellation.check("the end of the artifact's call");
        if (caller.isInterrupted()) {
          break;
        }
        Thread.sleep(MILLIS);
      }
    } catch (TersorException | InterruptedException e) {
      // Time to end; the caller tells why.
    }
    if (!over) {
      end.run();
    }
  }

  @Override
  public void close() {
    over = true;
  }
}
