package org.tersor.cli.data;

import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.tersor.runtime.TersorException;

/** Pixels of PNG, JPEG, GIF and BMP files. */
public final class Images {
  private Images() {}

  /**
   * Reads a picture, scaled to the size without keeping its proportions.
   *
   * @param channels 1 (grey) or 3 (red, green, blue)
   * @return [height, width, channels]
   */
  public static byte[] read(Path file, int height, int width, int channels) throws IOException {
    BufferedImage image = decoded(file);
    BufferedImage scaled =
        image.getWidth() == width && image.getHeight() == height
            ? image
            : scale(image, height, width);
    byte[] pixels = new byte[height * width * channels];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        int rgb = scaled.getRGB(x, y);
        int at = (y * width + x) * channels;
        if (channels == 1) {
          pixels[at] = (byte) Math.round(brightness(rgb));
        } else {
          pixels[at] = (byte) (rgb >> 16);
          pixels[at + 1] = (byte) (rgb >> 8);
          pixels[at + 2] = (byte) rgb;
        }
      }
    }
    return pixels;
  }

  private static BufferedImage decoded(Path file) throws IOException {
    System.setProperty("java.awt.headless", "true");
    BufferedImage image = ImageIO.read(file.toFile());
    if (image == null) {
      throw new TersorException(
          "TSR-0903", file + " is no picture that can be read (PNG, JPEG, GIF, BMP)");
    }
    return image;
  }

  /** As ITU-R BT.601 weighs the colours, 0 to 255. */
  private static double brightness(int rgb) {
    return .299 * (rgb >> 16 & 255) + .587 * (rgb >> 8 & 255) + .114 * (rgb & 255);
  }

  /**
   * Brightness of every pixel.
   *
   * @param pixels row by row, 0 to 1
   */
  public record Grey(int height, int width, float[] pixels) {
    /** A pixel; beyond an edge the one as far inside of it. */
    public float mirrored(int y, int x) {
      return pixels[inside(y, height) * width + inside(x, width)];
    }

    private static int inside(int at, int size) {
      int turn = Math.floorMod(at, 2 * size);
      return turn < size ? turn : 2 * size - 1 - turn;
    }
  }

  /** Reads the brightness of a picture in its own size. */
  public static Grey grey(Path file) throws IOException {
    BufferedImage image = decoded(file);
    float[] pixels = new float[image.getHeight() * image.getWidth()];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] =
          (float) (brightness(image.getRGB(i % image.getWidth(), i / image.getWidth())) / 255);
    }
    return new Grey(image.getHeight(), image.getWidth(), pixels);
  }

  private static BufferedImage scale(BufferedImage image, int height, int width) {
    BufferedImage current = image;
    // halving first keeps bilinear filtering from skipping pixels
    while (current.getWidth() >= 2 * width && current.getHeight() >= 2 * height) {
      current = draw(current, current.getHeight() / 2, current.getWidth() / 2);
    }
    return draw(current, height, width);
  }

  private static BufferedImage draw(BufferedImage image, int height, int width) {
    BufferedImage result = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = result.createGraphics();
    graphics.setRenderingHint(
        RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BILINEAR);
    graphics.drawImage(image, 0, 0, width, height, null);
    graphics.dispose();
    return result;
  }
}
