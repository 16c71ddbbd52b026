package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** A resolution of a tile's component: its bands and the partition into precincts (B.5, B.6). */
final class Resolution {
  final int component;
  final int index;
  final CodingStyle style;
  final int regionShift;
  final Area area;
  final List<Band> bands = new ArrayList<>();

  /** In raster order. Their number is less than that of the bytes which their packets take. */
  final List<Precinct> precincts = new ArrayList<>();

  Resolution(int component, int index, CodingStyle style, Header header, Area of, int bits)
      throws IOException {
    this.component = component;
    this.index = index;
    this.style = style;
    this.regionShift = header.shift(component);
    int halved = style.levels() - index;
    this.area = of.every(1L << halved, 1L << halved);
    Quantization quantization = header.quantization(component);
    int depth = index == 0 ? halved : halved + 1;
    for (Band.Kind kind : Band.Kind.values()) {
      if ((kind == Band.Kind.LL) == (index == 0)) {
        int number = index == 0 ? 0 : 3 * (index - 1) + kind.number();
        bands.add(
            new Band(
                kind,
                Band.area(kind, of, depth),
                depth,
                quantization.planes(number, style.levels() - depth),
                style.reversible()
                    ? 1
                    : quantization.step(number, style.levels() - depth, bits + kind.gain())));
      }
    }
  }

  int precinctsWide() {
    return count(area.x0(), area.x1(), style.precinctWidth(index));
  }

  int precinctsHigh() {
    return count(area.y0(), area.y1(), style.precinctHeight(index));
  }

  long precinctCount() {
    return area.isEmpty() ? 0 : (long) precinctsWide() * precinctsHigh();
  }

  private static int count(int from, int to, int log) {
    return (int) (Math.ceilDiv(to, 1L << log) - (from >> log));
  }

  /**
   * Makes the precincts.
   *
   * @param tile on the reference grid
   * @param of the component's distances there
   */
  void addPrecincts(Area tile, ImageSize.Component of) {
    int halved = style.levels() - index;
    int width = style.precinctWidth(index);
    int height = style.precinctHeight(index);
    for (int row = 0; row < precinctsHigh(); row++) {
      long top = ((long) (area.y0() >> height) + row) << height;
      for (int column = 0; column < precinctsWide(); column++) {
        long left = ((long) (area.x0() >> width) + column) << width;
        // What of a precinct lies before the tile is not there (B.12.1.3).
        long x = Math.max(tile.x0(), (left << halved) * of.dx());
        long y = Math.max(tile.y0(), (top << halved) * of.dy());
        precincts.add(new Precinct(this, precincts.size(), left, top, x, y));
      }
    }
  }
}
