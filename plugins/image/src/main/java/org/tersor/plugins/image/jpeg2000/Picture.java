package org.tersor.plugins.image.jpeg2000;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A decoded picture, grey or red, green and blue. */
public final class Picture {
  private final Grid grid;
  private final boolean isLumaAndChroma;
  private final List<Source> sources = new ArrayList<>();

  /** Where a colour comes from, and how far apart its samples are on the reference grid. */
  private record Source(Colours.Channel channel, Plane plane, int dx, int dy) {}

  /**
   * The pixels: the samples of that component which is sampled most finely.
   *
   * @param area in pixels
   * @param dx how far apart they are on the reference grid
   * @param dy likewise
   */
  record Grid(Area area, int dx, int dy) {
    static Grid of(Colours colours, ImageSize size) {
      int dx = Integer.MAX_VALUE;
      int dy = Integer.MAX_VALUE;
      for (Colours.Channel channel : colours.channels()) {
        ImageSize.Component component = size.components().get(channel.component());
        dx = Math.min(dx, component.dx());
        dy = Math.min(dy, component.dy());
      }
      return new Grid(size.image().every(dx, dy), dx, dy);
    }
  }

  Picture(Grid grid, Colours colours, ImageSize size, Map<Integer, Plane> planes) {
    this.grid = grid;
    this.isLumaAndChroma = colours.isLumaAndChroma();
    for (Colours.Channel channel : colours.channels()) {
      ImageSize.Component component = size.components().get(channel.component());
      Plane plane = Objects.requireNonNull(planes.get(channel.component()));
      sources.add(new Source(channel, plane, component.dx(), component.dy()));
    }
  }

  public int width() {
    return grid.area.width();
  }

  public int height() {
    return grid.area.height();
  }

  /** How many there are: 1 or 3. */
  public int channels() {
    return sources.size();
  }

  /** How many bits the samples of a channel have. */
  public int bits(int channel) {
    return isLumaAndChroma
        ? sources.getFirst().channel.bits()
        : sources.get(channel).channel.bits();
  }

  /** Reads a pixel: one unsigned sample for each channel. */
  public void read(int x, int y, int[] samples) {
    long column = (long) (grid.area.x0() + x) * grid.dx;
    long row = (long) (grid.area.y0() + y) * grid.dy;
    for (int k = 0; k < sources.size(); k++) {
      Source source = sources.get(k);
      samples[k] = source.channel.colour(source.plane.at(column / source.dx, row / source.dy));
    }
    if (isLumaAndChroma) {
      toRgb(samples);
    }
  }

  /** sYCC, which is the YCbCr of JFIF, with chroma in as many bits as its components have. */
  private void toRgb(int[] samples) {
    int most = (1 << bits(0)) - 1;
    float luma = samples[0];
    float cb = chroma(samples[1], 1) * most;
    float cr = chroma(samples[2], 2) * most;
    samples[0] = Math.clamp(Math.round(luma + 1.402f * cr), 0, most);
    samples[1] = Math.clamp(Math.round(luma - 0.344136f * cb - 0.714136f * cr), 0, most);
    samples[2] = Math.clamp(Math.round(luma + 1.772f * cb), 0, most);
  }

  private float chroma(int sample, int channel) {
    int bits = sources.get(channel).channel.bits();
    return (float) (sample - (1 << (bits - 1))) / ((1 << bits) - 1);
  }
}
