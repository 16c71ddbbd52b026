package org.tersor.runtime;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Accesses of generated kernels to the first few of the elements that a small vector holds. They
 * stay within the array, and within what was asked for.
 */
public final class KernelMemory {
  private static final VarHandle INTS =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle SHORTS =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);

  private KernelMemory() {}

  /**
   * The first {@code count} elements from {@code at} on, lowest first, zero after them.
   *
   * @param count elements; none if negative, at most {@code lanes}
   * @param lanes 1 to 4
   */
  public static int load(byte[] array, int at, int count, int lanes) {
    if (count >= 4 && lanes == 4) {
      return (int) INTS.get(array, at);
    }
    int n = Math.clamp(count, 0, lanes);
    int bits = 0;
    for (int i = 0; i < n; i++) {
      bits |= (array[at + i] & 0xFF) << (8 * i);
    }
    return bits;
  }

  /** The same of at most two elements of 16 bits. */
  public static int load(short[] array, int at, int count, int lanes) {
    int bits = count > 0 ? array[at] & 0xFFFF : 0;
    return count > 1 && lanes > 1 ? bits | (array[at + 1] << 16) : bits;
  }

  /**
   * Stores the first {@code count} bytes of {@code bits}, lowest first.
   *
   * @param count elements; none if negative, at most {@code lanes}
   * @param lanes 1 to 8
   */
  public static void store(byte[] array, int at, long bits, int count, int lanes) {
    int n = Math.clamp(count, 0, lanes);
    int to = at;
    long left = bits;
    if (n == 8) {
      INTS.set(array, to, (int) left);
      INTS.set(array, to + 4, (int) (left >>> 32));
      return;
    }
    if ((n & 4) != 0) {
      INTS.set(array, to, (int) left);
      left >>>= 32;
      to += 4;
    }
    if ((n & 2) != 0) {
      SHORTS.set(array, to, (short) left);
      left >>>= 16;
      to += 2;
    }
    if ((n & 1) != 0) {
      array[to] = (byte) left;
    }
  }

  /** The same with elements of 16 bits, at most four. */
  public static void store(short[] array, int at, long bits, int count, int lanes) {
    int n = Math.clamp(count, 0, lanes);
    for (int i = 0; i < n; i++) {
      array[at + i] = (short) (bits >>> (16 * i));
    }
  }
}
