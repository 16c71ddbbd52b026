package org.tersor.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.tersor.cli.data.Images;
import org.tersor.cli.data.Preprocess;
import org.tersor.conformance.RandomInputs;
import org.tersor.ir.graph.RawData;
import org.tersor.onnx.OnnxTensors;
import org.tersor.runtime.DType;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Tensors from files (.npy, .npz, .pb, pictures, raw bytes) or numbers.
 *
 * @param dims values of symbolic dimensions
 * @param preprocess how pictures become numbers
 */
record InputFiles(Map<String, Long> dims, Optional<Preprocess> preprocess) {

  /** A tensor from a file that says its type and shape itself; empty for other kinds of files. */
  static Optional<Tensor> stored(String value, Path file) throws IOException {
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    if (name.endsWith(".npy")) {
      return Optional.of(Npy.read(file));
    }
    if (name.endsWith(".pb")) {
      return Optional.of(OnnxTensors.read(file));
    }
    if (!name.endsWith(".npz")) {
      return Optional.empty();
    }
    Map<String, Tensor> all = Npy.readAll(file);
    Tensor only = all.size() == 1 ? all.values().iterator().next() : all.get(value);
    if (only == null) {
      throw new TersorException(
          "TSR-0903", file + " holds " + all.keySet() + ", none of them named '" + value + "'");
    }
    return Optional.of(only);
  }

  /** The tensor of one element for a number; empty if the text is none, or names a file. */
  static Optional<Tensor> literal(Port port, String text) {
    boolean single =
        port.isTensor() && port.shape().stream().allMatch(dim -> dim.isConst(1) || !dim.isConst());
    if (!single || !text.matches("[-+]?[0-9]+(\\.[0-9]*)?([eE][-+]?[0-9]+)?|true|false")) {
      return Optional.empty();
    }
    long[] shape = new long[port.shape().size()];
    Arrays.fill(shape, 1);
    Tensor tensor = Tensor.zeros(port.dtype(), shape);
    try {
      switch (port.dtype()) {
        case BOOL -> tensor.setLong(0, text.equals("true") || text.equals("1") ? 1 : 0);
        case STRING -> tensor.strings()[0] = text;
        default -> {
          if (port.dtype().isInteger()) {
            tensor.setLong(0, Long.parseLong(text));
          } else {
            tensor.setDouble(0, Double.parseDouble(text));
          }
        }
      }
    } catch (NumberFormatException e) {
      throw new TersorException(
          "TSR-0903",
          "input '" + port.name() + "' is " + port.dtype().text() + ", which " + text + " is not",
          e);
    }
    return Optional.of(tensor);
  }

  /** The tensor for an input, by the suffix of the file. */
  Tensor read(Port port, Path file) throws IOException {
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    Optional<Tensor> stored = stored(port.name(), file);
    if (stored.isPresent()) {
      return withBatch(port, stored.get());
    }
    long[] shape = RandomInputs.shape(port, dims);
    if (name.endsWith(".png")
        || name.endsWith(".jpg")
        || name.endsWith(".jpeg")
        || name.endsWith(".bmp")
        || name.endsWith(".gif")) {
      return picture(port, shape, file);
    }
    byte[] bytes = Files.readAllBytes(file);
    long expected =
        port.dtype() == DType.STRING ? -1 : RawData.byteSize(port.dtype(), Tensor.count(shape));
    if (bytes.length != expected) {
      throw new TersorException(
          "TSR-0903",
          file
              + " holds "
              + bytes.length
              + " bytes; input '"
              + port.name()
              + "' "
              + port.dtype().text()
              + java.util.Arrays.toString(shape)
              + " takes "
              + expected);
    }
    return RawData.decode(port.dtype(), shape, java.lang.foreign.MemorySegment.ofArray(bytes));
  }

  /** Stored samples often lack leading dimensions of one. */
  private static Tensor withBatch(Port port, Tensor tensor) {
    int missing = port.shape().size() - tensor.rank();
    boolean fits = missing > 0;
    for (int d = 0; fits && d < missing; d++) {
      fits = !port.shape().get(d).isConst() || port.shape().get(d).isConst(1);
    }
    if (!fits) {
      return tensor;
    }
    long[] shape = new long[port.shape().size()];
    Arrays.fill(shape, 0, missing, 1);
    System.arraycopy(tensor.shape(), 0, shape, missing, tensor.rank());
    return tensor.reshaped(shape);
  }

  private Tensor picture(Port port, long[] shape, Path file) throws IOException {
    Preprocess how = preprocess.orElse(Preprocess.UNIT);
    if (shape.length != 4) {
      throw new TersorException(
          "TSR-0903", "input '" + port.name() + "' of rank " + shape.length + " takes no picture");
    }
    int channels = (int) shape[how.channelsFirst() ? 1 : 3];
    int height = (int) shape[how.channelsFirst() ? 2 : 1];
    int width = (int) shape[how.channelsFirst() ? 3 : 2];
    if (channels != 1 && channels != 3) {
      throw new TersorException(
          "TSR-0903",
          "input '"
              + port.name()
              + "' has "
              + channels
              + " channels; pictures have 1 or 3 (layout=nhwc?)");
    }
    return how.apply(
        Images.read(file, height, width, channels), 1, height, width, channels, port.dtype());
  }
}
