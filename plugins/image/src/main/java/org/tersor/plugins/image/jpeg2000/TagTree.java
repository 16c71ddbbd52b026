package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;

/**
 * A tag tree (B.10.2): numbers of a grid, where each node of the levels above has the least number
 * of the four below it. Reading asks whether a number is below a threshold and takes as few bits as
 * tell.
 */
final class TagTree {
  private final int[] widths;
  private final int[] starts;
  private final int[] least;
  private final boolean[] known;

  TagTree(int width, int height) {
    int levels = 1;
    for (int w = width, h = height; w > 1 || h > 1; levels++) {
      w = (w + 1) / 2;
      h = (h + 1) / 2;
    }
    widths = new int[levels];
    starts = new int[levels];
    int nodes = 0;
    int w = width;
    int h = height;
    for (int level = 0; level < levels; level++) {
      widths[level] = w;
      starts[level] = nodes;
      nodes += w * h;
      w = (w + 1) / 2;
      h = (h + 1) / 2;
    }
    least = new int[nodes];
    known = new boolean[nodes];
  }

  /** Whether the number at this place is below the threshold. */
  boolean isBelow(int x, int y, int threshold, PacketBits bits) throws IOException {
    int bound = 0;
    for (int level = widths.length - 1; level >= 0; level--) {
      int node = starts[level] + (y >> level) * widths[level] + (x >> level);
      least[node] = Math.max(least[node], bound);
      while (!known[node] && least[node] < threshold) {
        if (bits.bit() == 1) {
          known[node] = true;
        } else {
          least[node]++;
        }
      }
      bound = least[node];
    }
    return bound < threshold;
  }

  /** The number at this place. */
  int value(int x, int y, int most, PacketBits bits) throws IOException {
    for (int value = 0; value <= most; value++) {
      if (isBelow(x, y, value + 1, bits)) {
        return value;
      }
    }
    throw new IOException("a code-block has more than " + most + " bit-planes of zeros");
  }
}
