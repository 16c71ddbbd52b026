package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A code-block: what packets have brought of it so far. */
final class CodeBlock {
  private static final int FIRST_BYPASS = 10;

  final Area area;

  /** Bit-planes that hold something, those moved up for a region of interest included. */
  final int planes;

  /** What the lengths in packet headers are coded with (B.10.7.1). */
  int lengthBits = 3;

  private final List<Segment> segments = new ArrayList<>();
  private int passes;

  /** Passes that share one run of the arithmetic decoder, or of raw bits. */
  static final class Segment {
    final int mostPasses;
    int passes;
    int added;
    byte[] data = {};
    int length;

    private Segment(int mostPasses) {
      this.mostPasses = mostPasses;
    }

    void append(ByteReader from) {
      int more = from.remaining();
      if (length + more > data.length) {
        data = Arrays.copyOf(data, Math.max(2 * length, length + more));
      }
      System.arraycopy(from.rest(), 0, data, length, more);
      length += more;
    }
  }

  CodeBlock(Area area, int planes) {
    this.area = area;
    this.planes = planes;
  }

  List<Segment> segments() {
    return segments;
  }

  /**
   * Adds some of the next passes: as many as are wanted and belong to one segment.
   *
   * @return the segment, which tells how many they were
   */
  Segment addPasses(int wanted, CodingStyle style) throws IOException {
    if (segments.isEmpty() || segments.getLast().passes == segments.getLast().mostPasses) {
      segments.add(new Segment(mostPasses(style)));
    }
    Segment segment = segments.getLast();
    segment.added = Math.min(wanted, segment.mostPasses - segment.passes);
    segment.passes += segment.added;
    passes += segment.added;
    // The first plane has a cleanup pass alone, all others have three (D.3).
    if (passes > 3 * planes - 2) {
      throw new IOException("a code-block of " + planes + " bit-planes has more passes than that");
    }
    return segment;
  }

  /** How many passes the segment that starts now may hold (tables D.8 and D.9). */
  private int mostPasses(CodingStyle style) {
    if (style.has(CodingStyle.TERMINATE)) {
      return 1;
    }
    if (!style.has(CodingStyle.BYPASS)) {
      return Integer.MAX_VALUE;
    }
    if (segments.isEmpty()) {
      return FIRST_BYPASS;
    }
    return isRaw(passes) ? 2 : 1;
  }

  /** Whether a pass of a bypassing code-block is raw: two of three from the fifth plane on. */
  static boolean isRaw(int pass) {
    return pass >= FIRST_BYPASS && pass % 3 != 0;
  }
}
