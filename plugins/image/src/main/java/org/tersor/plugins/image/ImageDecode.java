package org.tersor.plugins.image;

import com.twelvemonkeys.imageio.plugins.pnm.PNMImageReaderSpi;
import com.twelvemonkeys.imageio.plugins.webp.WebPImageReaderSpi;
import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.spi.ImageReaderSpi;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;
import org.tersor.plugins.image.jpeg2000.Jpeg2000;
import org.tersor.plugins.image.jpeg2000.Picture;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.host.HostCall;

/**
 * The bytes of a picture, U8[n], to U8[height, width, channels]; alpha is dropped. Grey is ITU-R
 * 601-2 luma. The size is checked before anything is decoded.
 */
final class ImageDecode {
  private static final long MOST_PIXELS = 1L << 26;

  private ImageDecode() {}

  static List<Datum> run(HostCall call) {
    Tensor encoded = call.tensor(0);
    if (encoded.dtype() != DType.U8 || encoded.rank() != 1) {
      throw call.error("TSR-0303", "the bytes of a file are needed as u8[n], not " + encoded);
    }
    try {
      return List.of(
          Jpeg2000.matches(encoded.bytes())
              ? jpeg2000(call, Jpeg2000.open(encoded.bytes()))
              : decode(call, encoded.bytes()));
    } catch (IOException | IllegalArgumentException | IndexOutOfBoundsException e) {
      throw call.error("TSR-0705", "the picture cannot be decoded: " + e.getMessage());
    }
  }

  private static Tensor jpeg2000(HostCall call, Jpeg2000 file) throws IOException {
    checkSize(call, file.width(), file.height());
    Picture picture = file.read();
    return pixels(
        call,
        picture.width(),
        picture.height(),
        (x, y, rgb) -> {
          picture.read(x, y, rgb);
          for (int k = 2; k >= 0; k--) {
            int channel = picture.channels() == 1 ? 0 : k;
            rgb[k] = eightBits(rgb[channel], picture.bits(channel));
          }
        });
  }

  private static Tensor decode(HostCall call, byte[] bytes) throws IOException {
    try (ImageInputStream stream =
        new MemoryCacheImageInputStream(new ByteArrayInputStream(bytes))) {
      ImageReader reader = reader(call, stream);
      try {
        reader.setInput(stream, true, true);
        checkSize(call, reader.getWidth(0), reader.getHeight(0));
        Optional<byte[]> lossy = LossyWebp.frame(bytes);
        BufferedImage image =
            lossy.isPresent()
                ? LossyWebp.read(lossy.get(), reader.getWidth(0), reader.getHeight(0))
                : reader.read(0);
        return pixels(
            call, image.getWidth(), image.getHeight(), (x, y, rgb) -> read(image, x, y, rgb));
      } finally {
        reader.dispose();
      }
    }
  }

  private static void checkSize(HostCall call, int width, int height) {
    if ((long) width * height > MOST_PIXELS) {
      throw call.error(
          "TSR-0303",
          "a picture of "
              + width
              + " x "
              + height
              + " pixels is larger than "
              + MOST_PIXELS
              + " pixels");
    }
  }

  /** The readers of this plugin by hand: ImageIO's registry would not see them in a plugin jar. */
  private static ImageReader reader(HostCall call, ImageInputStream stream) throws IOException {
    for (ImageReaderSpi spi : List.of(new WebPImageReaderSpi(), new PNMImageReaderSpi())) {
      if (spi.canDecodeInput(stream)) {
        return spi.createReaderInstance();
      }
    }
    Iterator<ImageReader> standard = ImageIO.getImageReaders(stream);
    if (standard.hasNext()) {
      return standard.next();
    }
    throw call.error(
        "TSR-0705",
        "the bytes are no picture in a known format: bmp, jpeg, jpeg 2000, png, pnm, tiff, webp");
  }

  /** Where the pixels of a picture come from. */
  private interface Pixels {
    /** Reads red, green and blue, of 8 bits each. */
    void read(int x, int y, int[] rgb);
  }

  private static Tensor pixels(HostCall call, int w, int h, Pixels pixels) {
    String format = call.setting("pixel_format");
    boolean grey = format.equals("Grayscale");
    int first = format.equals("BGR") ? 2 : 0;
    Tensor out = call.allocate(DType.U8, h, w, grey ? 1 : 3);
    byte[] to = out.bytes();
    int[] rgb = new int[3];
    for (int y = 0, at = 0; y < h; y++) {
      for (int x = 0; x < w; x++) {
        pixels.read(x, y, rgb);
        if (grey) {
          to[at++] = (byte) ((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
        } else {
          to[at++] = (byte) rgb[first];
          to[at++] = (byte) rgb[1];
          to[at++] = (byte) rgb[2 - first];
        }
      }
    }
    return out;
  }

  /**
   * The samples as they are stored: {@code getRGB} would bend the greys, which Java holds to be
   * linear.
   */
  private static void read(BufferedImage image, int x, int y, int[] rgb) {
    if (image.getColorModel() instanceof IndexColorModel) {
      int argb = image.getRGB(x, y);
      rgb[0] = (argb >> 16) & 0xFF;
      rgb[1] = (argb >> 8) & 0xFF;
      rgb[2] = argb & 0xFF;
      return;
    }
    Raster raster = image.getRaster();
    for (int k = 0; k < 3; k++) {
      int band = raster.getNumBands() < 3 ? 0 : k;
      int bits = raster.getSampleModel().getSampleSize(band);
      int sample = raster.getSample(x, y, band);
      rgb[k] = eightBits(sample, bits);
    }
  }

  private static int eightBits(int sample, int bits) {
    return bits > 8 ? sample >>> (bits - 8) : bits == 8 ? sample : sample * 255 / ((1 << bits) - 1);
  }
}
