package org.tersor.plugins.image.jpeg2000;

/**
 * A rectangle of a grid, without its last column and row; it may be empty.
 *
 * @param x0 the first column
 * @param y0 the first row
 * @param x1 the column after the last
 * @param y1 the row after the last
 */
record Area(int x0, int y0, int x1, int y1) {
  int width() {
    return Math.max(0, x1 - x0);
  }

  int height() {
    return Math.max(0, y1 - y0);
  }

  boolean isEmpty() {
    return x1 <= x0 || y1 <= y0;
  }

  long samples() {
    return (long) width() * height();
  }

  Area intersect(long left, long top, long right, long bottom) {
    return new Area(
        (int) Math.max(x0, left),
        (int) Math.max(y0, top),
        (int) Math.min(x1, right),
        (int) Math.min(y1, bottom));
  }

  /** Where the points of this area lie that a grid with every {@code dx}th column keeps. */
  Area every(long dx, long dy) {
    return new Area(
        (int) Math.ceilDiv(x0, dx),
        (int) Math.ceilDiv(y0, dy),
        (int) Math.ceilDiv(x1, dx),
        (int) Math.ceilDiv(y1, dy));
  }
}
