package org.tersor.plugins.image.jpeg2000;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The parameters in the main header, or in those of a tile's parts, which go before (A.6). What is
 * said about one component goes before what is said about all of them in the same header.
 */
final class Header {
  static final int COD = 0xFF52;
  static final int COC = 0xFF53;
  static final int RGN = 0xFF5E;
  static final int QCD = 0xFF5C;
  static final int QCC = 0xFF5D;
  static final int POC = 0xFF5F;
  static final int PPM = 0xFF60;
  static final int PPT = 0xFF61;

  private final int components;
  private final Optional<Header> main;
  private final Map<Integer, CodingStyle> styles = new HashMap<>();
  private final Map<Integer, Quantization> quantizations = new HashMap<>();
  private final Map<Integer, Integer> shifts = new HashMap<>();
  private final List<Progression> progressions = new ArrayList<>();

  /** Packed packet headers of this header's segments, by their index. */
  private final Map<Integer, byte[]> packed = new TreeMap<>();

  private Optional<TileCoding> coding = Optional.empty();
  private Optional<Quantization> quantization = Optional.empty();

  private Header(int components, Optional<Header> main) {
    this.components = components;
    this.main = main;
  }

  static Header main(int components) {
    return new Header(components, Optional.empty());
  }

  static Header ofTile(Header main) {
    return new Header(main.components, Optional.of(main));
  }

  /** Takes a marker segment; what does not change the picture is passed over. */
  void read(int marker, ByteReader segment) throws IOException {
    switch (marker) {
      case COD -> coding = Optional.of(TileCoding.read(segment));
      case COC -> {
        int component = component(segment);
        styles.put(component, CodingStyle.read(segment, (segment.u8() & 1) != 0));
      }
      case QCD -> quantization = Optional.of(Quantization.read(segment));
      case QCC -> {
        int component = component(segment);
        quantizations.put(component, Quantization.read(segment));
      }
      case RGN -> readRegion(segment);
      case POC -> progressions.addAll(Progression.read(segment, components));
      case PPM, PPT -> packed.put(segment.u8(), segment.rest());
      default -> {} // TLM, PLM, PLT, CRG, COM, and markers to come (A.1.3)
    }
  }

  /** RGN (A.6.3). */
  private void readRegion(ByteReader segment) throws IOException {
    int component = component(segment);
    int style = segment.u8();
    if (style != 0) {
      throw new IOException("regions of interest of style " + style + " are not of Part 1");
    }
    shifts.put(component, segment.u8());
  }

  private int component(ByteReader segment) throws IOException {
    int component = components < 257 ? segment.u8() : segment.u16();
    if (component >= components) {
      throw new IOException("there is no component " + component);
    }
    return component;
  }

  TileCoding coding() throws IOException {
    if (coding.isEmpty() && main.isPresent()) {
      return main.get().coding();
    }
    return coding.orElseThrow(() -> new IOException("there is no marker segment COD"));
  }

  CodingStyle style(int component) throws IOException {
    CodingStyle own = styles.get(component);
    if (own != null) {
      return own;
    }
    return coding.isEmpty() && main.isPresent() ? main.get().style(component) : coding().style();
  }

  Quantization quantization(int component) throws IOException {
    Quantization own = quantizations.get(component);
    if (own != null) {
      return own;
    }
    if (quantization.isEmpty() && main.isPresent()) {
      return main.get().quantization(component);
    }
    return quantization.orElseThrow(() -> new IOException("there is no marker segment QCD"));
  }

  /** By how many bit-planes what is of interest was moved up (H.1). */
  int shift(int component) {
    Integer own = shifts.get(component);
    return own != null ? own : main.isPresent() ? main.get().shift(component) : 0;
  }

  List<Progression> progressions() throws IOException {
    if (!progressions.isEmpty()) {
      return progressions;
    }
    if (coding.isEmpty() && main.isPresent() && !main.get().progressions.isEmpty()) {
      return main.get().progressions;
    }
    return List.of(Progression.whole(coding()));
  }

  /** Takes the packed packet headers out, one after the other; empty if there are none. */
  Optional<byte[]> takePacked() {
    if (packed.isEmpty()) {
      return Optional.empty();
    }
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    packed.values().forEach(all::writeBytes);
    packed.clear();
    return Optional.of(all.toByteArray());
  }
}
