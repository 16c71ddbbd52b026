package org.tersor.plugins.gguf;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.runtime.TersorException;

/**
 * A GGUF file, versions 2 and 3, little-endian: a header, metadata, descriptions of tensors, and
 * their bytes, which stay in the mapped file.
 *
 * @param metadata in the order of the file
 * @param tensors by name, in the order of the file
 */
record GgufFile(Map<String, GgufValue> metadata, Map<String, TensorInfo> tensors) {
  private static final long MAGIC = 0x46554747; // "GGUF"
  private static final int MOST_DIMENSIONS = 4;
  private static final long DEFAULT_ALIGNMENT = 32;

  GgufFile {
    metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
    tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
  }

  /**
   * A tensor.
   *
   * @param shape row-major: the file's order of dimensions reversed
   * @param bytes exactly those of the tensor
   */
  record TensorInfo(String name, long[] shape, GgmlType type, MemorySegment bytes) {
    @Override
    public boolean equals(Object other) {
      return other instanceof TensorInfo t && name.equals(t.name) && bytes.equals(t.bytes);
    }

    @Override
    public int hashCode() {
      return name.hashCode();
    }

    @Override
    public String toString() {
      return type.id() + Arrays.toString(shape);
    }
  }

  /** A description before the place of the data is known. */
  private record Described(String name, long[] shape, GgmlType type, long offset, long bytes) {}

