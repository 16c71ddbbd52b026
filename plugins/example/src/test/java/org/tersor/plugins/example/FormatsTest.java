package org.tersor.plugins.example;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
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
}
