package org.tersor.onnx;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.DiscardUnknownFieldsParser;
import com.google.protobuf.Message;
import com.google.protobuf.Parser;
import com.google.protobuf.UnsafeByteOperations;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Parses a message from a mapped file. Byte fields of the result are slices of the mapping, not
 * copies; the mapping lives as long as anything that refers to it.
 */
final class ProtoFile {
  /**
   * A body of a node is three messages deeper than its graph: about 50 bodies inside each other.
   */
  private static final int RECURSION_LIMIT = 150;

  private ProtoFile() {}

  static <T extends Message> T read(Path file, Parser<T> parser) {
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
    return parse(bytes, parser, file.toString());
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
  static <T extends Message> T parse(ByteBuffer bytes, Parser<T> parser, String what) {
    try {
      CodedInputStream in = UnsafeByteOperations.unsafeWrap(bytes).newCodedInput();
      in.enableAliasing(true);
      in.setRecursionLimit(RECURSION_LIMIT);
      T message = DiscardUnknownFieldsParser.wrap(parser).parseFrom(in);
      in.checkLastTagWas(0);
      return message;
    } catch (IOException e) {
      throw Diag.error(
          Diag.FORMAT,
          what + " is not a whole ONNX file: it is damaged, cut short, or something else",
          e);
    } catch (RuntimeException e) {
      throw Diag.error(Diag.FORMAT, what + " is not an ONNX file", e);
    }
  }

  static MemorySegment segment(com.google.protobuf.ByteString bytes) {
    return MemorySegment.ofBuffer(bytes.asReadOnlyByteBuffer());
  }
}
