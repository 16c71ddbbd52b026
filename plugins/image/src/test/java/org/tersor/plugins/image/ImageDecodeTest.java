package org.tersor.plugins.image;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tersor.ir.op.OpRegistry;
import org.tersor.runtime.DType;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;
import org.tersor.runtime.host.HostCall;
import org.tersor.runtime.host.HostOps;

class ImageDecodeTest {
  private static Tensor decode(String format, byte[] bytes) {
    Tensor x = new Tensor(DType.U8, new long[] {bytes.length}, bytes);
    HostCall call =
        new HostCall("n", List.of(Optional.of(x)), Map.of("pixel_format", List.of(format)), 1);
    HostOps ops = HostOps.standard(ImageDecodeTest.class.getClassLoader());
    return ops.get("image.decode").run(call).getFirst().tensor("result");
  }

  private static String fault(byte[] bytes) {
    return assertThrows(TersorException.class, () -> decode("RGB", bytes)).code();
  }

  private static byte[] encoded(String format, int type) throws IOException {
    BufferedImage image = new BufferedImage(3, 2, type);
    for (int y = 0; y < 2; y++) {
      for (int x = 0; x < 3; x++) {
        for (int band = 0; band < image.getRaster().getNumBands(); band++) {
          image.getRaster().setSample(x, y, band, 100 * y + 30 * x + 10 * band);
        }
      }
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    assertTrue(ImageIO.write(image, format, out));
    return out.toByteArray();
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "bmp", "tiff"})
  void coloursStayAsTheyAre(String format) throws IOException {
    byte[] file = encoded(format, BufferedImage.TYPE_3BYTE_BGR);
    Tensor rgb = decode("RGB", file);
    assertArrayEquals(new long[] {2, 3, 3}, rgb.shape());
    assertArrayEquals(
        new byte[] {0, 10, 20, 30, 40, 50, 60, 70, 80}, java.util.Arrays.copyOf(rgb.bytes(), 9));
    assertArrayEquals(
        new byte[] {20, 10, 0}, java.util.Arrays.copyOf(decode("BGR", file).bytes(), 3));
    Tensor grey = decode("Grayscale", file);
    assertArrayEquals(new long[] {2, 3, 1}, grey.shape());
    assertEquals(Math.round(.587 * 10 + .114 * 20), grey.getLong(0));
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "jpeg"})
  void greysAreNotBent(String format) throws IOException {
    Tensor rgb = decode("RGB", encoded(format, BufferedImage.TYPE_BYTE_GRAY));
    for (int y = 0; y < 2; y++) {
      for (int x = 0; x < 3; x++) {
        long value = rgb.getLong((y * 3 + x) * 3);
        assertEquals((double) (100 * y + 30 * x), (double) value, format.equals("png") ? 0 : 4);
      }
    }
  }

  @Test
  void portableMaps() {
    assertArrayEquals(
        new byte[] {1, 2, 3, 4, 5, 6},
        decode("RGB", "P6\n2 1\n255\n\1\2\3\4\5\6".getBytes(ISO_8859_1)).bytes());
    assertArrayEquals(
        new byte[] {7, 8}, decode("Grayscale", "P5 2 1 255\n\7\10".getBytes(ISO_8859_1)).bytes());
  }

  @Test
  void theOperatorIsFound() {
    assertTrue(
        OpRegistry.standard().all().stream()
            .anyMatch(o -> o.schema().name().equals("ImageDecoder")));
  }

  @Test
  void whatIsNoPicture() throws IOException {
    assertEquals("TSR-0705", fault(new byte[0]));
    assertEquals("TSR-0705", fault("not a picture".getBytes(ISO_8859_1)));
    assertEquals("TSR-0705", fault("\0\0\0\14jP  \r\n\207\n".getBytes(ISO_8859_1)));
    byte[] png = encoded("png", BufferedImage.TYPE_3BYTE_BGR);
    assertEquals("TSR-0705", fault(java.util.Arrays.copyOf(png, png.length / 2)));
    byte[] huge = png.clone();
    huge[16] = 0x7F; // the width, in the header chunk
    assertEquals("TSR-0303", fault(huge));
    assertEquals("TSR-0303", fault("P6\n100000 100000\n255\n\1".getBytes(ISO_8859_1)));
  }

  /** A picture of the ONNX backend suite; the numbers are those of libwebp, which made it. */
  @Test
  void lossyWebpHasTheColorsOfItsLibrary() throws IOException {
    byte[] file = resource("lossy.webp");
    Tensor picture = decode("RGB", file);
    assertArrayEquals(new long[] {32, 32, 3}, picture.shape());
    CRC32 all = new CRC32();
    all.update(picture.bytes());
    assertEquals(771611974L, all.getValue());
    // A longer container around the same frame, and one that is cut off.
    byte[] extended = new byte[file.length + 18];
    System.arraycopy(file, 0, extended, 0, 12);
    System.arraycopy("VP8X".getBytes(ISO_8859_1), 0, extended, 12, 4);
    extended[16] = 10;
    extended[24] = 31;
    extended[27] = 31;
    System.arraycopy(file, 12, extended, 30, file.length - 12);
    assertArrayEquals(picture.bytes(), decode("RGB", extended).bytes());
    assertEquals("TSR-0705", fault(java.util.Arrays.copyOf(file, 40)));
  }

  private static byte[] resource(String name) throws IOException {
    try (InputStream in = ImageDecodeTest.class.getResourceAsStream(name)) {
      return Objects.requireNonNull(in).readAllBytes();
    }
  }

  /** The first pixels of the picture that jpeg2000/make.sh encodes: 0 60 120, then 3 63 123. */
  @Test
  void jpeg2000() throws IOException {
    byte[] file = resource("jpeg2000/plain.jp2");
    Tensor rgb = decode("RGB", file);
    assertArrayEquals(new long[] {33, 37, 3}, rgb.shape());
    assertArrayEquals(new byte[] {0, 60, 120, 3, 63, 123}, java.util.Arrays.copyOf(rgb.bytes(), 6));
    assertArrayEquals(
        new byte[] {120, 60, 0}, java.util.Arrays.copyOf(decode("BGR", file).bytes(), 3));
    assertEquals(Math.round(.587 * 60 + .114 * 120), decode("Grayscale", file).getLong(0));
    assertArrayEquals(rgb.bytes(), decode("RGB", resource("jpeg2000/sixteen.j2k")).bytes());
    Tensor grey = decode("RGB", resource("jpeg2000/twelve.j2k"));
    assertArrayEquals(new byte[] {0, 0, 0, 3, 3, 3}, java.util.Arrays.copyOf(grey.bytes(), 6));
    assertEquals("TSR-0705", fault(java.util.Arrays.copyOf(file, file.length / 2)));
    byte[] codestream = resource("jpeg2000/sixteen.j2k");
    for (int at : new int[] {8, 12, 24, 28}) { // the size, and that of the tiles
      codestream[at] = 1;
    }
    assertEquals("TSR-0303", fault(codestream));
  }

  @Test
  void aJavaWithoutDesktopIsNamed() {
    Tensor x = Tensor.zeros(DType.U8, 4);
    HostCall call =
        new HostCall("n", List.of(Optional.of(x)), Map.of("pixel_format", List.of("RGB")), 1);
    TersorException refused =
        assertThrows(TersorException.class, () -> new DesktopDecode(false).run(call));
    assertEquals("TSR-0703", refused.code());
    assertTrue(String.valueOf(refused.getMessage()).contains("java.desktop"));
  }
}
