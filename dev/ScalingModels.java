import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Writes models of a wanted size, without the project's own writer: {@code chain N FILE} has N
 * elementwise nodes, {@code inline GIB FILE} has that much weight in the file, {@code external GIB
 * FILE} has it in a sparse file beside. Weights are layers of 4096 x 4096 floats, all zero.
 */
public final class ScalingModels {
  private static final int SIDE = 4096;
  private static final long LAYER = 4L * SIDE * SIDE;

  private ScalingModels() {}

  public static void main(String[] args) throws IOException {
    Path file = Path.of(args[2]);
    switch (args[0]) {
      case "chain" -> chain(Integer.parseInt(args[1]), file);
      case "inline" -> weights(Double.parseDouble(args[1]), file, false);
      case "external" -> weights(Double.parseDouble(args[1]), file, true);
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  /** A protobuf message. */
  private static final class Message {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    private void varint(long value) {
      long rest = value;
      while (rest > 127) {
        out.write((int) (rest & 127 | 128));
        rest >>>= 7;
      }
      out.write((int) rest);
    }

    Message number(int field, long value) {
      varint((long) field << 3);
      varint(value);
      return this;
    }

    Message text(int field, String value) {
      return bytes(field, value.getBytes(StandardCharsets.UTF_8));
    }

    Message message(int field, Message value) {
      return bytes(field, value.out.toByteArray());
    }

    private Message bytes(int field, byte[] value) {
      head(field, value.length);
      out.writeBytes(value);
      return this;
    }

    /** Field number and length of bytes that follow. */
    void head(int field, long length) {
      varint((long) field << 3 | 2);
      varint(length);
    }
  }

  private static Message node(String op, String name, String output, String... inputs) {
    Message node = new Message();
    for (String input : inputs) {
      node.text(1, input);
    }
    return node.text(2, output).text(3, name).text(4, op);
  }

  private static Message port(String name, long... shape) {
    Message dims = new Message();
    for (long dim : shape) {
      dims.message(1, new Message().number(1, dim));
    }
    Message tensor = new Message().number(1, 1).message(2, dims);
    return new Message().text(1, name).message(2, new Message().message(1, tensor));
  }

  private static Message tensor(String name, long... shape) {
    Message tensor = new Message();
    for (long dim : shape) {
      tensor.number(1, dim);
    }
    return tensor.number(2, 1).text(8, name);
  }

  private static void chain(int count, Path file) throws IOException {
    String[] operators = {"Relu", "Add", "Sigmoid", "Mul"};
    Message graph = new Message();
    for (int i = 0; i < count; i++) {
      String operator = operators[i % operators.length];
      String from = i == 0 ? "x" : "v" + (i - 1);
      String to = i == count - 1 ? "y" : "v" + i;
      graph.message(
          1,
          i % 2 == 0 ? node(operator, "n" + i, to, from) : node(operator, "n" + i, to, from, "w"));
    }
    graph.text(2, "chain").message(5, tensor("w", 16).bytes(9, new byte[64]));
    graph.message(11, port("x", 16, 16)).message(12, port("y", 16, 16));
    Files.write(file, model(graph).out.toByteArray());
  }

  private static Message model(Message graph) {
    return new Message().number(1, 8).message(7, graph).message(8, new Message().number(2, 17));
  }

  private static void weights(double gib, Path file, boolean external) throws IOException {
    int layers = (int) Math.ceil(gib * (1L << 30) / LAYER);
    Message rest = new Message();
    for (int i = 0; i < layers; i++) {
      String from = i == 0 ? "x" : "v" + (i - 1);
      rest.message(1, node("MatMul", "n" + i, i == layers - 1 ? "y" : "v" + i, from, "w" + i));
    }
    rest.text(2, "weights").message(11, port("x", 1, SIDE)).message(12, port("y", 1, SIDE));
    if (external) {
      String data = file.getFileName() + ".data";
      try (RandomAccessFile sparse =
          new RandomAccessFile(file.resolveSibling(data).toFile(), "rw")) {
        sparse.setLength(layers * LAYER);
      }
      for (int i = 0; i < layers; i++) {
        rest.message(
            5,
            tensor("w" + i, SIDE, SIDE)
                .message(13, new Message().text(1, "location").text(2, data))
                .message(13, new Message().text(1, "offset").text(2, Long.toString(i * LAYER)))
                .message(13, new Message().text(1, "length").text(2, Long.toString(LAYER)))
                .number(14, 1));
      }
      Files.write(file, model(rest).out.toByteArray());
      return;
    }
    // Fields may come in any order and a message in parts: the weights first, one by one.
    try (OutputStream out = Files.newOutputStream(file)) {
      long size = rest.out.size();
      Message[] heads = new Message[layers];
      for (int i = 0; i < layers; i++) {
        Message tensor = tensor("w" + i, SIDE, SIDE);
        tensor.head(9, LAYER);
        heads[i] = new Message();
        heads[i].head(5, tensor.out.size() + LAYER);
        heads[i].out.writeBytes(tensor.out.toByteArray());
        size += heads[i].out.size() + LAYER;
      }
      Message begin = new Message().number(1, 8);
      begin.head(7, size);
      begin.out.writeTo(out);
      byte[] zeros = new byte[1 << 20];
      for (Message head : heads) {
        head.out.writeTo(out);
        for (long left = LAYER; left > 0; left -= zeros.length) {
          out.write(zeros);
        }
      }
      rest.out.writeTo(out);
      new Message().message(8, new Message().number(2, 17)).out.writeTo(out);
    }
  }
}
