package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * A run of packets in one order: an entry of POC (A.6.6), or all of a tile.
 *
 * @param order how the packets follow each other
 * @param fromResolution the first
 * @param toResolution the one after the last
 * @param fromComponent the first
 * @param toComponent the one after the last
 * @param toLayer the one after the last; the first is each precinct's next
 */
record Progression(
    Order order,
    int fromResolution,
    int toResolution,
    int fromComponent,
    int toComponent,
    int toLayer) {
  /** B.12.1; the letters are the loops from the outside: layer, resolution, component, position. */
  enum Order {
    LRCP,
    RLCP,
    RPCL,
    PCRL,
    CPRL;

    static Order of(int code) throws IOException {
      if (code >= values().length) {
        throw new IOException("progression order " + code + " is not defined");
      }
      return values()[code];
    }
  }

  static Progression whole(TileCoding coding) {
    return new Progression(
        coding.order(), 0, Integer.MAX_VALUE, 0, Integer.MAX_VALUE, coding.layers());
  }

  static List<Progression> read(ByteReader in, int components) throws IOException {
    boolean wide = components > 256;
    List<Progression> changes = new ArrayList<>();
    while (in.remaining() > 0) {
      int fromResolution = in.u8();
      int fromComponent = wide ? in.u16() : in.u8();
      int toLayer = in.u16();
      int toResolution = in.u8();
      int toComponent = wide ? in.u16() : in.u8();
      changes.add(
          new Progression(
              Order.of(in.u8()),
              fromResolution,
              toResolution,
              fromComponent,
              toComponent == 0 ? Integer.MAX_VALUE : toComponent, // 256 does not fit its byte
              toLayer));
    }
    return changes;
  }
}
