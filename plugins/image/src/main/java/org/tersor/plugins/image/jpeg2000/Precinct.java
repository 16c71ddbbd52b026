package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** A precinct: the code-blocks of one place in all bands of a resolution (B.6, B.7). */
final class Precinct {
  final Resolution resolution;
  final int index;

  /** Where it is on the reference grid, for orders by position. */
  final long x;

  final long y;

  /** The layer of its next packet. */
  int nextLayer;

  private final long left;
  private final long top;

  /** One for each band; made by the first packet that is not empty. */
  private final List<Blocks> blocks = new ArrayList<>();

  Precinct(Resolution resolution, int index, long left, long top, long x, long y) {
    this.resolution = resolution;
    this.index = index;
    this.left = left;
    this.top = top;
    this.x = x;
    this.y = y;
  }

  /** The code-blocks of a band in this precinct. */
  static final class Blocks {
    private static final int STEPS = 16;
    private static final int MOST = 1 << 26;

    final Band band;
    final int wide;
    final int high;
    final TagTree inclusion;
    final TagTree zeroPlanes;
    private final List<CodeBlock> included = new ArrayList<>();
    private final CodeBlock[] byPlace;
    private final Area part;
    private final int width;
    private final int height;

    private Blocks(Band band, Area part, int width, int height, Work work) throws IOException {
      this.band = band;
      this.part = part;
      this.width = width;
      this.height = height;
      wide = part.isEmpty() ? 0 : ((part.x1() - 1) >> width) - (part.x0() >> width) + 1;
      high = part.isEmpty() ? 0 : ((part.y1() - 1) >> height) - (part.y0() >> height) + 1;
      if ((long) wide * high > MOST) {
        throw new IOException("a precinct has more than " + MOST + " code-blocks");
      }
      work.spend((long) wide * high * STEPS);
      inclusion = new TagTree(wide, high);
      zeroPlanes = new TagTree(wide, high);
      byPlace = new CodeBlock[wide * high];
    }

    boolean isIncluded(int column, int row) {
      return byPlace[row * wide + column] != null;
    }

    CodeBlock block(int column, int row) {
      return byPlace[row * wide + column];
    }

    CodeBlock include(int column, int row, int planes) {
      long x = ((long) (part.x0() >> width) + column) << width;
      long y = ((long) (part.y0() >> height) + row) << height;
      CodeBlock block =
          new CodeBlock(part.intersect(x, y, x + (1L << width), y + (1L << height)), planes);
      byPlace[row * wide + column] = block;
      included.add(block);
      return block;
    }

    List<CodeBlock> included() {
      return included;
    }
  }

  /** Those that packets have brought something of. */
  List<Blocks> blocks() {
    return blocks;
  }

  List<Blocks> makeBlocks(Work work) throws IOException {
    if (blocks.isEmpty()) {
      CodingStyle style = resolution.style;
      // Coordinates of bands are halves of their resolution's, but for LL.
      int halved = resolution.index == 0 ? 0 : 1;
      int width = style.precinctWidth(resolution.index) - halved;
      int height = style.precinctHeight(resolution.index) - halved;
      long x = left >> halved;
      long y = top >> halved;
      for (Band band : resolution.bands) {
        blocks.add(
            new Blocks(
                band,
                band.area().intersect(x, y, x + (1L << width), y + (1L << height)),
                Math.min(style.blockWidth(), width),
                Math.min(style.blockHeight(), height),
                work));
      }
    }
    return blocks;
  }
}
