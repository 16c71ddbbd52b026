package org.tersor.runtime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class KernelMemoryTest {
  private static final long BITS = 0x8877_6655_4433_2211L;

  @Test
  void loadsOnlyWhatWasAskedFor() {
    byte[] bytes = {9, 0x11, 0x22, 0x33, (byte) 0xF4};
    int[] first = {0, 0, 0x11, 0x2211, 0x332211, 0xF4332211, 0xF4332211};
    for (int count = -1; count <= 5; count++) {
      assertEquals(first[count + 1], KernelMemory.load(bytes, 1, count, 4), "count " + count);
    }
    assertEquals(0x2211, KernelMemory.load(bytes, 1, 9, 2));
    assertEquals(0xF4, KernelMemory.load(bytes, 4, 1, 4));
    short[] shorts = {0x1111, (short) 0xF222};
    assertEquals(0, KernelMemory.load(shorts, 0, -2, 2));
    assertEquals(0xF222, KernelMemory.load(shorts, 1, 1, 2));
    assertEquals(0xF2221111, KernelMemory.load(shorts, 0, 5, 2));
  }

  @Test
  void storesOnlyWhatWasAskedFor() {
    for (int lanes : new int[] {2, 4, 8}) {
      for (int count = -1; count <= 9; count++) {
        byte[] expected = new byte[10];
        for (int i = 0; i < Math.min(count, lanes); i++) {
          expected[1 + i] = (byte) (BITS >>> (8 * i));
        }
        byte[] bytes = new byte[10];
        KernelMemory.store(bytes, 1, BITS, count, lanes);
        assertArrayEquals(expected, bytes, lanes + " lanes, count " + count);
      }
    }
    for (int count = -1; count <= 5; count++) {
      short[] expected = new short[6];
      for (int i = 0; i < Math.min(count, 4); i++) {
        expected[1 + i] = (short) (BITS >>> (16 * i));
      }
      short[] shorts = new short[6];
      KernelMemory.store(shorts, 1, BITS, count, 4);
      assertArrayEquals(expected, shorts, "count " + count);
    }
  }
}
