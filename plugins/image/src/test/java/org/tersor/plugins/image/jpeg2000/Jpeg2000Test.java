package org.tersor.plugins.image.jpeg2000;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.tersor.plugins.image.jpeg2000.TestFiles.bytes;
import static org.tersor.plugins.image.jpeg2000.TestFiles.concat;
import static org.tersor.plugins.image.jpeg2000.TestFiles.decode;
import static org.tersor.plugins.image.jpeg2000.TestFiles.picture;
import static org.tersor.plugins.image.jpeg2000.TestFiles.read;
import static org.tersor.plugins.image.jpeg2000.TestFiles.sample;
import static org.tersor.plugins.image.jpeg2000.TestFiles.segment;

import java.io.IOException;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class Jpeg2000Test {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "plain.jp2", // 5/3, RCT, six resolutions
        "unmixed.j2k",
        "layers.j2k",
        "lrcp.j2k", // these: two layers, tiles, precincts, small code-blocks
        "rlcp.j2k", // and tile-parts for resolutions
        "rpcl.j2k", // and TLM, PLT
        "pcrl.j2k", // and offsets of picture and tiles
        "cprl.j2k", // and tile-parts for components
        "poc.j2k",
        "bypass.j2k",
        "bypass-terminated.j2k",
        "reset-causal.j2k",
        "predictable-marked.j2k",
        "all-styles.j2k",
        "region.j2k"
      })
  void losslessColoursAreExact(String name) throws IOException {
    assertArrayEquals(picture(3, 255), decode(read(name)));
  }

  @ParameterizedTest
  @CsvSource({
    "one-resolution.j2k, 1, 8",
    "signed.j2k, 1, 8",
    "four.jp2, 1, 4",
    "twelve.j2k, 1, 12",
    "sixteen.j2k, 3, 16"
  })
  void losslessSamplesOfAnyDepthAreExact(String name, int channels, int bits) throws IOException {
    Picture picture = Jpeg2000.open(read(name)).read();
    assertEquals(channels, picture.channels());
    assertEquals(bits, picture.bits(0));
    assertArrayEquals(picture(channels, (1 << bits) - 1), TestFiles.samples(picture));
  }

  /** Another decoder agrees up to one level: its sums of floats are in another order. */
  @ParameterizedTest
  @CsvSource({
    "irreversible.j2k, 3, 255, 35",
    "irreversible-grey.j2k, 1, 255, 40",
    "irreversible-sixteen.j2k, 3, 65535, 30",
    "region-lossy.j2k, 3, 255, 25",
    "truncated.j2k, 3, 255, 25"
  })
  void lossyPicturesAreNear(String name, int channels, int most, double decibels)
      throws IOException {
    int[] decoded = decode(read(name));
    int[] other = TestFiles.portableMap(read(name + ".pnm"), channels, most);
    int[] original = picture(channels, most);
    double squares = 0;
    for (int i = 0; i < decoded.length; i++) {
      assertEquals(other[i], decoded[i], 1.0, name + " at " + i);
      squares += Math.pow(decoded[i] - original[i], 2);
    }
    double ratio = 10 * Math.log10((double) most * most * decoded.length / squares);
    assertTrue(ratio >= decibels, () -> name + " has " + ratio + " dB");
  }

  @ParameterizedTest
  @ValueSource(strings = {"420.j2k", "420.jp2"})
  void coarseChromaBecomesColours(String name) throws IOException {
    int[] decoded = decode(read(name));
    for (int y = 0, at = 0; y < 32; y++) {
      for (int x = 0; x < 36; x++) {
        double luma = sample(x, y, 0, 255);
        double cb = sample(x & ~1, y & ~1, 1, 255) - 128;
        double cr = sample(x & ~1, y & ~1, 2, 255) - 128;
        assertEquals(Math.clamp(luma + 1.402 * cr, 0, 255), decoded[at++], .51);
        assertEquals(Math.clamp(luma - .344136 * cb - .714136 * cr, 0, 255), decoded[at++], .51);
        assertEquals(Math.clamp(luma + 1.772 * cb, 0, 255), decoded[at++], .51);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"lrcp.j2k", "pcrl.j2k", "cprl.j2k"})
  void packetHeadersMayLieApart(String name) throws IOException {
    Stream inMain = new Stream(read(name));
    inMain.packInMain();
    assertArrayEquals(picture(3, 255), decode(inMain.write()));
    Stream inTiles = new Stream(read(name));
    inTiles.packInTiles();
    assertArrayEquals(picture(3, 255), decode(inTiles.write()));
  }

  /** Parameters of components go before those of all, and tiles' before those of the picture. */
  @Test
  void narrowerParametersGoBefore() throws IOException {
    Stream stream = new Stream(read("unmixed.j2k"));
    byte[] cod = stream.content(Header.COD);
    byte[] qcd = stream.content(Header.QCD);
    byte[] otherBlocks = cod.clone();
    otherBlocks[6] = 2;
    byte[] otherGuard = qcd.clone();
    otherGuard[0] ^= 0x20;
    stream.replace(Header.COD, otherBlocks);
    stream.replace(Header.QCD, otherGuard);
    byte[] wrong = stream.write();
    for (int c = 0; c < 2; c++) {
      byte[] style = Arrays.copyOfRange(cod, 5, cod.length);
      stream.main.add(segment(Header.COC, concat(bytes(c, cod[0] & 1), style)));
      stream.main.add(segment(Header.QCC, concat(bytes(c), qcd)));
    }
    // The third component takes the tile's, the tile's would go before the others' of the picture.
    Stream.Part first = stream.parts.getFirst();
    first.header.add(segment(Header.COD, cod));
    first.header.add(segment(Header.QCD, qcd));
    first.header.add(segment(0xFF63, bytes(0, 0, 0, 0))); // CRG
    stream.main.add(segment(0xFF7A, bytes(1, 2, 3))); // to be defined
    stream.main.add(bytes(0xFF, 0x30)); // a marker without a segment

    assertArrayEquals(picture(3, 255), decode(stream.write()));

    int[] misread = {};
    try {
      misread = decode(wrong);
    } catch (IOException e) {
      assertTrue(String.valueOf(e.getMessage()).length() > 0);
    }
    assertTrue(!Arrays.equals(picture(3, 255), misread));
  }

  @Test
  void whatIsNotOfPart1IsNamed() throws IOException {
    byte[] file = read("one-resolution.j2k");
    Stream highThroughput = new Stream(file);
    byte[] cod = highThroughput.content(Header.COD);
    cod[8] = 0x40;
    highThroughput.replace(Header.COD, cod);
    assertFault("not of JPEG 2000 Part 1", highThroughput.write());
    Stream deep = new Stream(file);
    byte[] siz = deep.content(0xFF51);
    siz[36] = 23;
    deep.replace(0xFF51, siz);
    assertFault("24 bits are not supported", deep.write());
    siz[36] = 7;
    siz[2] = (byte) 0x80; // a picture beyond 2^31
    deep.replace(0xFF51, siz);
    assertFault("more than 2147483647", deep.write());
  }

  static void assertFault(String part, byte[] file) {
    IOException fault = assertThrows(IOException.class, () -> decode(file));
    assertTrue(String.valueOf(fault.getMessage()).contains(part), fault::toString);
  }
}
