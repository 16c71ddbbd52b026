package org.tersor.plugins.image.jpeg2000;

/**
 * The samples of a component of the whole picture, from 0 up: half of the range is added to signed
 * ones, which moves their zero to where unsigned chroma has it.
 *
 * @param area on the component's own grid
 * @param bits of a sample
 * @param samples row by row
 */
@SuppressWarnings("ArrayRecordComponent") // a buffer that nobody compares
record Plane(Area area, int bits, char[] samples) {
  static Plane of(Area area, int bits) {
    return new Plane(area, bits, new char[Math.toIntExact(area.samples())]);
  }

  /** Puts a sample around 0 where it belongs, within its range (G.1). */
  void put(int x, int y, int sample) {
    int half = 1 << (bits - 1);
    int clamped = Math.clamp((long) sample + half, 0, 2 * half - 1);
    samples[(y - area.y0()) * area.width() + x - area.x0()] = (char) clamped;
  }

  /** The sample nearest to a place of the component's grid. */
  int at(long x, long y) {
    int column = Math.clamp(x, area.x0(), area.x1() - 1) - area.x0();
    int row = Math.clamp(y, area.y0(), area.y1() - 1) - area.y0();
    return samples[row * area.width() + column];
  }
}
