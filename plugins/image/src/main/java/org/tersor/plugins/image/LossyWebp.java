package org.tersor.plugins.image;

import com.twelvemonkeys.imageio.plugins.webp.vp8.VP8Frame;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * Lossy WebP pictures in colors as libwebp makes them: the two color planes have half the
 * resolution and are interpolated between their samples ("fancy upsampling", the default of every
 * program that uses that library), where the decoder at hand repeats them.
 */
final class LossyWebp {
  private static final int HEADER = 12;
  private static final int CHUNK = 8;

  private LossyWebp() {}

  /** The frame of a lossy picture that is no animation. */
  static Optional<byte[]> frame(byte[] file) {
    if (!is(file, 0, "RIFF") || !is(file, CHUNK, "WEBP")) {
      return Optional.empty();
    }
    long at = HEADER;
    while (at + CHUNK <= file.length) {
      int start = (int) at;
      long size = 0;
      for (int i = 3; i >= 0; i--) {
        size = size << 8 | (file[start + 4 + i] & 0xFF);
      }
      if (is(file, start, "ANMF") || is(file, start, "VP8L")) {
        return Optional.empty();
      }
      if (is(file, start, "VP8 ")) {
        long end = Math.min(file.length, at + CHUNK + size);
        return Optional.of(java.util.Arrays.copyOfRange(file, start + CHUNK, (int) end));
      }
      at += CHUNK + size + (size & 1);
    }
    return Optional.empty();
  }

  private static boolean is(byte[] file, int at, String tag) {
    return at + tag.length() <= file.length
        && new String(file, at, tag.length(), StandardCharsets.US_ASCII).equals(tag);
  }

  /** The picture of a frame. */
  static BufferedImage read(byte[] frame, int width, int height) throws IOException {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_3BYTE_BGR);
    try (ImageInputStream stream =
        new MemoryCacheImageInputStream(new ByteArrayInputStream(frame))) {
      stream.setByteOrder(ByteOrder.LITTLE_ENDIAN);
      VP8Frame decoder = new VP8Frame(stream, false);
      decoder.decode(image.getRaster(), null);
      if (decoder.getWidth() != width || decoder.getHeight() != height) {
        throw new IOException("the frame is of another size than the picture");
      }
      BufferedImage luma = decoder.getDebugImageYBuffer();
      Plane u = new Plane(decoder.getDebugImageUBuffer());
      Plane v = new Plane(decoder.getDebugImageVBuffer());
      int[] rgb = new int[3];
      for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
          convert(luma.getRaster().getSample(x, y, 0), u.at(x, y), v.at(x, y), rgb);
          image.getRaster().setPixel(x, y, rgb);
        }
      }
    }
    return image;
  }

  /** ITU-R BT.601 with black at 16, in fixed point with 14 bits of which 8 are dropped early. */
  private static void convert(int y, int u, int v, int[] rgb) {
    int luma = high(y, 19077);
    rgb[0] = clip(luma + high(v, 26149) - 14234);
    rgb[1] = clip(luma - high(u, 6419) - high(v, 13320) + 8708);
    rgb[2] = clip(luma + high(u, 33050) - 17685);
  }

  private static int high(int value, int factor) {
    return (value * factor) >> 8;
  }

  private static int clip(int value) {
    return Math.clamp(value >> 6, 0, 255);
  }

  /** A color plane, of which each sample stands for two by two pixels. */
  private record Plane(BufferedImage repeated) {
    /** The sample's own nine sixteenths and parts of the three that are nearest otherwise. */
    int at(int x, int y) {
      int column = x / 2;
      int row = y / 2;
      int besideColumn =
          Math.clamp(column + (x % 2 == 0 ? -1 : 1), 0, (repeated.getWidth() - 1) / 2);
      int besideRow = Math.clamp(row + (y % 2 == 0 ? -1 : 1), 0, (repeated.getHeight() - 1) / 2);
      return (9 * sample(column, row)
              + 3 * sample(besideColumn, row)
              + 3 * sample(column, besideRow)
              + sample(besideColumn, besideRow)
              + 8)
          >> 4;
    }

    private int sample(int column, int row) {
      return repeated.getRaster().getSample(2 * column, 2 * row, 0);
    }
  }
}
