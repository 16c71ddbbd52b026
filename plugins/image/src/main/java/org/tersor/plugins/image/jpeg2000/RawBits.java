package org.tersor.plugins.image.jpeg2000;

/** The bits of passes that bypass the arithmetic coder: a byte after 0xFF has seven (D.6). */
final class RawBits {
  private final byte[] data;
  private final int end;
  private int at;
  private int current;
  private int left;

  RawBits(byte[] data, int end) {
    this.data = data;
    this.end = end;
  }

  /** The next bit; ones behind the end, like those of the arithmetic decoder. */
  int bit() {
    if (left == 0) {
      left = current == 0xFF ? 7 : 8;
      current = at < end ? data[at++] & 0xFF : 0xFF;
    }
    return current >> --left & 1;
  }
}
