package org.tersor.plugins.image.jpeg2000;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.tersor.plugins.image.jpeg2000.TestFiles.box;
import static org.tersor.plugins.image.jpeg2000.TestFiles.bytes;
import static org.tersor.plugins.image.jpeg2000.TestFiles.colour;
import static org.tersor.plugins.image.jpeg2000.TestFiles.concat;
import static org.tersor.plugins.image.jpeg2000.TestFiles.decode;
import static org.tersor.plugins.image.jpeg2000.TestFiles.int32;
import static org.tersor.plugins.image.jpeg2000.TestFiles.jp2;
import static org.tersor.plugins.image.jpeg2000.TestFiles.picture;
import static org.tersor.plugins.image.jpeg2000.TestFiles.read;
import static org.tersor.plugins.image.jpeg2000.TestFiles.sample;

import java.io.IOException;
import org.junit.jupiter.api.Test;

class Jp2Test {
  private static final int SRGB = 16;
  private static final int GREY = 17;

  @Test
  void palettes() throws IOException {
    byte[] colours = new byte[256 * 3];
    for (int i = 0; i < 256; i++) {
      colours[3 * i] = (byte) (255 - i);
      colours[3 * i + 1] = (byte) (i ^ 0x55);
      colours[3 * i + 2] = (byte) (i * 7);
    }
    byte[] file =
        jp2(
            read("one-resolution.j2k"),
            colour(SRGB),
            box("pclr", bytes(1, 0, 3, 7, 7, 7), colours),
            box("cmap", bytes(0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 2)));
    int[] decoded = decode(file);
    assertEquals(TestFiles.WIDTH * TestFiles.HEIGHT * 3, decoded.length);
    for (int i = 0; i < decoded.length; i++) {
      int pixel = i / 3;
      int index = sample(pixel % TestFiles.WIDTH, pixel / TestFiles.WIDTH, 0, 255);
      assertEquals(colours[3 * index + i % 3] & 0xFF, decoded[i]);
    }
  }

  @Test
  void mappingsBeyondThePaletteAreRefused() throws IOException {
    byte[] palette = box("pclr", bytes(0, 1, 1, 7, 9));
    byte[] codestream = read("one-resolution.j2k");
    byte[] mapping = box("cmap", bytes(0, 0, 1, 1));
    Jpeg2000Test.assertFault("what is not there", jp2(codestream, colour(GREY), palette, mapping));
    Jpeg2000Test.assertFault("no channel", jp2(codestream, colour(GREY), palette));
  }

  @Test
  void channelsHaveDefinitions() throws IOException {
    byte[] codestream = read("unmixed.j2k");
    byte[] swapped = box("cdef", bytes(0, 3, 0, 0, 0, 0, 0, 3, 0, 1, 0, 0, 0, 2, 0, 2, 0, 0, 0, 1));
    int[] decoded = decode(jp2(codestream, colour(SRGB), swapped));
    int[] expected = picture(3, 255);
    for (int i = 0; i < expected.length; i += 3) {
      int red = expected[i];
      expected[i] = expected[i + 2];
      expected[i + 2] = red;
    }
    assertArrayEquals(expected, decoded);
    // The second component is alpha, the third is nothing in particular.
    byte[] alpha =
        box("cdef", bytes(0, 3, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 2, 255, 255, 255, 255));
    assertArrayEquals(picture(1, 255), decode(jp2(codestream, colour(GREY), alpha)));
  }

  @Test
  void colourSpaces() throws IOException {
    byte[] codestream = read("unmixed.j2k");
    byte[] profile = box("colr", bytes(2, 0, 0, 1, 2, 3));
    assertArrayEquals(picture(3, 255), decode(jp2(codestream, profile, colour(12))));
    assertArrayEquals(picture(1, 255), decode(jp2(codestream, colour(GREY))));
    Jpeg2000Test.assertFault("colour space 12", jp2(codestream, colour(12)));
  }

  @Test
  void boxesOfOtherLengths() throws IOException {
    byte[] file = jp2(read("unmixed.j2k"), colour(SRGB));
    int codestream = new String(file, US_ASCII).indexOf("jp2c") - 4;
    byte[] head = java.util.Arrays.copyOf(file, codestream);
    byte[] rest = java.util.Arrays.copyOfRange(file, codestream + 8, file.length);
    byte[] type = "jp2c".getBytes(US_ASCII);
    assertArrayEquals(picture(3, 255), decode(concat(head, int32(0), type, rest)));
    assertArrayEquals(
        picture(3, 255),
        decode(concat(head, int32(1), type, int32(0), int32(rest.length + 16), rest, bytes(7))));
    Jpeg2000Test.assertFault("cut off", concat(head, int32(7), type, rest));
    Jpeg2000Test.assertFault("cut off", concat(head, int32(1), type, int32(-1), int32(0), rest));
    Jpeg2000Test.assertFault("no codestream", head);
    assertTrue(Jpeg2000.matches(head));
  }
}
