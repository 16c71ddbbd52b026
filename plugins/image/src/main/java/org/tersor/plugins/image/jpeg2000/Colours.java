package org.tersor.plugins.image.jpeg2000;

import java.util.List;

/**
 * Which components are a picture's grey, or its red, green and blue.
 *
 * @param channels one or three
 * @param isLumaAndChroma whether the three are luma and chroma (sYCC)
 */
record Colours(List<Channel> channels, boolean isLumaAndChroma) {
  /**
   * @param component of the codestream
   * @param bits of a sample, or of a palette's entry
   * @param palette what its samples stand for; empty if they stand for themselves
   */
  record Channel(int component, int bits, List<Integer> palette) {
    int colour(int sample) {
      return palette.isEmpty() ? sample : palette.get(Math.min(sample, palette.size() - 1));
    }
  }

  /** Without a file format around it a codestream does not tell colours. */
  static Colours ofCodestream(ImageSize size) {
    List<ImageSize.Component> all = size.components();
    // One or two components are grey and maybe alpha. Chroma alone is commonly sampled coarsely.
    boolean isGrey = all.size() < 3;
    return new Colours(
        isGrey ? List.of(plain(0, size)) : List.of(plain(0, size), plain(1, size), plain(2, size)),
        !isGrey && all.get(0).dx() < all.get(1).dx() && all.get(1).dx() == all.get(2).dx());
  }

  static Channel plain(int component, ImageSize size) {
    return new Channel(component, size.components().get(component).bits(), List.of());
  }
}
