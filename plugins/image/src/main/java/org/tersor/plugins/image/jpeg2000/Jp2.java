package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The file format JP2 (Annex I): boxes around a codestream that tell what its components are. */
final class Jp2 {
  private static final int SIGNATURE = 0x6A502020;
  private static final int HEADER = 0x6A703268; // jp2h
  private static final int CODESTREAM = 0x6A703263; // jp2c
  private static final int COLOUR = 0x636F6C72; // colr
  private static final int PALETTE = 0x70636C72; // pclr
  private static final int MAPPING = 0x636D6170; // cmap
  private static final int DEFINITION = 0x63646566; // cdef

  private static final int GREY = 17;
  private static final int SYCC = 18;
  private static final int SRGB = 16;

  /** The colour space by number (I.5.3.3); absent if a profile tells it, or nothing does. */
  private Optional<Integer> space = Optional.empty();

  /** The columns of the palette, and the bits of each. */
  private final List<List<Integer>> palette = new ArrayList<>();

  private final List<Integer> paletteBits = new ArrayList<>();
  private final List<Mapping> mappings = new ArrayList<>();
  private final List<Definition> definitions = new ArrayList<>();
  private boolean hasColour;

  /** How a channel comes from a component (I.5.3.5). */
  private record Mapping(int component, boolean usesPalette, int column) {}

  /** What a channel is (I.5.3.6): type 0 is a colour, of which the association tells the number. */
  private record Definition(int channel, int type, int association) {}

  private record Box(int type, ByteReader content) {}

  static boolean startsAt(byte[] file) throws IOException {
    ByteReader in = new ByteReader(file);
    return in.remaining() >= 12
        && in.u32() == 12
        && in.u32() == SIGNATURE
        && in.u32() == 0x0D0A870A;
  }

  /** Reads boxes up to the codestream, which it returns. */
  ByteReader open(ByteReader in) throws IOException {
    while (in.remaining() > 0) {
      Box box = box(in);
      if (box.type == HEADER) {
        readHeader(box.content);
      } else if (box.type == CODESTREAM) {
        return box.content;
      }
    }
    throw new IOException("the file has no codestream");
  }

  /** I.4: a length of 0 goes to the end, one of 1 stands for eight bytes more. */
  private static Box box(ByteReader in) throws IOException {
    long length = in.u32();
    int type = (int) in.u32();
    if (length == 1) {
      length = (in.u32() << 32 | in.u32()) - 16;
    } else {
      length = length == 0 ? in.remaining() : length - 8;
    }
    return new Box(type, in.part(length));
  }

  private void readHeader(ByteReader in) throws IOException {
    while (in.remaining() > 0) {
      Box box = box(in);
      switch (box.type) {
        case COLOUR -> readColour(box.content);
        case PALETTE -> readPalette(box.content);
        case MAPPING -> {
          while (box.content.remaining() > 0) {
            mappings.add(new Mapping(box.content.u16(), box.content.u8() == 1, box.content.u8()));
          }
        }
        case DEFINITION -> {
          int count = box.content.u16();
          for (int i = 0; i < count; i++) {
            definitions.add(
                new Definition(box.content.u16(), box.content.u16(), box.content.u16()));
          }
        }
        default -> {} // the codestream tells sizes and depths; resolution and others do not matter
      }
    }
  }

  /** I.5.3.3: the first specification holds. Profiles are not applied, as with other formats. */
  private void readColour(ByteReader in) throws IOException {
    int method = in.u8();
    in.u16();
    if (!hasColour && method == 1) {
      space = Optional.of((int) in.u32());
    }
    hasColour = true;
  }

  /** I.5.3.4. */
  private void readPalette(ByteReader in) throws IOException {
    int entries = in.u16();
    int columns = in.u8();
    for (int c = 0; c < columns; c++) {
      int bits = (in.u8() & 0x7F) + 1;
      if (bits > Jpeg2000.MOST_BITS) {
        throw new IOException("a palette has " + bits + " bits, more than " + Jpeg2000.MOST_BITS);
      }
      paletteBits.add(bits);
      palette.add(new ArrayList<>());
    }
    for (int i = 0; i < entries; i++) {
      for (int c = 0; c < columns; c++) {
        int mask = (1 << paletteBits.get(c)) - 1;
        palette.get(c).add((paletteBits.get(c) > 8 ? in.u16() : in.u8()) & mask);
      }
    }
    if (entries == 0) {
      throw new IOException("a palette has no colours");
    }
  }

  Colours colours(ImageSize size) throws IOException {
    List<Colours.Channel> channels = channels(size);
    List<Colours.Channel> colours = new ArrayList<>();
    for (int number = 1; number <= 3; number++) {
      Optional<Integer> channel = channel(number, channels.size());
      if (channel.isPresent()) {
        colours.add(channels.get(channel.get()));
      }
    }
    if (space.isPresent() && space.get() != GREY && space.get() != SRGB && space.get() != SYCC) {
      throw new IOException("colour space " + space.get() + " is not of JPEG 2000 Part 1");
    }
    if (colours.isEmpty()) {
      throw new IOException("no channel of the picture is a colour");
    }
    boolean isGrey = colours.size() < 3 || space.equals(Optional.of(GREY));
    return new Colours(
        isGrey ? List.of(colours.getFirst()) : colours, !isGrey && space.equals(Optional.of(SYCC)));
  }

  private List<Colours.Channel> channels(ImageSize size) throws IOException {
    List<Colours.Channel> channels = new ArrayList<>();
    if (palette.isEmpty()) {
      for (int c = 0; c < size.components().size(); c++) {
        channels.add(Colours.plain(c, size));
      }
      return channels;
    }
    for (Mapping mapping : mappings) {
      if (mapping.component >= size.components().size()
          || (mapping.usesPalette && mapping.column >= palette.size())) {
        throw new IOException("a channel is mapped to what is not there");
      }
      channels.add(
          mapping.usesPalette
              ? new Colours.Channel(
                  mapping.component, paletteBits.get(mapping.column), palette.get(mapping.column))
              : Colours.plain(mapping.component, size));
    }
    return channels;
  }

  /** The channel with a colour of the space, counted from 1. */
  private Optional<Integer> channel(int colour, int channels) {
    if (definitions.isEmpty()) {
      return colour <= channels ? Optional.of(colour - 1) : Optional.empty();
    }
    return definitions.stream()
        .filter(d -> d.type == 0 && d.association == colour && d.channel < channels)
        .map(Definition::channel)
        .findFirst();
  }
}
