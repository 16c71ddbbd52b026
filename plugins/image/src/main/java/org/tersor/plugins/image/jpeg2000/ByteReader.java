package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.Arrays;

/** Big-endian numbers from a part of a file; what lies behind its end is an error. */
final class ByteReader {
  private final byte[] bytes;
  private final int end;
  private int at;

  ByteReader(byte[] bytes) {
    this(bytes, 0, bytes.length);
  }

  private ByteReader(byte[] bytes, int from, int end) {
    this.bytes = bytes;
    this.at = from;
    this.end = end;
  }

  int remaining() {
    return end - at;
  }

  int position() {
    return at;
  }

  int u8() throws IOException {
    need(1);
    return bytes[at++] & 0xFF;
  }

  int u16() throws IOException {
    need(2);
    return u8() << 8 | u8();
  }

  long u32() throws IOException {
    need(4);
    return (long) u16() << 16 | u16();
  }

  /** A number of 32 bits that this decoder takes up to 2^31 - 1. */
  int u31(String what) throws IOException {
    long value = u32();
    if (value > Integer.MAX_VALUE) {
      throw new IOException(what + " is " + value + ", more than " + Integer.MAX_VALUE);
    }
    return (int) value;
  }

  /** Whether the next two bytes are this marker. */
  boolean at(int marker) {
    return remaining() >= 2
        && (bytes[at] & 0xFF) == marker >> 8
        && (bytes[at + 1] & 0xFF) == (marker & 0xFF);
  }

  /** The next bytes as a reader of their own; this one goes on behind them. */
  ByteReader part(long length) throws IOException {
    need(length);
    at += (int) length;
    return new ByteReader(bytes, at - (int) length, at);
  }

  byte[] rest() {
    int from = at;
    at = end;
    return Arrays.copyOfRange(bytes, from, end);
  }

  private void need(long count) throws IOException {
    if (count < 0 || count > end - at) {
      throw new IOException(
          "the data are cut off: "
              + count
              + " bytes are needed at "
              + at
              + " and there are "
              + (end - at));
    }
  }
}
