package org.tersor.plugins.image.jpeg2000;

/**
 * A band of a tile's component (B.5).
 *
 * @param kind which filters it passed
 * @param area in coordinates of its own
 * @param depth how many times it was halved
 * @param planes how many bit-planes its coefficients may have, those of a region of interest not
 *     counted
 * @param step what a coefficient of 1 stands for
 */
record Band(Kind kind, Area area, int depth, int planes, float step) {
  /** Horizontal filter first: L is low, H is high. */
  enum Kind {
    LL(0, 0),
    HL(1, 0),
    LH(0, 1),
    HH(1, 1);

    final int highX;
    final int highY;

    Kind(int highX, int highY) {
      this.highX = highX;
      this.highY = highY;
    }

    /** Its place among the bands of a level, LL first. */
    int number() {
      return highX + 2 * highY;
    }

    /** By how many bits the range of the band is larger than that of the samples (table E.1). */
    int gain() {
      return highX + highY;
    }
  }

  /** Which column of the component its column {@code u} belongs to. */
  long column(int u) {
    return spread(u, kind.highX);
  }

  /** Which row of the component its row {@code v} belongs to. */
  long row(int v) {
    return spread(v, kind.highY);
  }

  private long spread(int u, int high) {
    return depth == 0 ? u : (2L * u + high) << (depth - 1);
  }

  /** The band's area within a component's (equation B-15). */
  static Area area(Kind kind, Area component, int depth) {
    return new Area(
        halved(component.x0(), kind.highX, depth),
        halved(component.y0(), kind.highY, depth),
        halved(component.x1(), kind.highX, depth),
        halved(component.y1(), kind.highY, depth));
  }

  private static int halved(long at, int high, int depth) {
    return depth == 0
        ? (int) at
        : (int) Math.ceilDiv(at - ((long) high << (depth - 1)), 1L << depth);
  }
}
