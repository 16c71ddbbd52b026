package org.tersor.plugins.q4;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Objects;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.tersor.ir.format.FormatCodec;
import org.tersor.ir.format.FormatTestKit;
import org.tersor.ir.format.NumberFormat;

class FormatsTest {
  @Test
  void everyFormatKeepsItsPromises() {
    int count = 0;
    for (NumberFormat format : ServiceLoader.load(NumberFormat.class)) {
      FormatTestKit.verify(format);
      count++;
    }
    assertEquals(1, count);
  }

  /** By the reference's arithmetic, written out. */
  @Test
  void bytesOfABlock() {
    float[] values = new float[32];
    for (int i = 0; i < 32; i++) {
      values[i] = (i - 20) * 0.25f;
    }
    byte[] bytes =
        Objects.requireNonNull(
                new FormatCodec(new Q4Format())
                    .encode(values, new long[] {1, 32}, new float[0])
                    .get("W"))
            .bytes();
    float scale = -5f / -8;
    assertEquals(Float.floatToFloat16(scale), (short) ((bytes[0] & 255) | (bytes[1] << 8)));
    for (int j = 0; j < 16; j++) {
      int low = Math.min(15, (int) (values[j] * (1 / scale) + 8.5f));
      int high = Math.min(15, (int) (values[j + 16] * (1 / scale) + 8.5f));
      assertEquals((byte) (low | (high << 4)), bytes[2 + j]);
    }
  }
}
