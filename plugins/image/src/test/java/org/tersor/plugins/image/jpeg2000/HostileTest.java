package org.tersor.plugins.image.jpeg2000;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.tersor.plugins.image.jpeg2000.TestFiles.bytes;
import static org.tersor.plugins.image.jpeg2000.TestFiles.decode;
import static org.tersor.plugins.image.jpeg2000.TestFiles.int32;
import static org.tersor.plugins.image.jpeg2000.TestFiles.picture;
import static org.tersor.plugins.image.jpeg2000.TestFiles.read;

import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever a file holds, there is a picture or a fault, and soon. */
class HostileTest {
  /** Those who call the decoder refuse what is larger than they can afford. */
  private static final long MOST_PIXELS = 1 << 16;

  private static final int CHANGED = 400;

  private static void attempt(byte[] file) {
    try {
      Jpeg2000 opened = Jpeg2000.open(file);
      if ((long) opened.width() * opened.height() <= MOST_PIXELS) {
        assertEquals(opened.width(), opened.read().width());
      }
    } catch (IOException fault) {
      assertTrue(String.valueOf(fault.getMessage()).length() > 10, fault::toString);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "plain.jp2",
        "lrcp.j2k",
        "rlcp.j2k",
        "rpcl.j2k",
        "pcrl.j2k",
        "cprl.j2k",
        "poc.j2k",
        "bypass-terminated.j2k",
        "all-styles.j2k",
        "region.j2k",
        "sixteen.j2k",
        "420.jp2",
        "irreversible-grey.j2k"
      })
  @Timeout(value = 300, unit = TimeUnit.SECONDS)
  void changedFiles(String name) throws IOException {
    byte[] file = read(name);
    Random random = new Random(name.hashCode());
    for (int i = 0; i < CHANGED; i++) {
      byte[] changed = file.clone();
      // Headers are short and decide most: half of the changes are there.
      int range = i % 2 == 0 ? Math.min(200, file.length) : file.length;
      for (int k = random.nextInt(4); k >= 0; k--) {
        int at = random.nextInt(range);
        changed[at] =
            (byte) (random.nextBoolean() ? changed[at] ^ 1 << random.nextInt(8) : random.nextInt());
      }
      attempt(i % 5 == 0 ? Arrays.copyOf(changed, random.nextInt(changed.length)) : changed);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"layers.j2k", "cprl.j2k"})
  void whatIsCutOffIsAFault(String name) throws IOException {
    byte[] file = read(name);
    for (int length = 0; length < file.length - 2; length += length < 200 ? 1 : 13) {
      byte[] part = Arrays.copyOf(file, length);
      assertThrows(IOException.class, () -> decode(part), () -> "of " + part.length + " bytes");
    }
    // All packets are there, only the last marker is not.
    assertArrayEquals(picture(3, 255), decode(Arrays.copyOf(file, file.length - 2)));
  }

  @Test
  void sizesAreNotBelieved() throws IOException {
    Stream stream = new Stream(read("one-resolution.j2k"));
    resize(stream, 1 << 15, 1 << 8);
    Jpeg2000Test.assertFault("16384 tiles in", stream.write());
    resize(stream, 1 << 15, 1 << 15);
    Jpeg2000Test.assertFault("has 1073741824 samples", stream.write());
    resize(stream, 1 << 12, 1 << 12);
    byte[] cod = stream.content(Header.COD);
    cod[0] |= 1; // precincts of one sample
    stream.replace(Header.COD, TestFiles.concat(cod, bytes(0)));
    Jpeg2000Test.assertFault("more packets than bytes", stream.write());
  }

  private static void resize(Stream stream, int side, int tile) {
    byte[] siz = stream.content(0xFF51);
    System.arraycopy(int32(side), 0, siz, 2, 4);
    System.arraycopy(int32(side), 0, siz, 6, 4);
    System.arraycopy(int32(tile), 0, siz, 18, 4);
    System.arraycopy(int32(tile), 0, siz, 22, 4);
    stream.replace(0xFF51, siz);
  }

  /** 65535 layers of a precinct with many code-blocks, of which no packet includes any. */
  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS)
  void manyEmptyLayersEnd() throws IOException {
    Stream stream = new Stream(read("one-resolution.j2k"));
    resize(stream, 1400, 1400);
    byte[] cod = stream.content(Header.COD);
    cod[2] = (byte) 0xFF;
    cod[3] = (byte) 0xFF;
    cod[6] = 0;
    cod[7] = 0;
    stream.replace(Header.COD, cod);
    byte[] body = new byte[65535];
    Arrays.fill(body, bytes(0x80)[0]);
    stream.parts.getFirst().body = body;
    Jpeg2000Test.assertFault("more work", stream.write());
  }
}
