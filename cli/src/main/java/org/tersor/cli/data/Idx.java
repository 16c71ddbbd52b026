package org.tersor.cli.data;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.tersor.runtime.TersorException;

/** MNIST's IDX files of unsigned bytes, plain or gzipped. */
public final class Idx {
  private Idx() {}

  /** Bytes with their dimensions. */
  public record Bytes(int[] dims, byte[] data) {}

  /**
   * Labelled grey images.
   *
   * @param pixels [count, height, width]
   */
  public record Labelled(int count, int height, int width, byte[] pixels, int[] labels) {}

  /**
   * The images and labels of a folder: files whose names hold {@code images-idx3} and {@code
   * labels-idx1}; of several, the test set's (t10k).
   */
  public static Labelled readFolder(Path folder) throws IOException {
    Bytes images = read(find(folder, "images-idx3"));
    Bytes labels = read(find(folder, "labels-idx1"));
    if (images.dims.length != 3 || labels.dims.length != 1 || images.dims[0] != labels.dims[0]) {
      throw new TersorException(
          "TSR-0903", folder + ": the image file and the label file do not belong together");
    }
    int[] numbers = new int[labels.data.length];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = labels.data[i] & 0xFF;
    }
    return new Labelled(images.dims[0], images.dims[1], images.dims[2], images.data, numbers);
  }

  private static Path find(Path folder, String part) throws IOException {
    if (!Files.isDirectory(folder)) {
      throw new TersorException("TSR-0902", folder + " is no folder");
    }
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> found =
          files.filter(f -> f.getFileName().toString().contains(part)).sorted().toList();
      return found.stream()
          .filter(f -> f.getFileName().toString().startsWith("t10k"))
          .findFirst()
          .or(() -> found.stream().findFirst())
          .orElseThrow(() ->
              new TersorException("TSR-0902", folder + " holds no file named *" + part + "*"));
    }
  }

  static Bytes read(Path file) throws IOException {
    try (InputStream plain = Files.newInputStream(file);
        DataInputStream in =
            new DataInputStream(
                new BufferedInputStream(
                    file.toString().endsWith(".gz") ? new GZIPInputStream(plain) : plain))) {
      int magic = in.readInt();
      int rank = magic & 0xFF;
      if (magic >>> 8 != 8 || rank < 1 || rank > 4) {
        throw new TersorException("TSR-0903", file + " is no IDX file of unsigned bytes");
      }
      int[] dims = new int[rank];
      long size = 1;
      for (int i = 0; i < rank; i++) {
        dims[i] = in.readInt();
        size =
            dims[i] < 0
                ? Long.MAX_VALUE
                : Math.multiplyHigh(size, dims[i]) != 0 ? Long.MAX_VALUE : size * dims[i];
        if (size > Integer.MAX_VALUE - 8) {
          throw new TersorException("TSR-0903", file + " says that it holds more than 2 GB");
        }
      }
      byte[] data = in.readNBytes((int) size);
      if (data.length < size) {
        throw new TersorException(
            "TSR-0903", file + " ends after " + data.length + " of " + size + " bytes");
      }
      return new Bytes(dims, data);
    } catch (EOFException e) {
      throw new TersorException("TSR-0903", file + " is no IDX file: it ends in its header", e);
    }
  }
}
