package org.tersor.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Names that a shared library exports, from its section headers (System V ABI, chapters 4 and 5):
 * the rest of the file, which is weights for the most part, is not read.
 */
final class ElfNames {
  /** "\177ELF", 64 bits, least byte first. */
  private static final long MAGIC = 0x01_02_46_4c_45_7fL;

  private static final long MAGIC_MASK = 0xffff_ffff_ffffL;

  private static final int HEADER = 64;
  private static final int SECTION = 64;
  private static final int SECTIONS_AT = 0x28;
  private static final int SECTION_SIZE = 0x3a;
  private static final int SECTION_COUNT = 0x3c;
  private static final int DYNAMIC_SYMBOLS = 11;

  /** Bytes of names above which a file is none of ours. */
  private static final long MOST = 1 << 20;

  private ElfNames() {}

  /**
   * The table of names of dynamic symbols, each between zeros; empty if the file is no such library
   * or not whole.
   */
  static String of(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      ByteBuffer header = read(channel, 0, HEADER);
      if ((header.getLong(0) & MAGIC_MASK) != MAGIC || header.getShort(SECTION_SIZE) != SECTION) {
        return "";
      }
      int count = header.getShort(SECTION_COUNT) & 0xffff;
      ByteBuffer sections = read(channel, header.getLong(SECTIONS_AT), count * SECTION);
      for (int i = 0; i < count; i++) {
        int names = sections.getInt(i * SECTION + 40);
        if (sections.getInt(i * SECTION + 4) == DYNAMIC_SYMBOLS && names > 0 && names < count) {
          long size = sections.getLong(names * SECTION + 32);
          return size < 0 || size > MOST
              ? ""
              : text(read(channel, sections.getLong(names * SECTION + 24), (int) size));
        }
      }
      return "";
    } catch (EOFException e) {
      return "";
    }
  }

  private static String text(ByteBuffer bytes) {
    return ISO_8859_1.decode(bytes).toString();
  }

  private static ByteBuffer read(FileChannel channel, long at, int size) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    while (at >= 0 && bytes.hasRemaining()) {
      if (channel.read(bytes, at + bytes.position()) < 0) {
        break;
      }
    }
    if (bytes.hasRemaining()) {
      throw new EOFException();
    }
    return bytes.flip();
  }
}
