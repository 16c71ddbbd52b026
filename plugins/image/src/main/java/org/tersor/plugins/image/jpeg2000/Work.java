package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;

/**
 * What a file may cost. A few bytes can declare many layers, tiny code-blocks or passes over
 * nothing; what honest files need grows with their size, so the allowance does.
 */
final class Work {
  /** Steps that any file may take: a blank picture is short whatever its size. */
  private static final long FREE = 1L << 28;

  /** Steps for each byte. A coding pass takes a step for each coefficient. */
  private static final long PER_BYTE = 1L << 13;

  private long left;

  Work(int bytes) {
    left = FREE + PER_BYTE * bytes;
  }

  void spend(long steps) throws IOException {
    left -= steps;
    if (left < 0) {
      throw new IOException("decoding takes more work than a file of this size may ask for");
    }
  }
}
