package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Reads packets: their headers (B.10), then what they bring of code-blocks. */
final class PacketReader {
  private static final int SOP = 0xFF91;
  private static final int SOP_BYTES = 6;
  private static final int EPH = 0xFF92;

  /** An int holds this many, with the half below the last and without a sign. */
  private static final int MOST_PLANES = 30;

  /** What asking a tag tree about a code-block costs, compared to a coefficient in a pass. */
  private static final int BLOCK_STEPS = 32;

  private final TileCoding coding;
  private final ByteReader body;
  private final ByteReader headers;
  private final Work work;
  private final List<Piece> pieces = new ArrayList<>();

  /** The bytes of one segment that a packet brings. */
  private record Piece(CodeBlock.Segment segment, int length) {}

  PacketReader(TileParts tile, Work work) throws IOException {
    this.coding = tile.header().coding();
    this.body = new ByteReader(tile.packets());
    this.headers = tile.packed().map(ByteReader::new).orElse(body);
    this.work = work;
  }

  /** No more packets than this can follow. */
  int mostPackets() {
    return headers.remaining();
  }

  void read(Precinct precinct) throws IOException {
    if (coding.mayHaveSop() && body.at(SOP)) {
      body.part(SOP_BYTES);
    }
    pieces.clear();
    PacketBits bits = new PacketBits(headers);
    if (bits.bit() == 1) {
      for (Precinct.Blocks blocks : precinct.makeBlocks(work)) {
        work.spend((long) blocks.wide * blocks.high * BLOCK_STEPS);
        for (int row = 0; row < blocks.high; row++) {
          for (int column = 0; column < blocks.wide; column++) {
            readBlock(precinct, blocks, column, row, bits);
          }
        }
      }
    }
    bits.align();
    if (coding.hasEph() && headers.at(EPH)) {
      headers.u16();
    }
    for (Piece piece : pieces) {
      piece.segment.append(body.part(piece.length));
    }
  }

  private void readBlock(
      Precinct precinct, Precinct.Blocks blocks, int column, int row, PacketBits bits)
      throws IOException {
    CodeBlock block;
    if (blocks.isIncluded(column, row)) {
      if (bits.bit() == 0) {
        return;
      }
      block = blocks.block(column, row);
    } else {
      if (!blocks.inclusion.isBelow(column, row, precinct.nextLayer + 1, bits)) {
        return;
      }
      int most = blocks.band.planes() + precinct.resolution.regionShift;
      int planes = most - blocks.zeroPlanes.value(column, row, most, bits);
      if (planes > MOST_PLANES) {
        throw new IOException(
            "a code-block has " + planes + " bit-planes, more than " + MOST_PLANES);
      }
      block = blocks.include(column, row, planes);
    }
    int passes = passes(bits);
    while (bits.bit() == 1) {
      block.lengthBits++;
    }
    while (passes > 0) {
      CodeBlock.Segment segment = block.addPasses(passes, precinct.resolution.style);
      int added = segment.added;
      int width = block.lengthBits + 31 - Integer.numberOfLeadingZeros(added);
      if (width > 31) {
        throw new IOException("the length of a code-block has " + width + " bits");
      }
      pieces.add(new Piece(segment, bits.bits(width)));
      passes -= added;
    }
  }

  /** The number of new passes (table B.4). */
  private static int passes(PacketBits bits) throws IOException {
    if (bits.bit() == 0) {
      return 1;
    }
    if (bits.bit() == 0) {
      return 2;
    }
    int more = bits.bits(2);
    if (more < 3) {
      return 3 + more;
    }
    more = bits.bits(5);
    return more < 31 ? 6 + more : 37 + bits.bits(7);
  }
}
