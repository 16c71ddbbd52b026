package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;

/**
 * The bits of a packet header: a byte after 0xFF has seven, lest it look like a marker (B.10.1).
 */
final class PacketBits {
  private final ByteReader in;
  private int current;
  private int left;

  PacketBits(ByteReader in) {
    this.in = in;
  }

  int bit() throws IOException {
    if (left == 0) {
      left = current == 0xFF ? 7 : 8;
      current = in.u8();
    }
    return current >> --left & 1;
  }

  int bits(int count) throws IOException {
    int value = 0;
    for (int i = 0; i < count; i++) {
      value = value << 1 | bit();
    }
    return value;
  }

  /** Ends the header: a last byte of 0xFF is followed by one without meaning. */
  void align() throws IOException {
    if (current == 0xFF) {
      in.u8();
    }
    current = 0;
    left = 0;
  }
}
