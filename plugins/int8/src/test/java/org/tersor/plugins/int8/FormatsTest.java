package org.tersor.plugins.int8;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.tersor.ir.format.BlockParameters;
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
    assertEquals(10, count);
  }

  /** scale = range / 255 in double, zero point half to even; -128 stays unused where restricted. */
  @Test
  void codesOfKnownValues() {
    Int8Formats.U8AffineTensor u8 = new Int8Formats.U8AffineTensor();
    BlockParameters p = u8.fit(new float[] {-1, 2}, new float[0]);
    assertEquals((float) (3.0 / 255), (float) p.value("scale"));
    assertEquals(85, p.value("zero"));
    assertEquals(0, u8.code(-1, p));
    assertEquals(255, u8.code(2, p));
    assertEquals(0, u8.code(-9, p));
    Int8Formats.S8SymmetricTensorRestricted s8 = new Int8Formats.S8SymmetricTensorRestricted();
    BlockParameters q = s8.fit(new float[] {-12.7f, 3}, new float[0]);
    assertEquals(-127, s8.code(-12.7f, q));
    assertEquals(-127, s8.code(-100, q));
    BlockParameters positive = u8.fit(new float[] {3, 5}, new float[0]);
    assertEquals(0, positive.value("zero"), "the range is extended to zero");
    assertEquals(0, u8.code(0, positive));
    assertEquals(1, u8.fit(new float[1], new float[0]).value("scale"), "no values but zero");
  }
}
