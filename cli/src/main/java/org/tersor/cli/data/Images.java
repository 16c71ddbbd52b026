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
    System.setProperty("java.awt.headless", "true");
    BufferedImage image = ImageIO.read(file.toFile());
    if (image == null) {
      throw new TersorException(
          "TSR-0903", file + " is no picture that can be read (PNG, JPEG, GIF, BMP)");
    }
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
          pixels[at] =
              (byte)
                  Math.round(
                      .299 * (rgb >> 16 & 255) + .587 * (rgb >> 8 & 255) + .114 * (rgb & 255));
        } else {
          pixels[at] = (byte) (rgb >> 16);
          pixels[at + 1] = (byte) (rgb >> 8);
          pixels[at + 2] = (byte) rgb;
        }
      }
    }
    return pixels;
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
