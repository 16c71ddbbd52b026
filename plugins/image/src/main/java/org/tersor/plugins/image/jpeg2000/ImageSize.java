package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * The marker segment SIZ (A.5.1): the picture, its tiles and its components on the reference grid.
 *
 * @param image what of the grid is the picture
 * @param tileX where the first tile starts, at or before the picture
 * @param tileY likewise
 * @param tileWidth of all tiles that the border does not cut
 * @param tileHeight likewise
 * @param components in the order of the codestream
 */
record ImageSize(
    Area image, int tileX, int tileY, int tileWidth, int tileHeight, List<Component> components) {
  private static final int MOST_COMPONENTS = 16384;
  private static final int MOST_TILES = 65535;

  /**
   * @param bits of a sample
   * @param signed whether samples are around 0
   * @param dx it has a sample at every dx-th column of the grid
   * @param dy likewise
   */
  record Component(int bits, boolean signed, int dx, int dy) {}

  static ImageSize read(ByteReader in) throws IOException {
    in.u16(); // capabilities: what needs any is refused where it occurs
    int x1 = in.u31("the picture's right border");
    int y1 = in.u31("the picture's lower border");
    int x0 = in.u31("the picture's left border");
    int y0 = in.u31("the picture's upper border");
    // A tile larger than the grid is common: "one tile".
    int tileWidth = (int) Math.min(in.u32(), Integer.MAX_VALUE);
    int tileHeight = (int) Math.min(in.u32(), Integer.MAX_VALUE);
    int tileX = in.u31("the left border of the tiles");
    int tileY = in.u31("the upper border of the tiles");
    if (x1 <= x0 || y1 <= y0) {
      throw new IOException("the picture has no pixels");
    }
    if (tileX > x0
        || tileY > y0
        || (long) tileX + tileWidth <= x0
        || (long) tileY + tileHeight <= y0) {
      throw new IOException("the first tile misses the picture");
    }
    int count = in.u16();
    if (count < 1 || count > MOST_COMPONENTS) {
      throw new IOException("there are " + count + " components, not 1 to " + MOST_COMPONENTS);
    }
    List<Component> components = new ArrayList<>();
    for (int c = 0; c < count; c++) {
      int depth = in.u8();
      Component component =
          new Component((depth & 0x7F) + 1, (depth & 0x80) != 0, in.u8(), in.u8());
      if (component.dx == 0 || component.dy == 0) {
        throw new IOException("component " + c + " has a sampling distance of 0");
      }
      components.add(component);
    }
    ImageSize size =
        new ImageSize(
            new Area(x0, y0, x1, y1), tileX, tileY, tileWidth, tileHeight, List.copyOf(components));
    if ((long) size.tilesWide() * size.tilesHigh() > MOST_TILES) {
      throw new IOException("there are more than " + MOST_TILES + " tiles");
    }
    return size;
  }

  int tilesWide() {
    return Math.ceilDiv(image.x1() - tileX, tileWidth);
  }

  int tilesHigh() {
    return Math.ceilDiv(image.y1() - tileY, tileHeight);
  }

  int tiles() {
    return tilesWide() * tilesHigh();
  }

  /** A tile on the reference grid (B.3). */
  Area tile(int index) {
    long left = tileX + (long) (index % tilesWide()) * tileWidth;
    long top = tileY + (long) (index / tilesWide()) * tileHeight;
    return image.intersect(left, top, left + tileWidth, top + tileHeight);
  }
}
