package org.tersor.runtime;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;

/**
 * NumPy's .npy (versions 1 to 3) and .npz files, in row-major and column-major order, of either
 * byte order.
 */
public final class Npy {
  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
  private static final Pattern DESCR =
      Pattern.compile("'descr'\\s*:\\s*'([<>|=]?)([a-zA-Z])(\\d+)'");
  private static final Pattern ORDER = Pattern.compile("'fortran_order'\\s*:\\s*(True|False)");
  private static final Pattern SHAPE = Pattern.compile("'shape'\\s*:\\s*\\(([^)]*)\\)");
  private static final int LARGEST_HEADER = 1 << 16;

  private Npy() {}

  /** Reads a .npy file. */
  public static Tensor read(Path file) throws IOException {
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
      return read(in, file.toString(), Files.size(file));
    }
  }

  /** Reads all arrays of a .npz file, in the order of the archive. */
  public static Map<String, Tensor> readAll(Path file) throws IOException {
    Map<String, Tensor> arrays = new LinkedHashMap<>();
    try (ZipInputStream zip =
        new ZipInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
      for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
        if (entry.getName().endsWith(".npy")) {
          String name = entry.getName().substring(0, entry.getName().length() - 4);
          arrays.put(name, read(zip, file + ":" + entry.getName(), Integer.MAX_VALUE));
        }
      }
    }
    if (arrays.isEmpty()) {
      throw fault(file.toString(), "is no .npz file with arrays in it");
    }
    return arrays;
  }

  private static Tensor read(InputStream in, String where, long size) throws IOException {
    byte[] start = in.readNBytes(8);
    if (start.length < 8 || !Arrays.equals(start, 0, 6, MAGIC, 0, 6)) {
      throw fault(where, "is no .npy file");
    }
    byte[] lengthBytes = in.readNBytes(start[6] == 1 ? 2 : 4);
    ByteBuffer length =
        ByteBuffer.wrap(Arrays.copyOf(lengthBytes, 4)).order(ByteOrder.LITTLE_ENDIAN);
    int headerLength = length.getInt();
    if (headerLength < 0 || headerLength > LARGEST_HEADER) {
      throw fault(where, "has a header of " + headerLength + " bytes");
    }
    String header = new String(in.readNBytes(headerLength), start[6] >= 3 ? UTF_8 : ISO_8859_1);
    Matcher descr = DESCR.matcher(header);
    Matcher order = ORDER.matcher(header);
    Matcher dims = SHAPE.matcher(header);
    if (!descr.find() || !order.find() || !dims.find()) {
      throw fault(where, "has a header that is not understood: " + header.strip());
    }
    int itemSize;
    long[] shape;
    long bytes;
    try {
      itemSize = Integer.parseInt(descr.group(3)) * (descr.group(2).equals("U") ? 4 : 1);
      shape =
          Arrays.stream(dims.group(1).split(","))
              .map(String::strip)
              .filter(s -> !s.isEmpty())
              .mapToLong(Long::parseLong)
              .toArray();
      bytes = Math.multiplyExact(Tensor.count(shape), (long) itemSize);
    } catch (NumberFormatException | ArithmeticException e) {
      throw fault(where, "has a shape that is not possible: " + dims.group(1));
    }
    if (bytes > size || bytes > Integer.MAX_VALUE - 8) {
      throw fault(where, "is shorter than its shape says, or too large");
    }
    byte[] data = in.readNBytes((int) bytes);
    if (data.length < bytes) {
      throw fault(where, "ends after " + data.length + " of " + bytes + " bytes");
    }
    ByteBuffer buffer =
        ByteBuffer.wrap(data)
            .order(descr.group(1).equals(">") ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
    Tensor tensor = tensor(descr.group(2), itemSize, shape, buffer, where);
    return order.group(1).equals("True") ? fromColumnMajor(tensor) : tensor;
  }

  private static Tensor tensor(
      String kind, int itemSize, long[] shape, ByteBuffer data, String where) {
    if (kind.equals("U") || kind.equals("S")) {
      return texts(kind, itemSize, shape, data, where);
    }
    DType dtype =
        switch (kind + itemSize) {
          case "b1" -> DType.BOOL;
          case "i1" -> DType.I8;
          case "u1" -> DType.U8;
          case "i2" -> DType.I16;
          case "u2" -> DType.U16;
          case "i4" -> DType.I32;
          case "u4" -> DType.U32;
          case "i8" -> DType.I64;
          case "u8" -> DType.U64;
          case "f2" -> DType.F16;
          case "f4" -> DType.F32;
          case "f8" -> DType.F64;
          case "c8" -> DType.C64;
          case "c16" -> DType.C128;
          default ->
              throw fault(
                  where, "has elements of type '" + kind + itemSize + "', which no tensor has");
        };
    Tensor tensor = Tensor.zeros(dtype, shape);
    switch (dtype.slot()) {
      case BYTE -> data.get(tensor.bytes());
      case SHORT -> data.asShortBuffer().get(tensor.shorts());
      case INT -> data.asIntBuffer().get(tensor.ints());
      case LONG -> data.asLongBuffer().get(tensor.longs());
      case FLOAT -> data.asFloatBuffer().get(tensor.floats());
      case DOUBLE -> data.asDoubleBuffer().get(tensor.doubles());
      case STRING -> throw new IllegalStateException();
    }
    return tensor;
  }

  private static Tensor texts(
      String kind, int itemSize, long[] shape, ByteBuffer data, String where) {
    Tensor tensor = Tensor.zeros(DType.STRING, shape);
    for (int i = 0; i < tensor.size(); i++) {
      StringBuilder text = new StringBuilder();
      if (kind.equals("U")) {
        for (int at = i * itemSize; at < (i + 1) * itemSize && data.getInt(at) != 0; at += 4) {
          if (!Character.isValidCodePoint(data.getInt(at))) {
            throw fault(where, "holds a character that there is not: " + data.getInt(at));
          }
          text.appendCodePoint(data.getInt(at));
        }
      } else {
        for (int at = i * itemSize; at < (i + 1) * itemSize && data.get(at) != 0; at++) {
          text.append((char) (data.get(at) & 0xFF));
        }
      }
      tensor.strings()[i] = text.toString();
    }
    return tensor;
  }

  private static Tensor fromColumnMajor(Tensor tensor) {
    int rank = tensor.rank();
    Tensor result = Tensor.zeros(tensor.dtype(), tensor.shape());
    int slots = tensor.dtype().slots();
    long[] index = new long[rank];
    for (int i = 0; i < tensor.size(); i++) {
      long at = 0;
      for (int d = rank - 1; d >= 0; d--) {
        at = at * tensor.shape()[d] + index[d];
      }
      System.arraycopy(tensor.array(), (int) at * slots, result.array(), i * slots, slots);
      for (int d = rank - 1; d >= 0 && ++index[d] == tensor.shape()[d]; d--) {
        index[d] = 0;
      }
    }
    return result;
  }

  /** Writes a .npy file. */
  public static void write(Tensor tensor, Path file) throws IOException {
    WholeFile.write(
        file,
        temporary -> {
          try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(temporary))) {
            write(tensor, out);
          }
        });
  }

  /** Writes a .npz file; the same tensors give the same bytes. */
  public static void writeAll(Map<String, Tensor> tensors, Path file) throws IOException {
    WholeFile.write(
        file,
        temporary -> {
          try (ZipOutputStream zip =
              new ZipOutputStream(new BufferedOutputStream(Files.newOutputStream(temporary)))) {
            writeAll(tensors, zip);
          }
        });
  }

  private static void writeAll(Map<String, Tensor> tensors, ZipOutputStream zip)
      throws IOException {
    for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
      ZipEntry member = new ZipEntry(entry.getKey() + ".npy");
      // The first time that a zip can hold, in every time zone.
      member.setTimeLocal(LocalDateTime.of(1980, 1, 1, 0, 0, 0));
      zip.putNextEntry(member);
      write(entry.getValue(), zip);
      zip.closeEntry();
    }
  }

  /**
   * Types that NumPy does not have (bfloat16, 8-bit floats, 4-bit integers) are written as float32
   * or 8-bit integers.
   */
  private static void write(Tensor given, OutputStream out) throws IOException {
    Tensor tensor = asNumpyHasIt(given);
    int width = tensor.dtype() == DType.STRING ? longest(tensor) : tensor.dtype().memoryBytes();
    String descr =
        switch (tensor.dtype()) {
          case BOOL -> "|b1";
          case I8, I4, I2 -> "|i1";
          case U8, U4, U2 -> "|u1";
          case I16 -> "<i2";
          case U16 -> "<u2";
          case I32 -> "<i4";
          case U32 -> "<u4";
          case I64 -> "<i8";
          case U64 -> "<u8";
          case F16 -> "<f2";
          case F64 -> "<f8";
          case C64 -> "<c8";
          case C128 -> "<c16";
          case STRING -> "<U" + width / 4;
          default -> "<f4";
        };
    List<String> dims = new ArrayList<>();
    for (long dim : tensor.shape()) {
      dims.add(Long.toString(dim));
    }
    String shape = dims.size() == 1 ? dims.getFirst() + "," : String.join(", ", dims);
    String header =
        "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }";
    int padding = 64 - (10 + header.length() + 1) % 64;
    header += " ".repeat(padding % 64) + "\n";
    out.write(MAGIC);
    out.write(new byte[] {1, 0, (byte) header.length(), (byte) (header.length() >> 8)});
    out.write(header.getBytes(ISO_8859_1));
    byte[] data = new byte[Math.multiplyExact(tensor.size(), width)];
    ByteBuffer buffer = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
    switch (tensor.dtype().slot()) {
      case BYTE -> buffer.put(tensor.bytes());
      case SHORT -> buffer.asShortBuffer().put(tensor.shorts());
      case INT -> buffer.asIntBuffer().put(tensor.ints());
      case LONG -> buffer.asLongBuffer().put(tensor.longs());
      case FLOAT -> buffer.asFloatBuffer().put(tensor.floats());
      case DOUBLE -> buffer.asDoubleBuffer().put(tensor.doubles());
      case STRING -> {
        for (int i = 0; i < tensor.size(); i++) {
          int at = i * width;
          for (int codePoint : tensor.strings()[i].codePoints().toArray()) {
            buffer.putInt(at, codePoint);
            at += 4;
          }
        }
      }
    }
    out.write(data);
  }

  private static Tensor asNumpyHasIt(Tensor tensor) {
    return switch (tensor.dtype()) {
      case BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1 -> {
        Tensor wide = Tensor.zeros(DType.F32, tensor.shape());
        for (int i = 0; i < tensor.size(); i++) {
          wide.floats()[i] = (float) tensor.getDouble(i);
        }
        yield wide;
      }
      default -> tensor;
    };
  }

  private static int longest(Tensor tensor) {
    return 4
        * Math.max(
            1,
            Arrays.stream(tensor.strings())
                .collect(Collectors.summarizingInt(s -> s.codePointCount(0, s.length())))
                .getMax());
  }

  private static TersorException fault(String where, String what) {
    return new TersorException("TSR-0903", where + " " + what);
  }
}
