package org.tersor.onnx;

import com.google.protobuf.Message;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.IdentityHashMap;
import org.tersor.onnx.proto.TensorProto;

/** Parses a message from a mapped file. The mapping lives as long as anything that refers to it. */
final class ProtoFile {
  private ProtoFile() {}

  /**
   * A message, and the large raw_data of its tensors, which is not in the message.
   *
   * @param raw by the identity of the tensor
   */
  record Parsed<T extends Message>(T message, IdentityHashMap<TensorProto, MemorySegment> raw) {}

  /**
   * @param empty default instance of the message
   */
  static <T extends Message> Parsed<T> read(Path file, T empty) {
    ByteBuffer bytes;
    try (FileChannel channel = open(file)) {
      long size = channel.size();
      if (size > Integer.MAX_VALUE) {
        throw Diag.error(
            Diag.LIMIT,
            file
                + " has "
                + size
                + " bytes; a protocol buffer has at most 2 GiB. Save the weights as external data");
      }
      bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, Arena.ofAuto()).asByteBuffer();
    } catch (IOException | UnsupportedOperationException e) {
      throw Diag.error(Diag.FILE, file + " cannot be read", e);
    }
    return parse(bytes, empty, file.toString());
  }

  private static FileChannel open(Path file) throws IOException {
    if (!Files.exists(file)) {
      throw Diag.error(Diag.FILE, file + " does not exist");
    }
    if (!Files.isRegularFile(file)) {
      throw Diag.error(Diag.FILE, file + " is not a regular file");
    }
    return FileChannel.open(file, StandardOpenOption.READ);
  }

  /**
   * @param what for messages
   */
  static <T extends Message> Parsed<T> parse(ByteBuffer bytes, T empty, String what) {
    try {
      WireReader reader = new WireReader(bytes);
      @SuppressWarnings("unchecked") // what is read is of the type of the empty message
      T message = (T) reader.read(empty);
      return new Parsed<>(message, reader.raw());
    } catch (IOException | IllegalArgumentException e) {
      throw Diag.error(
          Diag.FORMAT,
          what + " is not a whole ONNX file: it is damaged, cut short, or something else",
          e);
    }
  }
}