  static GgufFile read(Path file) {
    if (!Files.isRegularFile(file)) {
      throw Diag.error(
          Diag.FILE, file + (Files.exists(file) ? " is not a regular file" : " does not exist"));
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      return read(channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), Arena.ofAuto()));
    } catch (IOException | UnsupportedOperationException e) {
      throw new TersorException(
          Diag.FILE, file + " cannot be read (" + e.getClass().getSimpleName() + ")", e);
    }
  }

  /** Reads a whole file. */
  static GgufFile read(MemorySegment bytes) {
    GgufReader in = new GgufReader(bytes);
    if (bytes.byteSize() < 4 || in.u32("the first word") != MAGIC) {
      throw Diag.error(Diag.FORMAT, "this is no GGUF file: it does not begin with 'GGUF'");
    }
    long version = in.u32("the version");
    if (version != 2 && version != 3) {
      boolean swapped = version != 0 && (version & 0xffff) == 0;
      throw Diag.error(
          Diag.UNSUPPORTED,
          swapped
              ? "this GGUF file is big-endian; convert it to little-endian"
              : "GGUF version " + version + " is not read; versions 2 and 3 are");
    }
    long tensorCount = in.count(8 + 4 + 4 + 8, "the number of tensors");
    long entries = in.count(8 + 4 + 1, "the number of metadata entries");
    // The counts were held against one remainder each; both together must fit as well.
    if (tensorCount * 24 + entries * 13 > in.left()) {
      throw Diag.error(
          Diag.FORMAT,
          tensorCount + " tensors and " + entries + " metadata entries do not fit into the file");
    }
    Map<String, GgufValue> metadata = new LinkedHashMap<>();
    for (long i = 0; i < entries; i++) {
      String key = in.string("metadata key " + i);
      if (metadata.put(key, in.value("metadata " + Diag.quote(key))) != null) {
        throw Diag.error(Diag.FORMAT, "metadata key " + Diag.quote(key) + " is there twice");
      }
    }
    long alignment = alignment(metadata);
    List<Described> described = new ArrayList<>();
    for (long i = 0; i < tensorCount; i++) {
      described.add(describe(in, "tensor " + i, alignment));
    }
    return new GgufFile(metadata, place(bytes, in.position(), alignment, described));
  }

  private static long alignment(Map<String, GgufValue> metadata) {
    GgufValue given = metadata.get("general.alignment");
    if (given == null) {
      return DEFAULT_ALIGNMENT;
    }
    Optional<Long> alignment =
        given.whole().filter(a -> a >= 8 && a <= 1 << 20 && Long.bitCount(a) == 1);
    return alignment.orElseThrow(() ->
        Diag.error(
            Diag.FORMAT,
            "general.alignment must be a power of two from 8 to 1048576, not " + given));
  }

  private static Described describe(GgufReader in, String what, long alignment) {
    String name = in.string("the name of " + what);
    String quoted = "tensor " + Diag.quote(name);
    long rank = in.u32("the number of dimensions of " + quoted);
    if (rank < 1 || rank > MOST_DIMENSIONS) {
      throw Diag.error(
          Diag.FORMAT, quoted + " has " + rank + " dimensions; there are 1 to " + MOST_DIMENSIONS);
    }
    long[] shape = new long[(int) rank];
    for (int d = shape.length - 1; d >= 0; d--) {
      shape[d] = in.i64("a dimension of " + quoted);
      if (shape[d] < 1) {
        throw Diag.error(
            Diag.FORMAT,
            quoted + " has a dimension of " + Long.toUnsignedString(shape[d]) + " elements");
      }
    }
    long number = in.u32("the type of " + quoted);
    GgmlType type =
        GgmlType.of(number)
            .orElseThrow(() ->
                Diag.error(
                    Diag.UNSUPPORTED,
                    quoted + " is of type " + number + ", which is not known here"));
    if (shape[shape.length - 1] % type.block() != 0) {
      throw Diag.error(
          Diag.FORMAT,
          quoted
              + " has rows of "
              + shape[shape.length - 1]
              + " elements; type "
              + type.id()
              + " comes in blocks of "
              + type.block());
    }
    long bytes = type.bytes();
    try {
      for (int d = 0; d < shape.length; d++) {
        bytes =
            Math.multiplyExact(bytes, d == shape.length - 1 ? shape[d] / type.block() : shape[d]);
      }
    } catch (ArithmeticException e) {
      throw Diag.error(
          Diag.FORMAT, quoted + " of shape " + Arrays.toString(shape) + " is larger than any file");
    }
    long offset = in.i64("the offset of " + quoted);
    if (offset < 0 || offset % alignment != 0) {
      throw Diag.error(
          Diag.FORMAT,
          quoted
              + " begins at offset "
              + Long.toUnsignedString(offset)
              + ", which is no multiple of the alignment "
              + alignment);
    }
    return new Described(name, shape, type, offset, bytes);
  }

  /** Finds each tensor's bytes; two tensors that share a byte are an error. */
  private static Map<String, TensorInfo> place(
      MemorySegment file, long end, long alignment, List<Described> described) {
    long start = (end + alignment - 1) / alignment * alignment;
    long data = Math.max(0, file.byteSize() - start);
    Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    for (Described tensor : described) {
      String quoted = "tensor " + Diag.quote(tensor.name());
      if (tensor.offset() > data || tensor.bytes() > data - tensor.offset()) {
        throw Diag.error(
            Diag.FORMAT,
            quoted
                + " has "
                + tensor.bytes()
                + " bytes at offset "
                + tensor.offset()
                + "; the file holds "
                + data
                + " bytes of tensors");
      }
      TensorInfo info =
          new TensorInfo(
              tensor.name(),
              tensor.shape(),
              tensor.type(),
              file.asSlice(start + tensor.offset(), tensor.bytes()));
      if (tensors.put(tensor.name(), info) != null) {
        throw Diag.error(Diag.FORMAT, quoted + " is there twice");
      }
    }
    List<Described> sorted = new ArrayList<>(described);
    sorted.sort(Comparator.comparingLong(Described::offset));
    for (int i = 1; i < sorted.size(); i++) {
      Described before = sorted.get(i - 1);
      if (before.offset() + before.bytes() > sorted.get(i).offset()) {
        throw Diag.error(
            Diag.FORMAT,
            "tensors "
                + Diag.quote(before.name())
                + " and "
                + Diag.quote(sorted.get(i).name())
                + " overlap");
      }
    }
    return tensors;
  }

  /** The whole number under a key; a diagnostic if it is missing or no whole number above 0. */
  int size(String key) {
    return optionalSize(key).orElseThrow(() -> missing(key));
  }

  Optional<Integer> optionalSize(String key) {
    GgufValue value = metadata.get(key);
    if (value == null) {
      return Optional.empty();
    }
    return Optional.of(
        value
            .whole()
            .filter(n -> n > 0 && n <= 1 << 28)
            .orElseThrow(() ->
                Diag.error(
                    Diag.MODEL,
                    "metadata '"
                        + key
                        + "' must be a whole number from 1 to 2^28, not "
                        + shown(value)))
            .intValue());
  }

  Optional<Double> real(String key) {
    GgufValue value = metadata.get(key);
    if (value == null) {
      return Optional.empty();
    }
    return Optional.of(
        value
            .real()
            .filter(Double::isFinite)
            .orElseThrow(() ->
                Diag.error(
                    Diag.MODEL,
                    "metadata '" + key + "' must be a finite number, not " + shown(value))));
  }

  Optional<String> text(String key) {
    GgufValue value = metadata.get(key);
    if (value == null) {
      return Optional.empty();
    }
    return Optional.of(
        value
            .text()
            .orElseThrow(() ->
                Diag.error(
                    Diag.MODEL, "metadata '" + key + "' must be a text, not " + shown(value))));
  }

  private static String shown(GgufValue value) {
    String text = value.toString();
    return Diag.quote(text.length() > 60 ? text.substring(0, 60) : text);
  }

  private static TersorException missing(String key) {
    return Diag.error(Diag.MODEL, "metadata '" + key + "' is missing");
  }
}
