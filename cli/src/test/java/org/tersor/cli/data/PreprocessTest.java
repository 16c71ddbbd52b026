package org.tersor.cli.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class PreprocessTest {
  private static final byte[] TWO_PIXELS = {10, 20, 30, 40, 50, (byte) 200};

  @Test
  void channelsFirstAndMeans() {
    Tensor image =
        Preprocess.parse("raw,mean=104:117:123,order=bgr").apply(TWO_PIXELS, 1, 1, 2, 3, DType.F32);
    assertArrayEquals(new long[] {1, 3, 1, 2}, image.shape());
    assertArrayEquals(
        new float[] {30 - 104, 200 - 104, 20 - 117, 50 - 117, 10 - 123, 40 - 123}, image.floats());
  }

  @Test
  void channelsLastAndIntegers() {
    Tensor image = Preprocess.parse("raw,layout=nhwc").apply(TWO_PIXELS, 1, 1, 2, 3, DType.U8);
    assertArrayEquals(new long[] {1, 1, 2, 3}, image.shape());
    assertArrayEquals(TWO_PIXELS, image.bytes());
  }

  @Test
  void meanAndDeviationAreOfTheUnitRange() {
    assertEquals(
        (200 / 255.0 - .5) / .25,
        Preprocess.parse("mean=.5,std=.25")
            .apply(new byte[] {(byte) 200}, 1, 1, 1, 1, DType.F32)
            .floats()[0],
        1e-6);
  }

  @Test
  void nonsenseIsADiagnostic() {
    for (String text : new String[] {"rwa", "mean=a", "layout=x", "mean", ""}) {
      assertEquals(
          "TSR-0904",
          assertThrows(TersorException.class, () -> Preprocess.parse(text)).code(),
          text);
    }
  }
}
