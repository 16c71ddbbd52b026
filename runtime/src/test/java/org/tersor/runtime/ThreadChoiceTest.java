package org.tersor.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ThreadChoiceTest {
  private static final int CALLS = 1024;

  /** How many of so many calls took the threads, where calls take such times. */
  private static int together(ThreadChoice choice, long alone, long together, long... sizes) {
    int count = 0;
    for (int i = 0; i < CALLS; i++) {
      boolean threads = choice.next(sizes);
      choice.took(threads, threads ? together : alone);
      count += threads ? 1 : 0;
    }
    return count;
  }

  @Test
  void whatIsFasterIsKept() {
    assertTrue(together(new ThreadChoice(), 15, 27) < CALLS / 16);
    assertTrue(together(new ThreadChoice(), 27, 15) > CALLS - CALLS / 16);
  }

  @Test
  void whatBecomesSlowerIsGivenUp() {
    ThreadChoice choice = new ThreadChoice();
    together(choice, 27, 15);
    assertTrue(together(choice, 27, 200) < CALLS / 16);
    assertTrue(together(choice, 27, 15) > CALLS / 4);
  }

  /** As another process takes the core of a thread, now and then, for a call. */
  @Test
  void aSlowCallDecidesNothing() {
    ThreadChoice choice = new ThreadChoice();
    int count = 0;
    for (int i = 0; i < CALLS; i++) {
      boolean threads = choice.next();
      choice.took(threads, threads ? (i % 5 == 0 ? 900 : 15) : 27);
      count += threads ? 1 : 0;
    }
    assertTrue(count > CALLS - CALLS / 16);
  }

  /** Of a long call nothing is known from short ones; a little longer is no other size. */
  @Test
  void otherSizesAreMeasuredAnew() {
    ThreadChoice choice = new ThreadChoice();
    together(choice, 15, 27, 1, 10);
    assertTrue(choice.next(1, 100));
    choice.took(true, 100);
    assertTrue(together(choice, 200, 100, 1, 100) > CALLS - CALLS / 16);
    ThreadChoice growing = new ThreadChoice();
    int count = 0;
    for (int i = 0; i < CALLS; i++) {
      boolean threads = growing.next(1000 + i / 2);
      growing.took(threads, threads ? 27 : 15);
      count += threads ? 1 : 0;
    }
    assertTrue(count < CALLS / 16);
  }

  /** The first call takes the threads, the second does not; then one trial in eight, and fewer. */
  @Test
  void trialsAreFew() {
    ThreadChoice choice = new ThreadChoice();
    String calls = "";
    for (int i = 0; i < 20; i++) {
      boolean threads = choice.next();
      choice.took(threads, threads ? 10 : 19);
      calls += threads ? "2" : "1";
    }
    assertEquals("21222222212222222122", calls);
    assertEquals(CALLS - 3 - CALLS / 90, together(choice, 19, 10));
  }
}
