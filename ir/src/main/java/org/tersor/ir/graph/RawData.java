package org.tersor.ir.graph;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;

/**
 * Packed little-endian element data (ONNX TensorProto.raw_data): 4- and 2-bit codes are packed low
 * bits first.
 */
public final class RawData {
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private RawData() {}

  /**
   * Bytes that {@code elements} of {@code dtype} take when packed; throws ArithmeticException on
   * overflow.
   */
  public static long byteSize(DType dtype, long elements) {
    if (dtype == DType.STRING) {
      throw new IllegalArgumentException("strings have no raw form");
    }
    return Math.addExact(Math.multiplyExact(elements, (long) dtype.bits()), 7) / 8;
  }

  /** Unpacks; {@code segment} must hold at least {@link #byteSize} bytes. */
  public static Tensor decode(DType dtype, long[] shape, MemorySegment segment) {
    long elements = Tensor.count(shape);
    if (segment.byteSize() < byteSize(dtype, elements)) {
      throw new IllegalArgumentException(
          "raw data too short for " + dtype.text() + java.util.Arrays.toString(shape));
    }
    Tensor tensor = Tensor.zeros(dtype, shape);
    int n = Math.toIntExact(elements * dtype.slots());
    if (dtype.bits() < 8) {
      int perByte = 8 / dtype.bits();
      for (int i = 0; i < n; i++) {
        int packed = segment.get(ValueLayout.JAVA_BYTE, i / perByte);
        int code = packed >> (i % perByte * dtype.bits()) & ((1 << dtype.bits()) - 1);
        tensor.bytes()[i] =
            (byte) (dtype.isSigned() ? code << (32 - dtype.bits()) >> (32 - dtype.bits()) : code);
      }
      return tensor;
    }
    switch (dtype.slot()) {
      case BYTE -> MemorySegment.copy(segment, ValueLayout.JAVA_BYTE, 0, tensor.bytes(), 0, n);
      case SHORT -> MemorySegment.copy(segment, SHORT, 0, tensor.shorts(), 0, n);
      case INT -> MemorySegment.copy(segment, INT, 0, tensor.ints(), 0, n);
      case LONG -> MemorySegment.copy(segment, LONG, 0, tensor.longs(), 0, n);
      case FLOAT -> MemorySegment.copy(segment, FLOAT, 0, tensor.floats(), 0, n);
      case DOUBLE -> MemorySegment.copy(segment, DOUBLE, 0, tensor.doubles(), 0, n);
      case STRING -> throw new IllegalArgumentException("strings have no raw form");
    }
    return tensor;
  }

  /** Packs. */
  public static byte[] encode(Tensor tensor) {
    DType dtype = tensor.dtype();
    int n = Math.multiplyExact(tensor.size(), dtype.slots());
    byte[] bytes = new byte[Math.toIntExact(byteSize(dtype, tensor.size()))];
    MemorySegment segment = MemorySegment.ofArray(bytes);
    if (dtype.bits() < 8) {
      int perByte = 8 / dtype.bits();
      for (int i = 0; i < n; i++) {
        bytes[i / perByte] |=
            (byte)
                ((tensor.bytes()[i] & ((1 << dtype.bits()) - 1)) << (i % perByte * dtype.bits()));
      }
      return bytes;
    }
    switch (dtype.slot()) {
      case BYTE -> System.arraycopy(tensor.bytes(), 0, bytes, 0, n);
      case SHORT -> MemorySegment.copy(tensor.shorts(), 0, segment, SHORT, 0, n);
      case INT -> MemorySegment.copy(tensor.ints(), 0, segment, INT, 0, n);
      case LONG -> MemorySegment.copy(tensor.longs(), 0, segment, LONG, 0, n);
      case FLOAT -> MemorySegment.copy(tensor.floats(), 0, segment, FLOAT, 0, n);
      case DOUBLE -> MemorySegment.copy(tensor.doubles(), 0, segment, DOUBLE, 0, n);
      case STRING -> throw new IllegalArgumentException("strings have no raw form");
    }
    return bytes;
  }
}
