package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** The syntax of a codestream (Annex A): a main header, then parts of tiles. */
final class Codestream {
  private static final int SOC = 0xFF4F;
  private static final int SOT = 0xFF90;
  private static final int SOD = 0xFF93;
  private static final int EOC = 0xFFD9;
  private static final int SIZ = 0xFF51;

  /** SOT and SOD take this. */
  private static final int LEAST_TILE_PART = 14;

  private final ImageSize size;
  private final Header main;
  private final ByteReader in;

  private Codestream(ImageSize size, Header main, ByteReader in) {
    this.size = size;
    this.main = main;
    this.in = in;
  }

  static boolean startsAt(ByteReader in) {
    return in.at(SOC);
  }

  /** Reads the main header. */
  static Codestream open(ByteReader in) throws IOException {
    if (in.u16() != SOC || in.u16() != SIZ) {
      throw new IOException("a codestream starts with SOC and SIZ");
    }
    ImageSize size = ImageSize.read(segment(in));
    if ((long) size.tiles() * LEAST_TILE_PART > in.remaining()) {
      throw new IOException(
          "the data are cut off: " + size.tiles() + " tiles in " + in.remaining() + " bytes");
    }
    Header main = Header.main(size.components().size());
    while (!in.at(SOT)) {
      readSegment(in, main);
    }
    return new Codestream(size, main, in);
  }

  ImageSize size() {
    return size;
  }

  int remaining() {
    return in.remaining();
  }

  /** Reads the parts of all tiles, of which none may lack. */
  Map<Integer, TileParts> readTiles() throws IOException {
    Optional<ByteReader> packed = main.takePacked().map(ByteReader::new);
    Map<Integer, TileParts> tiles = new TreeMap<>();
    // Without EOC at the end a file is complete if its packets are.
    while (in.remaining() > 0 && !in.at(EOC)) {
      readTilePart(tiles, packed);
    }
    if (tiles.size() < size.tiles()) {
      throw new IOException(
          "the data are cut off: " + tiles.size() + " of " + size.tiles() + " tiles are there");
    }
    return tiles;
  }

  private void readTilePart(Map<Integer, TileParts> tiles, Optional<ByteReader> packed)
      throws IOException {
    int start = in.position();
    if (in.u16() != SOT) {
      throw new IOException("there is no SOT at " + start + ", where a part of a tile starts");
    }
    ByteReader sot = segment(in);
    int index = sot.u16();
    long length = sot.u32();
    if (index >= size.tiles()) {
      throw new IOException("there is no tile " + index);
    }
    TileParts tile = tiles.computeIfAbsent(index, i -> new TileParts(main));
    while (!in.at(SOD)) {
      readSegment(in, tile.header());
    }
    in.u16();
    tile.header().takePacked().ifPresent(tile::addPacked);
    if (packed.isPresent()) {
      // PPM holds the headers of each part behind their length (A.7.4).
      tile.addPacked(packed.get().part(packed.get().u32()).rest());
    }
    // A length of 0 is that of the last part, which goes to the end (A.4.2).
    long body = length == 0 ? in.remaining() : length - (in.position() - start);
    if (body < 0) {
      throw new IOException("a part of a tile is shorter than its header");
    }
    tile.addPackets(in.part(body).rest());
  }

  private static void readSegment(ByteReader in, Header header) throws IOException {
    int marker = in.u16();
    if (marker < 0xFF00) {
      throw new IOException("there is no marker at " + (in.position() - 2));
    }
    if (marker >= 0xFF30 && marker <= 0xFF3F) {
      return; // reserved for markers without a segment (A.1.3)
    }
    header.read(marker, segment(in));
  }

  private static ByteReader segment(ByteReader in) throws IOException {
    return in.part(in.u16() - 2L);
  }
}
