package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * How a component of a tile is coded: the parameters of COD and COC (A.6.1, table A.15).
 *
 * @param levels of the wavelet transform
 * @param blockWidth the exponent of a code-block's nominal width
 * @param blockHeight likewise
 * @param blockStyle a union of the constants below
 * @param reversible whether the wavelet is 5/3, else 9/7
 * @param precincts exponents of the width and, times 16, of the height for each resolution
 */
record CodingStyle(
    int levels,
    int blockWidth,
    int blockHeight,
    int blockStyle,
    boolean reversible,
    List<Integer> precincts) {
  /** Passes of low bit-planes are not arithmetically coded. */
  static final int BYPASS = 1;

  /** Contexts start anew in each pass. */
  static final int RESET = 2;

  /** Each pass has a codeword segment of its own. */
  static final int TERMINATE = 4;

  /** No context looks at the next stripe. */
  static final int VERTICALLY_CAUSAL = 8;

  /** Four known symbols end each bit-plane. (16 is of interest to encoders alone.) */
  static final int SEGMENTATION = 32;

  private static final int PART_1_STYLES = 63;
  private static final int MOST_LEVELS = 32;
  private static final int WHOLE = 15;

  static CodingStyle read(ByteReader in, boolean hasPrecincts) throws IOException {
    int levels = in.u8();
    int width = (in.u8() & 15) + 2;
    int height = (in.u8() & 15) + 2;
    int style = in.u8();
    int transform = in.u8();
    if (levels > MOST_LEVELS) {
      throw new IOException("there are " + levels + " levels, more than " + MOST_LEVELS);
    }
    if (width > 10 || height > 10 || width + height > 12) {
      throw new IOException("code-blocks of 2^" + width + " x 2^" + height + " are too large");
    }
    if ((style & ~PART_1_STYLES) != 0 || transform > 1) {
      throw new IOException(
          "code-block style "
              + style
              + " or wavelet "
              + transform
              + " is not of JPEG 2000 Part 1 (high throughput and Part 2 are not supported)");
    }
    List<Integer> precincts = new ArrayList<>();
    for (int r = 0; r <= levels; r++) {
      int size = hasPrecincts ? in.u8() : WHOLE << 4 | WHOLE;
      // Bands have half the size of their resolution, and half a sample is none (B.6).
      if (r > 0 && ((size & 15) == 0 || size >> 4 == 0)) {
        throw new IOException("precincts of resolution " + r + " have half a sample");
      }
      precincts.add(size);
    }
    return new CodingStyle(levels, width, height, style, transform == 1, List.copyOf(precincts));
  }

  int precinctWidth(int resolution) {
    return precincts.get(resolution) & 15;
  }

  int precinctHeight(int resolution) {
    return precincts.get(resolution) >> 4;
  }

  boolean has(int style) {
    return (blockStyle & style) != 0;
  }
}
