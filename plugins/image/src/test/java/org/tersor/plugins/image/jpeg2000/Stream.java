package org.tersor.plugins.image.jpeg2000;

import static org.tersor.plugins.image.jpeg2000.TestFiles.bytes;
import static org.tersor.plugins.image.jpeg2000.TestFiles.concat;
import static org.tersor.plugins.image.jpeg2000.TestFiles.int32;
import static org.tersor.plugins.image.jpeg2000.TestFiles.segment;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A codestream taken apart, so that tests can write it in other ways that mean the same. */
final class Stream {
  static final int SOT = 0xFF90;
  static final int SOD = 0xFF93;
  private static final int SOP = 0xFF91;
  private static final int EPH = 0xFF92;

  /** Marker segments with their markers, from SIZ on. */
  final List<byte[]> main = new ArrayList<>();

  final List<Part> parts = new ArrayList<>();

  /** A part of a tile. */
  static final class Part {
    final byte[] sot;
    final List<byte[]> header = new ArrayList<>();
    byte[] body = {};

    Part(byte[] sot) {
      this.sot = sot;
    }
  }

  Stream(byte[] file) {
    int at = 2;
    while (marker(file, at) != SOT) {
      main.add(segmentAt(file, at));
      at += main.getLast().length;
    }
    while (marker(file, at) == SOT) {
      int start = at;
      Part part = new Part(segmentAt(file, at));
      at += part.sot.length;
      while (marker(file, at) != SOD) {
        part.header.add(segmentAt(file, at));
        at += part.header.getLast().length;
      }
      int end = start + ByteBuffer.wrap(part.sot).getInt(6);
      part.body = Arrays.copyOfRange(file, at + 2, end);
      parts.add(part);
      at = end;
    }
  }

  private static int marker(byte[] file, int at) {
    return (file[at] & 0xFF) << 8 | (file[at + 1] & 0xFF);
  }

  private static byte[] segmentAt(byte[] file, int at) {
    return Arrays.copyOfRange(file, at, at + 2 + marker(file, at + 2));
  }

  byte[] write() {
    List<byte[]> all = new ArrayList<>();
    all.add(bytes(0xFF, 0x4F));
    all.addAll(main);
    for (Part part : parts) {
      byte[] header = concat(part.header);
      byte[] sot = part.sot.clone();
      ByteBuffer.wrap(sot).putInt(6, sot.length + header.length + 2 + part.body.length);
      all.addAll(List.of(sot, header, bytes(SOD >> 8, SOD), part.body));
    }
    all.add(bytes(0xFF, 0xD9));
    return concat(all);
  }

  /** What a segment of the main header says, without marker and length. */
  byte[] content(int marker) {
    byte[] found = main.stream().filter(s -> marker(s, 0) == marker).findFirst().orElseThrow();
    return Arrays.copyOfRange(found, 4, found.length);
  }

  void replace(int marker, byte[] content) {
    main.replaceAll(s -> marker(s, 0) == marker ? segment(marker, content) : s);
  }

  /** Takes the packet headers out of a part whose packets have SOP and EPH. */
  static byte[] takeHeaders(Part part) {
    List<byte[]> headers = new ArrayList<>();
    List<byte[]> rest = new ArrayList<>();
    byte[] b = part.body;
    for (int at = 0; at < b.length; ) {
      int header = at + 6;
      int data = find(b, EPH, header) + 2;
      int next = find(b, SOP, data);
      rest.add(Arrays.copyOfRange(b, at, header));
      headers.add(Arrays.copyOfRange(b, header, data));
      rest.add(Arrays.copyOfRange(b, data, next));
      at = next;
    }
    part.body = concat(rest);
    return concat(headers);
  }

  /** No header and no data hold what looks like a marker. */
  private static int find(byte[] b, int marker, int from) {
    int at = from;
    while (at < b.length && (at + 1 == b.length || marker(b, at) != marker)) {
      at++;
    }
    return at;
  }

  /** PPM segments with the headers of all parts, cut anywhere and in any order. */
  void packInMain() {
    List<byte[]> all = new ArrayList<>();
    for (Part part : parts) {
      byte[] headers = takeHeaders(part);
      all.add(int32(headers.length));
      all.add(headers);
    }
    byte[] packed = concat(all);
    int cut = packed.length / 2 + 1;
    main.add(segment(Header.PPM, concat(bytes(1), Arrays.copyOfRange(packed, cut, packed.length))));
    main.add(segment(Header.PPM, concat(bytes(0), Arrays.copyOf(packed, cut))));
  }

  /** PPT segments in each part. */
  void packInTiles() {
    for (Part part : parts) {
      byte[] packed = takeHeaders(part);
      int cut = packed.length / 2;
      part.header.add(
          segment(Header.PPT, concat(bytes(1), Arrays.copyOfRange(packed, cut, packed.length))));
      part.header.add(segment(Header.PPT, concat(bytes(0), Arrays.copyOf(packed, cut))));
    }
  }
}
