package org.tersor.plugins.image.jpeg2000;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/** The files that {@code make.sh} made, the picture in them, and pieces of other files. */
final class TestFiles {
  static final int WIDTH = 37;
  static final int HEIGHT = 33;

  private TestFiles() {}

  static byte[] read(String name) throws IOException {
    try (InputStream in = TestFiles.class.getResourceAsStream(name)) {
      return Objects.requireNonNull(in, name).readAllBytes();
    }
  }

  /** A sample of the picture in all files. */
  static int sample(int x, int y, int channel, int most) {
    int t = (x * 3 + y * 5 + channel * 60) % 510;
    return Math.min(255, Math.min(t, 510 - t) + (x * y & 7)) * most / 255;
  }

  /** All samples, pixel by pixel. */
  static int[] picture(int channels, int most) {
    int[] samples = new int[WIDTH * HEIGHT * channels];
    for (int i = 0; i < samples.length; i++) {
      int pixel = i / channels;
      samples[i] = sample(pixel % WIDTH, pixel / WIDTH, i % channels, most);
    }
    return samples;
  }

  static int[] decode(byte[] file) throws IOException {
    return samples(Jpeg2000.open(file).read());
  }

  static int[] samples(Picture picture) {
    int channels = picture.channels();
    int[] all = new int[picture.width() * picture.height() * channels];
    int[] pixel = new int[3];
    for (int y = 0, at = 0; y < picture.height(); y++) {
      for (int x = 0; x < picture.width(); x++, at += channels) {
        picture.read(x, y, pixel);
        System.arraycopy(pixel, 0, all, at, channels);
      }
    }
    return all;
  }

  /** The samples of a portable map with the size of the picture. */
  static int[] portableMap(byte[] file, int channels, int most) {
    int bytes = most > 255 ? 2 : 1;
    int[] samples = new int[WIDTH * HEIGHT * channels];
    int from = file.length - samples.length * bytes;
    for (int i = 0; i < samples.length; i++) {
      for (int k = 0; k < bytes; k++) {
        samples[i] = samples[i] << 8 | (file[from + i * bytes + k] & 0xFF);
      }
    }
    return samples;
  }

  static byte[] concat(byte[]... parts) {
    return concat(Arrays.asList(parts));
  }

  static byte[] concat(List<byte[]> parts) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    parts.forEach(all::writeBytes);
    return all.toByteArray();
  }

  static byte[] bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return bytes;
  }

  static byte[] int32(int value) {
    return ByteBuffer.allocate(4).putInt(value).array();
  }

  static byte[] segment(int marker, byte[] content) {
    int length = content.length + 2;
    return concat(bytes(marker >> 8, marker, length >> 8, length), content);
  }

  static byte[] box(String type, byte[]... content) {
    byte[] all = concat(content);
    return concat(int32(all.length + 8), type.getBytes(US_ASCII), all);
  }

  /** A JP2 file with these boxes in its header. */
  static byte[] jp2(byte[] codestream, byte[]... header) {
    return concat(
        concat(int32(12), "jP  \r\n".getBytes(US_ASCII), bytes(0x87, 0x0A)),
        box("ftyp", "jp2 \0\0\0\0jp2 ".getBytes(US_ASCII)),
        box("jp2h", header),
        box("jp2c", codestream));
  }

  static byte[] colour(int space) {
    return box("colr", bytes(1, 0, 0), int32(space));
  }
}
