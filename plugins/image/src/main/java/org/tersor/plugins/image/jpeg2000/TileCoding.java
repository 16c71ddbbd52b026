package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;

/**
 * The marker segment COD (A.6.1): what holds for all components of a tile.
 *
 * @param order of packets
 * @param layers of quality
 * @param mixesComponents whether the first three components are a colour transform of others
 * @param mayHaveSop whether packets may start with SOP
 * @param hasEph whether packet headers end with EPH
 * @param style of components that have none of their own
 */
record TileCoding(
    Progression.Order order,
    int layers,
    boolean mixesComponents,
    boolean mayHaveSop,
    boolean hasEph,
    CodingStyle style) {
  static TileCoding read(ByteReader in) throws IOException {
    int flags = in.u8();
    Progression.Order order = Progression.Order.of(in.u8());
    int layers = in.u16();
    int mix = in.u8();
    if (layers == 0) {
      throw new IOException("there are no layers");
    }
    if (mix > 1) {
      throw new IOException("component transform " + mix + " is not of JPEG 2000 Part 1");
    }
    return new TileCoding(
        order,
        layers,
        mix == 1,
        (flags & 2) != 0,
        (flags & 4) != 0,
        CodingStyle.read(in, (flags & 1) != 0));
  }
}
