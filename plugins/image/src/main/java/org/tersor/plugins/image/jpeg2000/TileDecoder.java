package org.tersor.plugins.image.jpeg2000;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Decodes tiles into the planes of those components that are wanted. */
final class TileDecoder {
  /** What a resolution costs even if it is empty. */
  private static final int RESOLUTION_STEPS = 100;

  private final ImageSize size;
  private final Map<Integer, Plane> planes;
  private final Work work;
  private final BlockDecoder blocks = new BlockDecoder();

  /**
   * @param planes to be filled, by component
   */
  TileDecoder(ImageSize size, Map<Integer, Plane> planes, Work work) {
    this.size = size;
    this.planes = planes;
    this.work = work;
  }

  void decode(int tile, TileParts parts) throws IOException {
    Area area = size.tile(tile);
    Header header = parts.header();
    List<Resolution> resolutions = new ArrayList<>();
    for (int c = 0; c < size.components().size(); c++) {
      addResolutions(area, c, header, resolutions);
    }
    readPackets(tile, parts, area, resolutions);

    boolean mixed = header.coding().mixesComponents();
    if (mixed && size.components().size() < ComponentMix.COUNT) {
      throw new IOException("three components are to be mixed, and there are fewer");
    }
    boolean unmixes = mixed && planes.keySet().stream().anyMatch(c -> c < ComponentMix.COUNT);
    Map<Integer, Wavelet> decoded = new TreeMap<>();
    for (int c = 0; c < size.components().size(); c++) {
      if (planes.containsKey(c) || (unmixes && c < ComponentMix.COUNT)) {
        decoded.put(c, samples(ofComponent(area, c), header.style(c), c, resolutions));
      }
    }
    if (unmixes) {
      ComponentMix.unmix(List.copyOf(decoded.values()).subList(0, ComponentMix.COUNT));
    }
    decoded.forEach((c, samples) -> {
      Plane plane = planes.get(c);
      if (plane != null) {
        write(samples, plane);
      }
    });
  }

  private Area ofComponent(Area tile, int component) {
    ImageSize.Component c = size.components().get(component);
    return tile.every(c.dx(), c.dy());
  }

  private void addResolutions(Area tile, int component, Header header, List<Resolution> to)
      throws IOException {
    CodingStyle style = header.style(component);
    work.spend((long) RESOLUTION_STEPS * (style.levels() + 1));
    for (int r = 0; r <= style.levels(); r++) {
      int bits = size.components().get(component).bits();
      to.add(new Resolution(component, r, style, header, ofComponent(tile, component), bits));
    }
  }

  private void readPackets(int tile, TileParts parts, Area area, List<Resolution> resolutions)
      throws IOException {
    PacketReader reader = new PacketReader(parts, work);
    long count = 0;
    for (Resolution r : resolutions) {
      count += r.precinctCount();
      // Each precinct has a packet, and each packet a byte: so memory is bounded by the file.
      if (count > reader.mostPackets()) {
        throw new IOException(
            "the data are cut off: tile " + tile + " has more packets than bytes");
      }
    }
    List<Precinct> precincts = new ArrayList<>();
    for (Resolution r : resolutions) {
      if (r.precinctCount() > 0) {
        r.addPrecincts(area, size.components().get(r.component));
        precincts.addAll(r.precincts);
      }
    }
    int layers = parts.header().coding().layers();
    for (Progression progression : parts.header().progressions()) {
      PacketOrder.visit(progression, layers, precincts, work, reader::read);
    }
    for (Precinct precinct : precincts) {
      if (precinct.nextLayer < layers) {
        throw new IOException("tile " + tile + " leaves out packets of some layers");
      }
    }
  }

  private Wavelet samples(Area area, CodingStyle style, int component, List<Resolution> all)
      throws IOException {
    if (area.samples() > Jpeg2000.MOST_SAMPLES) {
      throw new IOException("a tile has more than " + Jpeg2000.MOST_SAMPLES + " samples");
    }
    Wavelet wavelet =
        style.reversible() ? new Wavelet.Reversible(area) : new Wavelet.Irreversible(area);
    boolean hasBlocks = false;
    for (Resolution resolution : all) {
      if (resolution.component == component) {
        for (Precinct precinct : resolution.precincts) {
          for (Precinct.Blocks part : precinct.blocks()) {
            for (CodeBlock block : part.included()) {
              decode(block, part.band, resolution, wavelet);
              hasBlocks = true;
            }
          }
        }
      }
    }
    if (hasBlocks) {
      wavelet.invert(style.levels());
    }
    return wavelet;
  }

  private void decode(CodeBlock block, Band band, Resolution resolution, Wavelet wavelet)
      throws IOException {
    blocks.decode(block, band, resolution.style, work);
    Area area = block.area;
    for (int v = area.y0(); v < area.y1(); v++) {
      for (int u = area.x0(); u < area.x1(); u++) {
        int twice = blocks.value(u - area.x0(), v - area.y0());
        if (twice != 0) {
          wavelet.put(
              wavelet.index(band, u, v), movedDown(twice, resolution.regionShift), band.step());
        }
      }
    }
  }

  /**
   * Moves what is of interest down to the other coefficients, whose bits all lie below (H.1). The
   * half below the last bit stays where that bit was one of the lowest.
   */
  private static int movedDown(int twice, int shift) {
    int magnitude = Math.abs(twice);
    if (shift == 0 || shift > 30 || magnitude >> 1 < 1 << shift) {
      return twice;
    }
    int lost = magnitude & ((2 << shift) - 1);
    int moved = magnitude >> shift | (lost == 0 ? 0 : 1);
    return twice < 0 ? -moved : moved;
  }

  private static void write(Wavelet samples, Plane plane) {
    Area area = samples.area;
    for (int y = area.y0(), at = 0; y < area.y1(); y++) {
      for (int x = area.x0(); x < area.x1(); x++, at++) {
        plane.put(x, y, samples.sample(at));
      }
    }
  }
}
