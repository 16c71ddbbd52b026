package org.tersor.onnx;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tersor.ir.graph.Constant;
import org.tersor.ir.graph.RawData;
import org.tersor.ir.op.OnnxTypes;
import org.tersor.onnx.proto.StringStringEntryProto;
import org.tersor.onnx.proto.TensorProto;
import org.tersor.runtime.DType;

/** Constant to TensorProto: raw_data in the message, or a place in a file beside it. */
final class TensorWriter {
  /** Tensors below this many bytes stay in the message. */
  private static final long SMALL = 1024;

  /** So that a reader can map every tensor. */
  private static final long ALIGNMENT = 4096;

  private static final long CHUNK = 1L << 28;

  private final boolean external;
  private final String location;
  private final List<Constant> queue = new ArrayList<>();
  private final List<Streamed> streamed = new ArrayList<>();
  private long end;

  /** An initializer whose data is written straight from where it lies. */
  record Streamed(TensorProto header, Constant constant) {
    /** Bytes of the serialized TensorProto. */
    long size() {
      long bytes = bytes(constant);
      return header.getSerializedSize()
          + CodedOutputStream.computeTagSize(TensorProto.RAW_DATA_FIELD_NUMBER)
          + varintSize(bytes)
          + bytes;
    }

    private static int varintSize(long value) {
      return CodedOutputStream.computeUInt64SizeNoTag(value);
    }

    void write(CodedOutputStream out) throws IOException {
      header.writeTo(out);
      out.writeTag(TensorProto.RAW_DATA_FIELD_NUMBER, 2);
      MemorySegment data = data(constant);
      out.writeUInt64NoTag(data.byteSize());
      byte[] chunk = new byte[1 << 16];
      for (long done = 0; done < data.byteSize(); done += chunk.length) {
        int n = (int) Math.min(chunk.length, data.byteSize() - done);
        MemorySegment.copy(data, ValueLayout.JAVA_BYTE, done, chunk, 0, n);
        out.write(chunk, 0, n);
      }
    }
  }

  /**
   * @param location name of the file beside the model, if {@code external}
   */
  TensorWriter(boolean external, String location) {
    this.external = external;
    this.location = location;
  }

  /** Bytes of raw data; of strings their own. */
  static long bytes(Constant constant) {
    if (constant.dtype() == DType.STRING) {
      long sum = 0;
      for (String text : constant.load().strings()) {
        sum += text.length() + 8L;
      }
      return sum;
    }
    return RawData.byteSize(constant.dtype(), constant.elements());
  }

  /** Initializers of the outermost graph that are written after everything else. */
  List<Streamed> streamed() {
    return streamed;
  }

  /**
   * An initializer of the outermost graph; empty if its data is large and it becomes one of {@link
   * #streamed}.
   */
  Optional<TensorProto> outermost(Constant constant, String name) {
    if (!external && constant.dtype() != DType.STRING && bytes(constant) >= SMALL) {
      streamed.add(new Streamed(header(constant, name).build(), constant));
      return Optional.empty();
    }
    return Optional.of(write(constant, name));
  }

  /** An initializer of a body. */
  TensorProto write(Constant constant, String name) {
    long bytes = bytes(constant);
    if (!external || bytes < SMALL || constant.dtype() == DType.STRING) {
      return inline(constant, name);
    }
    long offset = Math.ceilDiv(end, ALIGNMENT) * ALIGNMENT;
    queue.add(constant);
    end = offset + bytes;
    return header(constant, name)
        .setDataLocation(1)
        .addExternalData(entry("location", location))
        .addExternalData(entry("offset", Long.toString(offset)))
        .addExternalData(entry("length", Long.toString(bytes)))
        .build();
  }

  static TensorProto inline(Constant constant, String name) {
    TensorProto.Builder proto = header(constant, name);
    if (constant.dtype() == DType.STRING) {
      for (String text : constant.load().strings()) {
        proto.addStringData(ByteString.copyFrom(text, StandardCharsets.UTF_8));
      }
      return proto.build();
    }
    return proto.setRawData(ByteString.copyFrom(data(constant).asByteBuffer())).build();
  }

  /** Raw data; of a tensor on the heap a copy. */
  private static MemorySegment data(Constant constant) {
    MemorySegment data =
        constant.raw().orElseGet(() -> MemorySegment.ofArray(RawData.encode(constant.load())));
    if (data.byteSize() > Integer.MAX_VALUE && constant.raw().isEmpty()) {
      throw Diag.error(
          Diag.EXPORT, "a tensor of " + data.byteSize() + " bytes does not fit a protocol buffer");
    }
    return data;
  }

  private static TensorProto.Builder header(Constant constant, String name) {
    TensorProto.Builder proto =
        TensorProto.newBuilder().setDataType(OnnxTypes.code(constant.dtype()));
    for (long dim : constant.shape()) {
      proto.addDims(dim);
    }
    if (!name.isEmpty()) {
      proto.setName(name);
    }
    return proto;
  }

  static StringStringEntryProto entry(String key, String value) {
    return StringStringEntryProto.newBuilder().setKey(key).setValue(value).build();
  }

  boolean hasExternal() {
    return !queue.isEmpty();
  }

  /** Writes what {@link #write} put aside, in the same order at the same places. */
  void writeExternal(FileChannel channel) throws IOException {
    long at = 0;
    for (Constant constant : queue) {
      at = Math.ceilDiv(at, ALIGNMENT) * ALIGNMENT;
      MemorySegment data =
          constant.raw().orElseGet(() -> MemorySegment.ofArray(RawData.encode(constant.load())));
      for (long done = 0; done < data.byteSize(); done += CHUNK) {
        ByteBuffer chunk =
            data.asSlice(done, Math.min(CHUNK, data.byteSize() - done)).asByteBuffer();
        while (chunk.hasRemaining()) {
          at += channel.write(chunk, at);
        }
      }
    }
  }
}
