package org.tersor.runtime;

import java.util.Arrays;
import java.util.Locale;

/**
 * A dense row-major tensor over one Java array. The array is owned by the caller and never copied;
 * nothing needs closing.
 *
 * @param dtype element type
 * @param shape dimensions, outermost first; empty for a scalar
 * @param array {@code float[]}, {@code byte[]}, ... of the kind {@link DType#slot()}, of exactly
 *     {@link DType#slots} slots
 */
public record Tensor(DType dtype, long[] shape, Object array) implements Datum {

  public Tensor {
    long expected = Math.multiplyExact(count(shape), (long) dtype.slots());
    int actual = java.lang.reflect.Array.getLength(array);
    if (array.getClass() != dtype.slot().newArray(0).getClass() || actual != expected) {
      throw new IllegalArgumentException(
          "tensor of type "
              + dtype.text()
              + Arrays.toString(shape)
              + " needs "
              + expected
              + " slots of "
              + dtype.slot().name().toLowerCase(Locale.ROOT)
              + "; got "
              + array.getClass().getSimpleName()
              + " of length "
              + actual);
    }
  }

  /**
   * Number of elements; throws ArithmeticException when the product overflows or a dimension is
   * negative.
   */
  public static long count(long... shape) {
    long count = 1;
    for (long dim : shape) {
      if (dim < 0) {
        throw new ArithmeticException("negative dimension in " + Arrays.toString(shape));
      }
      count = Math.multiplyExact(count, dim);
    }
    return count;
  }

  /** A new tensor; TSR-0714 where the limits of the call do not allow it. */
  public static Tensor zeros(DType dtype, long... shape) {
    long count = count(shape);
    Cancellation.allocate(dtype, shape, count);
    return new Tensor(
        dtype,
        shape,
        dtype.slot().newArray(Math.toIntExact(Math.multiplyExact(count, (long) dtype.slots()))));
  }

  public static Tensor of(float[] values, long... shape) {
    return new Tensor(DType.F32, shape, values);
  }

  public static Tensor of(double[] values, long... shape) {
    return new Tensor(DType.F64, shape, values);
  }

  public static Tensor of(int[] values, long... shape) {
    return new Tensor(DType.I32, shape, values);
  }

  public static Tensor of(long[] values, long... shape) {
    return new Tensor(DType.I64, shape, values);
  }

  public int rank() {
    return shape.length;
  }

  /** Number of elements. */
  public int size() {
    return Math.toIntExact(count(shape));
  }

  public float[] floats() {
    return (float[]) array;
  }

  public double[] doubles() {
    return (double[]) array;
  }

  public byte[] bytes() {
    return (byte[]) array;
  }

  public short[] shorts() {
    return (short[]) array;
  }

  public int[] ints() {
    return (int[]) array;
  }

  public long[] longs() {
    return (long[]) array;
  }

  public String[] strings() {
    return (String[]) array;
  }

  /** Same elements under another shape of the same size. */
  public Tensor reshaped(long... newShape) {
    return new Tensor(dtype, newShape, array);
  }

  /**
   * Element {@code index} as a double (real part of a complex number); exact except for 64-bit
   * integers beyond 2^53.
   */
  public double getDouble(int index) {
    return switch (dtype) {
      case F32 -> floats()[index];
      case F64 -> doubles()[index];
      case C64 -> floats()[2 * index];
      case C128 -> doubles()[2 * index];
      case F16, BF16 -> Minifloat.of(dtype).decode(shorts()[index] & 0xFFFF);
      case F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1 ->
          Minifloat.of(dtype).decode(bytes()[index] & 0xFF);
      case U64 -> {
        long value = longs()[index];
        yield value >= 0 ? value : (value >>> 1 | (value & 1)) * 2.0;
      }
      case STRING -> throw new IllegalStateException("a string has no number");
      default -> getLong(index);
    };
  }

  /**
   * Element {@code index} of an integer or boolean tensor, zero- or sign-extended (U64 as its
   * bits).
   */
  public long getLong(int index) {
    return switch (dtype) {
      case BOOL, U8, U4, U2 -> bytes()[index] & 0xFF;
      case I8, I4, I2 -> bytes()[index];
      case U16 -> shorts()[index] & 0xFFFF;
      case I16 -> shorts()[index];
      case I32 -> ints()[index];
      case U32 -> ints()[index] & 0xFFFF_FFFFL;
      case I64, U64 -> longs()[index];
      default -> (long) getDouble(index);
    };
  }

  /**
   * Stores {@code value} with rounding half to even into a float type, truncating toward zero and
   * wrapping into an integer type.
   */
  public void setDouble(int index, double value) {
    switch (dtype) {
      case F32 -> floats()[index] = (float) value;
      case F64 -> doubles()[index] = value;
      case C64 -> floats()[2 * index] = (float) value;
      case C128 -> doubles()[2 * index] = value;
      case F16, BF16 -> shorts()[index] = (short) Minifloat.of(dtype).encode(value, false);
      case F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1 ->
          bytes()[index] = (byte) Minifloat.of(dtype).encode(value, true);
      case BOOL -> bytes()[index] = (byte) (value != 0 ? 1 : 0);
      default -> setLong(index, (long) value);
    }
  }

  /** Stores the low bits of {@code value}. */
  public void setLong(int index, long value) {
    switch (dtype) {
      case BOOL -> bytes()[index] = (byte) (value != 0 ? 1 : 0);
      case I8, U8 -> bytes()[index] = (byte) value;
      case I4 -> bytes()[index] = (byte) (value << 60 >> 60);
      case U4 -> bytes()[index] = (byte) (value & 15);
      case I2 -> bytes()[index] = (byte) (value << 62 >> 62);
      case U2 -> bytes()[index] = (byte) (value & 3);
      case I16, U16 -> shorts()[index] = (short) value;
      case I32, U32 -> ints()[index] = (int) value;
      case I64, U64 -> longs()[index] = value;
      case STRING -> throw new IllegalStateException("a string has no number");
      default -> setDouble(index, (double) value);
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Tensor t
        && dtype == t.dtype
        && Arrays.equals(shape, t.shape)
        && Arrays.deepEquals(new Object[] {array}, new Object[] {t.array});
  }

  @Override
  public int hashCode() {
    return 31 * dtype.hashCode() + Arrays.hashCode(shape);
  }

  @Override
  public String toString() {
    return dtype.text() + Arrays.toString(shape);
  }
}
