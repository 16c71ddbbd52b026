package org.tersor.plugins.image.jpeg2000;

import java.io.ByteArrayOutputStream;
import java.util.Optional;

/** What the codestream holds of one tile: its header, its packets, and their headers if apart. */
final class TileParts {
  private final Header header;
  private final ByteArrayOutputStream packets = new ByteArrayOutputStream();
  private final ByteArrayOutputStream packed = new ByteArrayOutputStream();
  private boolean hasPacked;

  TileParts(Header main) {
    header = Header.ofTile(main);
  }

  Header header() {
    return header;
  }

  void addPackets(byte[] bytes) {
    packets.writeBytes(bytes);
  }

  void addPacked(byte[] headers) {
    hasPacked = true;
    packed.writeBytes(headers);
  }

  byte[] packets() {
    return packets.toByteArray();
  }

  Optional<byte[]> packed() {
    return hasPacked ? Optional.of(packed.toByteArray()) : Optional.empty();
  }
}
