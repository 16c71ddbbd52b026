package org.tersor.onnx;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tersor.onnx.proto.TensorProto;

/**
 * Parses messages from a mapped buffer so that large raw_data is not copied: the library's own
 * parser copies every byte field (and the whole buffer first). Messages that can hold large
 * raw_data are taken apart here, down to the tensor, whose raw_data is left out and kept as a slice
 * of the buffer beside it; the rest goes through the library. Fields that are not known are left
 * out.
 */
final class WireReader {
  /**
   * A body of a node is three messages deeper than its graph: about 50 bodies inside each other.
   */
  private static final int MAX_DEPTH = 150;

  private static final int VARINT = 0;
  private static final int FIXED64 = 1;
  private static final int BYTES = 2;
  private static final int FIXED32 = 5;

  private final ByteBuffer buffer;
  private final Map<Descriptor, Boolean> holdsTensors = new HashMap<>();
  private final IdentityHashMap<TensorProto, MemorySegment> raw = new IdentityHashMap<>();
  private int at;

  WireReader(ByteBuffer buffer) {
    this.buffer = buffer;
  }

  /** Large raw_data of the tensors read so far, by the identity of the message. */
  IdentityHashMap<TensorProto, MemorySegment> raw() {
    return raw;
  }

  /** Reads the whole buffer. */
  Message read(Message empty) throws IOException {
    return read(empty, 0, buffer.capacity(), 0);
  }

  /**
   * Reads the bytes from {@code start} to {@code end} and merges them with what a message holds.
   */
  private Message read(Message before, int start, int end, int depth) throws IOException {
    Message.Builder builder = before.toBuilder();
    Optional<MemorySegment> large =
        before instanceof TensorProto tensor
            ? Optional.ofNullable(raw.get(tensor))
            : Optional.empty();
    Descriptor type = builder.getDescriptorForType();
    if (depth >= MAX_DEPTH) {
      throw new InvalidProtocolBufferException("nested more than " + MAX_DEPTH + " messages deep");
    }
    if (end - start <= TensorReader.SMALL || !holdsTensors(type)) {
      byte[] copy = new byte[end - start];
      buffer.get(start, copy);
      merge(builder, copy, depth);
      return built(builder, large);
    }
    boolean isTensor = type.equals(TensorProto.getDescriptor());
    ByteArrayOutputStream rest = new ByteArrayOutputStream();
    at = start;
    while (at < end) {
      int field = at;
      long tag = varint(end);
      int wire = (int) tag & 7;
      int length = length(wire, end);
      int data = at;
      int next = data + length;
      FieldDescriptor known =
          tag >>> 3 > Integer.MAX_VALUE ? null : type.findFieldByNumber((int) (tag >>> 3));
      if (known != null
          && wire == BYTES
          && known.getJavaType() == FieldDescriptor.JavaType.MESSAGE
          && holdsTensors(known.getMessageType())) {
        child(builder, known, data, next, depth);
      } else if (isTensor
          && wire == BYTES
          && tag >>> 3 == TensorProto.RAW_DATA_FIELD_NUMBER
          && length > TensorReader.SMALL) {
        large = Optional.of(MemorySegment.ofBuffer(buffer.slice(data, length)));
      } else if (known != null) {
        byte[] copy = new byte[next - field];
        buffer.get(field, copy);
        rest.write(copy, 0, copy.length);
      }
      at = next;
    }
    merge(builder, rest.toByteArray(), depth);
    return built(builder, large);
  }

  private Message built(Message.Builder builder, Optional<MemorySegment> large) {
    Message message = builder.buildPartial();
    if (message instanceof TensorProto tensor) {
      large.ifPresent(segment -> raw.put(tensor, segment));
    }
    return message;
  }

  private void child(Message.Builder builder, FieldDescriptor field, int start, int end, int depth)
      throws IOException {
    if (field.isRepeated()) {
      builder.addRepeatedField(
          field, read(builder.newBuilderForField(field).buildPartial(), start, end, depth + 1));
    } else {
      // A field that is given again is merged with what is there.
      builder.setField(field, read((Message) builder.getField(field), start, end, depth + 1));
    }
  }

  private static void merge(Message.Builder builder, byte[] bytes, int depth) throws IOException {
    CodedInputStream in = CodedInputStream.newInstance(bytes);
    in.setRecursionLimit(MAX_DEPTH - depth);
    builder.mergeFrom(in);
    in.checkLastTagWas(0);
  }

  private long varint(int end) throws IOException {
    long value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at >= end) {
        throw new InvalidProtocolBufferException("it ends inside a number");
      }
      byte b = buffer.get(at++);
      value |= (long) (b & 0x7F) << shift;
      if (b >= 0) {
        return value;
      }
    }
    throw new InvalidProtocolBufferException("a number has more than 64 bits");
  }

  /** Bytes of the field's value, which begins at {@link #at} afterwards. */
  private int length(int wire, int end) throws IOException {
    long length =
        switch (wire) {
          case VARINT -> {
            int start = at;
            varint(end);
            int size = at - start;
            at = start;
            yield size;
          }
          case FIXED64 -> 8;
          case BYTES -> varint(end);
          case FIXED32 -> 4;
          default -> throw new InvalidProtocolBufferException("wire type " + wire);
        };
    if (length < 0 || length > end - at) {
      throw new InvalidProtocolBufferException("a field is longer than what is left");
    }
    return (int) length;
  }

  /** Whether messages of a type are tensors or can have tensors inside. */
  private boolean holdsTensors(Descriptor type) {
    Boolean known = holdsTensors.get(type);
    if (known == null) {
      known = reaches(type, new HashSet<>());
      holdsTensors.put(type, known);
    }
    return known;
  }

  private static boolean reaches(Descriptor type, Set<Descriptor> seen) {
    if (type.equals(TensorProto.getDescriptor())) {
      return true;
    }
    if (!seen.add(type)) {
      return false;
    }
    for (FieldDescriptor field : type.getFields()) {
      if (field.getJavaType() == FieldDescriptor.JavaType.MESSAGE
          && reaches(field.getMessageType(), seen)) {
        return true;
      }
    }
    return false;
  }
}
