package org.tersor.conformance.ort;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.conformance.Reference.Port;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;

/**
 * What parent and worker write to each other. Tensors travel unpacked and little-endian; every
 * message starts with one byte.
 */
final class Wire {
  static final int OPEN = 1;
  static final int RUN = 2;
  static final int PREPARE = 3;
  static final int TIME = 4;
  static final int CLOSE = 5;

  static final int OK = 10;
  static final int REFUSED = 11;

  private Wire() {}

  static void writeText(DataOutputStream out, String text) throws IOException {
    byte[] bytes = text.getBytes(UTF_8);
    out.writeInt(bytes.length);
    out.write(bytes);
  }

  static String readText(DataInputStream in) throws IOException {
    return new String(readBytes(in), UTF_8);
  }

  private static byte[] readBytes(DataInputStream in) throws IOException {
    byte[] bytes = new byte[in.readInt()];
    in.readFully(bytes);
    return bytes;
  }

  static void writeData(DataOutputStream out, Map<String, ? extends Datum> data)
      throws IOException {
    out.writeInt(data.size());
    for (Map.Entry<String, ? extends Datum> entry : data.entrySet()) {
      writeText(out, entry.getKey());
      write(out, entry.getValue());
    }
  }

  static Map<String, Datum> readData(DataInputStream in) throws IOException {
    Map<String, Datum> data = new LinkedHashMap<>();
    int n = in.readInt();
    for (int i = 0; i < n; i++) {
      String name = readText(in);
      data.put(name, read(in));
    }
    return data;
  }

  private static void write(DataOutputStream out, Datum datum) throws IOException {
    switch (datum) {
      case Tensor tensor -> {
        out.writeByte(0);
        writeTensor(out, tensor);
      }
      case Datum.Sequence sequence -> {
        out.writeByte(1);
        out.writeInt(sequence.elements().size());
        for (Datum element : sequence.elements()) {
          write(out, element);
        }
      }
      case Datum.Dictionary dictionary -> {
        out.writeByte(2);
        writeTensor(out, dictionary.keys());
        writeTensor(out, dictionary.values());
      }
      case Datum.Maybe(Optional<Datum> value) -> {
        out.writeByte(value.isPresent() ? 4 : 3);
        if (value.isPresent()) {
          write(out, value.get());
        }
      }
    }
  }

  private static Datum read(DataInputStream in) throws IOException {
    int kind = in.readByte();
    return switch (kind) {
      case 0 -> readTensor(in);
      case 1 -> {
        List<Datum> elements = new ArrayList<>();
        int n = in.readInt();
        for (int i = 0; i < n; i++) {
          elements.add(read(in));
        }
        yield new Datum.Sequence(elements);
      }
      case 2 -> new Datum.Dictionary(readTensor(in), readTensor(in));
      case 3 -> new Datum.Maybe(Optional.empty());
      case 4 -> new Datum.Maybe(Optional.of(read(in)));
      default -> throw new IOException("unknown kind of value " + kind);
    };
  }

  private static void writeTensor(DataOutputStream out, Tensor tensor) throws IOException {
    writeText(out, tensor.dtype().text());
    out.writeInt(tensor.rank());
    for (long dim : tensor.shape()) {
      out.writeLong(dim);
    }
    if (tensor.dtype() == DType.STRING) {
      for (String text : tensor.strings()) {
        writeText(out, text);
      }
    } else {
      byte[] bytes = new byte[Math.multiplyExact(tensor.size(), tensor.dtype().memoryBytes())];
      copyOut(tensor, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
      out.writeInt(bytes.length);
      out.write(bytes);
    }
  }

  private static Tensor readTensor(DataInputStream in) throws IOException {
    DType dtype = DType.of(readText(in));
    long[] shape = new long[in.readInt()];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = in.readLong();
    }
    if (dtype == DType.STRING) {
      String[] texts = new String[Math.toIntExact(Tensor.count(shape))];
      for (int i = 0; i < texts.length; i++) {
        texts[i] = readText(in);
      }
      return new Tensor(dtype, shape, texts);
    }
    return copyIn(dtype, shape, ByteBuffer.wrap(readBytes(in)).order(ByteOrder.LITTLE_ENDIAN));
  }

  /** Elements of a tensor into a buffer, in the buffer's byte order. */
  static void copyOut(Tensor tensor, ByteBuffer to) {
    switch (tensor.dtype().slot()) {
      case BYTE -> to.put(tensor.bytes());
      case SHORT -> to.asShortBuffer().put(tensor.shorts());
      case INT -> to.asIntBuffer().put(tensor.ints());
      case LONG -> to.asLongBuffer().put(tensor.longs());
      case FLOAT -> to.asFloatBuffer().put(tensor.floats());
      case DOUBLE -> to.asDoubleBuffer().put(tensor.doubles());
      case STRING -> throw new IllegalArgumentException("strings have no bytes");
    }
  }

  /** A tensor of the bytes of a buffer. */
  static Tensor copyIn(DType dtype, long[] shape, ByteBuffer from) {
    Tensor tensor = Tensor.zeros(dtype, shape);
    switch (dtype.slot()) {
      case BYTE -> from.get(tensor.bytes());
      case SHORT -> from.asShortBuffer().get(tensor.shorts());
      case INT -> from.asIntBuffer().get(tensor.ints());
      case LONG -> from.asLongBuffer().get(tensor.longs());
      case FLOAT -> from.asFloatBuffer().get(tensor.floats());
      case DOUBLE -> from.asDoubleBuffer().get(tensor.doubles());
      case STRING -> throw new IllegalArgumentException("strings have no bytes");
    }
    return tensor;
  }

  static void writePorts(DataOutputStream out, List<Port> ports) throws IOException {
    out.writeInt(ports.size());
    for (Port port : ports) {
      writeText(out, port.name());
      writeText(out, port.dtype().text());
      out.writeInt(port.shape().size());
      for (long dim : port.shape()) {
        out.writeLong(dim);
      }
    }
  }

  static List<Port> readPorts(DataInputStream in) throws IOException {
    List<Port> ports = new ArrayList<>();
    int n = in.readInt();
    for (int i = 0; i < n; i++) {
      String name = readText(in);
      DType dtype = DType.of(readText(in));
      List<Long> shape = new ArrayList<>();
      int rank = in.readInt();
      for (int d = 0; d < rank; d++) {
        shape.add(in.readLong());
      }
      ports.add(new Port(name, dtype, shape));
    }
    return ports;
  }

  static void writeTimes(DataOutputStream out, long[] times) throws IOException {
    byte[] bytes = new byte[times.length * 8];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asLongBuffer().put(times);
    out.writeInt(bytes.length);
    out.write(bytes);
  }

  static long[] readTimes(DataInputStream in) throws IOException {
    byte[] bytes = readBytes(in);
    long[] times = new long[bytes.length / 8];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asLongBuffer().get(times);
    return times;
  }
}
