package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;

/**
 * A picture in a JP2 file or in a codestream of JPEG 2000 Part 1. Whatever the bytes are, reading
 * ends in a picture or an {@link IOException}, after work that the size of the file and that of the
 * picture bound.
 */
public final class Jpeg2000 {
  /** What planes hold; the standard goes to 38, and files do not. */
  static final int MOST_BITS = 16;

  /** The samples of one component, at most: one tile of them takes four bytes each. */
  static final long MOST_SAMPLES = 1L << 26;

  private final Codestream codestream;
  private final Colours colours;
  private final Picture.Grid grid;

  private Jpeg2000(Codestream codestream, Colours colours) {
    this.codestream = codestream;
    this.colours = colours;
    this.grid = Picture.Grid.of(colours, codestream.size());
  }

  /** Whether a file starts like JPEG 2000. */
  public static boolean matches(byte[] file) throws IOException {
    return Jp2.startsAt(file) || Codestream.startsAt(new ByteReader(file));
  }

  /** Reads the headers. */
  public static Jpeg2000 open(byte[] file) throws IOException {
    ByteReader in = new ByteReader(file);
    if (!Jp2.startsAt(file)) {
      Codestream raw = Codestream.open(in);
      return new Jpeg2000(raw, Colours.ofCodestream(raw.size()));
    }
    Jp2 boxes = new Jp2();
    Codestream codestream = Codestream.open(boxes.open(in));
    return new Jpeg2000(codestream, boxes.colours(codestream.size()));
  }

  public int width() {
    return grid.area().width();
  }

  public int height() {
    return grid.area().height();
  }

  /** Decodes the picture, once; the caller knows its size and can afford it. */
  public Picture read() throws IOException {
    ImageSize size = codestream.size();
    Work work = new Work(codestream.remaining());
    Map<Integer, TileParts> tiles = codestream.readTiles();
    Map<Integer, Plane> planes = new TreeMap<>();
    for (Colours.Channel channel : colours.channels()) {
      ImageSize.Component component = size.components().get(channel.component());
      Area area = size.image().every(component.dx(), component.dy());
      if (component.bits() > MOST_BITS) {
        throw new IOException(
            "samples of " + component.bits() + " bits are not supported, only " + MOST_BITS);
      }
      if (area.isEmpty() || area.samples() > MOST_SAMPLES) {
        throw new IOException(
            "component "
                + channel.component()
                + " has "
                + area.samples()
                + " samples, not 1 to "
                + MOST_SAMPLES);
      }
      planes.computeIfAbsent(channel.component(), c -> Plane.of(area, component.bits()));
    }
    TileDecoder decoder = new TileDecoder(size, planes, work);
    for (Map.Entry<Integer, TileParts> tile : tiles.entrySet()) {
      decoder.decode(tile.getKey(), tile.getValue());
    }
    return new Picture(grid, colours, size, planes);
  }
}
