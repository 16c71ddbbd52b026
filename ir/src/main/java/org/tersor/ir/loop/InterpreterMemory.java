package org.tersor.ir.loop;

import java.util.Arrays;
import org.tersor.runtime.DType;

/** A buffer of the interpreter: a Java array from an offset on, read and written as bits. */
final class InterpreterMemory {
  private final String function;
  private final String name;
  private final DType.Slot slot;
  private final int slotBytes;
  private final Object array;
  private final int offset;
  private final int length;

  InterpreterMemory(String function, String name, Scalar element, Object array, int offset) {
    this.function = function;
    this.name = name;
    this.slot = element.dtype().slot();
    this.slotBytes = slot.bytes();
    this.array = array;
    this.offset = offset;
    int available = java.lang.reflect.Array.getLength(array);
    if (array.getClass() != slot.newArray(0).getClass()) {
      throw new IllegalArgumentException(
          function
              + ": buffer "
              + name
              + " of "
              + element.text()
              + " given as "
              + array.getClass().getSimpleName());
    }
    if (offset < 0 || offset > available) {
      throw new IndexOutOfBoundsException(
          function + ": buffer " + name + " starts at " + offset + " of " + available);
    }
    this.length = available - offset;
  }

  /**
   * A new buffer filled with a pattern that is easy to recognise: NaN of floats, 0xA5 bytes of
   * integers.
   */
  static InterpreterMemory poisoned(String function, String name, Scalar element, long count) {
    if (count < 0 || count > (1 << 28)) {
      throw new IllegalStateException(
          function + ": allocation " + name + " of " + count + " elements");
    }
    Object array = element.dtype().slot().newArray((int) count);
    long poison = poison(element);
    switch (array) {
      case byte[] a -> Arrays.fill(a, (byte) poison);
      case short[] a -> Arrays.fill(a, (short) poison);
      case int[] a -> Arrays.fill(a, (int) poison);
      case long[] a -> Arrays.fill(a, poison);
      case float[] a -> Arrays.fill(a, Float.intBitsToFloat((int) poison));
      case double[] a -> Arrays.fill(a, Double.longBitsToDouble(poison));
      default -> throw new IllegalStateException(array.getClass().toString());
    }
    return new InterpreterMemory(function, name, element, array, 0);
  }

  /** What undefined contents look like, in the canonical form of {@link InterpreterOps#canon}. */
  static long poison(Scalar element) {
    return switch (element) {
      case F32 -> 0x7FE5A5A5L;
      case F64 -> 0x7FFDA5A5A5A5A5A5L;
      case F16 -> 0x7FA5;
      case BF16 -> 0x7FE5;
      case BOOL -> 1;
      case F4E2M1 -> 5;
      default -> InterpreterOps.canon(element, 0xA5A5A5A5A5A5A5A5L);
    };
  }

  /**
   * The value of {@code type} whose first byte is {@code byteOffset} bytes behind element {@code
   * index}.
   */
  long read(Scalar type, int bytes, long index, int byteOffset) {
    if (bytes == slotBytes && byteOffset % slotBytes == 0) {
      return InterpreterOps.canon(type, raw(slotAt(index, byteOffset / slotBytes, 1)));
    }
    long value = 0;
    int shift = 0;
    while (shift < bytes * 8) {
      int at = byteOffset + shift / 8;
      int part = at % slotBytes;
      long bits = raw(slotAt(index, at / slotBytes, 1)) >>> (8 * part);
      value |= bits << shift;
      shift += 8 * (slotBytes - part);
    }
    return InterpreterOps.canon(type, value);
  }

  /** Inverse of {@link #read}. */
  void write(int bytes, long index, int byteOffset, long value) {
    if (bytes == slotBytes && byteOffset % slotBytes == 0) {
      setRaw(slotAt(index, byteOffset / slotBytes, 1), value);
      return;
    }
    int done = 0;
    while (done < bytes) {
      int at = byteOffset + done;
      int part = at % slotBytes;
      int take = Math.min(slotBytes - part, bytes - done);
      int slotIndex = slotAt(index, at / slotBytes, 1);
      long mask = (take == 8 ? -1L : (1L << (8 * take)) - 1) << (8 * part);
      long bits = (value >>> (8 * done)) << (8 * part);
      setRaw(slotIndex, (raw(slotIndex) & ~mask) | (bits & mask));
      done += take;
    }
  }

  private int slotAt(long index, int further, int count) {
    if (index + further < 0 || index + further + count > length) {
      throw new IndexOutOfBoundsException(
          function
              + ": buffer "
              + name
              + " at index "
              + index
              + (further == 0 ? "" : " + " + further)
              + ", length "
              + length);
    }
    return offset + (int) index + further;
  }

  private long raw(int i) {
    return switch (slot) {
      case BYTE -> ((byte[]) array)[i] & 0xFF;
      case SHORT -> ((short[]) array)[i] & 0xFFFF;
      case INT -> ((int[]) array)[i] & 0xFFFF_FFFFL;
      case LONG -> ((long[]) array)[i];
      case FLOAT -> Float.floatToRawIntBits(((float[]) array)[i]) & 0xFFFF_FFFFL;
      case DOUBLE -> Double.doubleToRawLongBits(((double[]) array)[i]);
      case STRING -> throw new IllegalStateException();
    };
  }

  private void setRaw(int i, long value) {
    switch (slot) {
      case BYTE -> ((byte[]) array)[i] = (byte) value;
      case SHORT -> ((short[]) array)[i] = (short) value;
      case INT -> ((int[]) array)[i] = (int) value;
      case LONG -> ((long[]) array)[i] = value;
      case FLOAT -> ((float[]) array)[i] = Float.intBitsToFloat((int) value);
      case DOUBLE -> ((double[]) array)[i] = Double.longBitsToDouble(value);
      case STRING -> throw new IllegalStateException();
    }
  }
}
