package org.tersor.ir.dsl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tersor.ir.kernel.Buf;
import org.tersor.ir.kernel.Kernel;
import org.tersor.ir.kernel.KernelInterpreter;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * The seven formats, interpreted on random bytes against decoders written here from their
 * descriptions.
 */
class FormatTextTest {
  private static final float[] E2M1 = {
    0, .5f, 1, 1.5f, 2, 3, 4, 6, -0f, -.5f, -1, -1.5f, -2, -3, -4, -6
  };
  private static final float[] NF4 = {
    -1.0f, -0.6961929f, -0.5250730f, -0.3949175f, -0.2844414f, -0.1847734f, -0.0910500f, 0.0f,
    0.0795803f, 0.1609302f, 0.2461123f, 0.3379152f, 0.4407098f, 0.5626170f, 0.7229567f, 1.0f
  };

  private static Map<String, FormatDef> formats() throws IOException {
    try (InputStream in =
        Objects.requireNonNull(FormatTextTest.class.getResourceAsStream("formats.kern"))) {
      return KernelParser.parseFile(new String(in.readAllBytes(), StandardCharsets.UTF_8), Map.of())
          .formats();
    }
  }

  private static <T> T named(Map<String, T> map, String name) {
    return Objects.requireNonNull(map.get(name), name);
  }

  private interface Decoder {
    float at(ByteBuffer block, int i, int blockNumber, Map<String, Tensor> operands);
  }

  private static Map<String, Tensor> check(
      String name, int bytes, int rows, int cols, Decoder decoder) throws IOException {
    FormatDef format = named(formats(), name);
    assertEquals(bytes, format.bytesPerBlock());
    List<DimExpr> shape = DimExpr.list(rows, cols);
    Kernel kernel = format.decodeKernel(shape);
    assertEquals(kernel, KernelParser.parse(KernelPrinter.print(kernel)));
    Random random = new Random(name.hashCode());
    Map<String, Tensor> operands = new LinkedHashMap<>();
    for (Buf b : kernel.inputs()) {
      long[] dims = b.shape().stream().mapToLong(DimExpr::constValue).toArray();
      Tensor t = Tensor.zeros(b.element().dtype(), dims);
      if (t.dtype() == DType.U8) {
        random.nextBytes(t.bytes());
      } else {
        for (int i = 0; i < t.size(); i++) {
          t.setDouble(i, random.nextGaussian());
        }
      }
      operands.put(b.name(), t);
    }
    // Random f32 bits would be NaN or infinite now and then: group scales are plain numbers.
    for (var e : operands.entrySet()) {
      if (e.getKey().contains("group")) {
        ByteBuffer group = little(e.getValue().bytes());
        while (group.hasRemaining()) {
          group.putFloat((float) random.nextGaussian());
        }
      }
    }
    float[] got =
        KernelInterpreter.run(kernel, List.copyOf(operands.values()), Map.of()).getFirst().floats();
    byte[] stored = named(operands, "W").bytes();
    int block = format.block();
    int perRow = (cols + block - 1) / block;
    int finite = 0;
    for (int n = 0; n < rows; n++) {
      for (int k = 0; k < cols; k++) {
        int number = n * perRow + k / block;
        ByteBuffer bytesOf =
            little(java.util.Arrays.copyOfRange(stored, number * bytes, (number + 1) * bytes));
        float want = decoder.at(bytesOf, k % block, number, operands);
        assertEquals(want, got[n * cols + k], name + " at " + n + ", " + k);
        finite += Float.isFinite(want) ? 1 : 0;
      }
    }
    assertTrue(finite > rows * cols / 2, "values of " + name);
    byte[] first = java.util.Arrays.copyOf(stored, bytes);
    FormatDef.Section section = format.section(FormatDef.Level.BLOCK).orElseThrow();
    Map<String, double[]> fields = format.unpack(section, first);
    if (fields.values().stream()
        .noneMatch(v -> java.util.Arrays.stream(v).anyMatch(Double::isNaN))) {
      assertArrayEquals(first, format.pack(section, fields), "pack(unpack) of " + name);
    }
    return operands;
  }

  private static ByteBuffer little(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static float f16(ByteBuffer b, int at) {
    return Float.float16ToFloat(b.getShort(at));
  }

  @Test
  void q4_0() throws IOException {
    check(
        "q4_0",
        18,
        5,
        96,
        (b, i, _, _) -> {
          int code = i < 16 ? b.get(2 + i) & 15 : (b.get(2 + i - 16) & 255) >> 4;
          return (code - 8) * f16(b, 0);
        });
  }

  @Test
  void q4_K() throws IOException {
    check(
        "q4_K",
        144,
        3,
        512,
        (b, i, _, _) -> {
          int j = i / 32;
          int s;
          int m;
          if (j < 4) {
            s = b.get(4 + j) & 63;
            m = b.get(8 + j) & 63;
          } else {
            s = (b.get(8 + j) & 15) | ((b.get(j) & 255) >> 6 << 4);
            m = (b.get(8 + j) & 255) >> 4 | (b.get(4 + j) & 255) >> 6 << 4;
          }
          int q = b.get(16 + i / 64 * 32 + i % 32) & 255;
          int code = i % 64 < 32 ? q & 15 : q >> 4;
          return f16(b, 0) * s * code - f16(b, 2) * m;
        });
  }

  @Test
  void mxfp4() throws IOException {
    check(
        "mxfp4",
        17,
        4,
        64,
        (b, i, _, _) -> {
          int e = b.get(0) & 255;
          double scale = e == 255 ? Double.NaN : Math.scalb(1.0, e - 127);
          int q = (b.get(1 + i / 2) & 255) >> (i % 2 * 4) & 15;
          return E2M1[q] * (float) scale;
        });
  }

  private static float e4m3(int bits) {
    int e = bits >> 3 & 15;
    int m = bits & 7;
    double magnitude =
        e == 15 && m == 7
            ? Double.NaN
            : e == 0 ? m * Math.scalb(1.0, -9) : (8 + m) * Math.scalb(1.0, e - 10);
    return (float) (bits >= 128 ? -magnitude : magnitude);
  }

  @Test
  void nvfp4() throws IOException {
    check(
        "nvfp4",
        9,
        4,
        64,
        (b, i, _, operands) -> {
          float scale = e4m3(b.get(0) & 255) * named(operands, "W_tensor_scale").floats()[0];
          return E2M1[(b.get(1 + i / 2) & 255) >> (i % 2 * 4) & 15] * scale;
        });
  }

  @Test
  void nf4WithDoubleQuantization() throws IOException {
    Map<String, Tensor> operands =
        check(
            "nf4",
            33,
            3,
            64 * 200,
            (b, i, number, all) -> {
              float group = little(named(all, "W_group256").bytes()).getFloat(number / 256 * 4);
              float absmax =
                  named(all, "W_map").floats()[b.get(0) & 255] * group
                      + named(all, "W_offset").floats()[0];
              int q = i % 2 == 0 ? (b.get(1 + i / 2) & 255) >> 4 : b.get(1 + i / 2) & 15;
              return NF4[q] * absmax;
            });
    assertEquals(
        3 * 4, named(operands, "W_group256").bytes().length, "three groups of 256 blocks for 600");
  }

  @Test
  void tq1_0() throws IOException {
    int[] pow3 = {1, 3, 9, 27, 81};
    check(
        "tq1_0",
        54,
        3,
        512,
        (b, i, _, _) -> {
          int byteAt;
          int n;
          if (i < 160) {
            byteAt = i % 32;
            n = i / 32;
          } else if (i < 240) {
            byteAt = 32 + (i - 160) % 16;
            n = (i - 160) / 16;
          } else {
            byteAt = 48 + (i - 240) % 4;
            n = (i - 240) / 4;
          }
          int q = ((b.get(byteAt) & 255) * pow3[n]) & 255;
          return (((q * 3) >> 8) - 1) * f16(b, 52);
        });
  }

  @Test
  void learnedCodeBook() throws IOException {
    check(
        "codebook2",
        18,
        3,
        128,
        (b, i, _, operands) -> {
          float scale = Float.intBitsToFloat(b.getShort(0) << 16);
          int q = (b.get(2 + i / 4) & 255) >> (i / 2 % 2 * 4) & 15;
          return named(operands, "W_book").floats()[q * 2 + i % 2] * scale;
        });
  }

  @Test
  void bitsPerValue() throws IOException {
    Map<String, FormatDef> all = formats();
    assertEquals(4.5, named(all, "q4_0").bitsPerValue());
    assertEquals(4.5, named(all, "q4_K").bitsPerValue());
    assertEquals(4.25, named(all, "mxfp4").bitsPerValue());
    assertEquals(1.6875, named(all, "tq1_0").bitsPerValue());
    assertEquals(4.127, named(all, "nf4").bitsPerValue(), 1e-3);
  }

  @Test
  void oddWidthsStraddleBytes() {
    FormatDef format =
        FormatDef.parse(
            "format odd { block 16; a: s3[16]; b: u5[16]; decode(b, i) = f32(b.a[i] * 32 + b.b[i]) }");
    assertEquals(16, format.bytesPerBlock());
    Random random = new Random(3);
    double[] a = random.ints(16, -4, 4).asDoubleStream().toArray();
    double[] b = random.ints(16, 0, 32).asDoubleStream().toArray();
    byte[] bytes = format.pack(format.sections().getFirst(), Map.of("a", a, "b", b));
    Tensor stored = Tensor.zeros(DType.U8, 1, 16);
    System.arraycopy(bytes, 0, stored.bytes(), 0, 16);
    float[] y =
        KernelInterpreter.run(format.decodeKernel(DimExpr.list(16)), List.of(stored), Map.of())
            .getFirst()
            .floats();
    for (int i = 0; i < 16; i++) {
      assertEquals((float) (a[i] * 32 + b[i]), y[i]);
    }
  }

  @Test
  void mistakesAreNamedWithLineAndColumn() {
    List<String> codes = new ArrayList<>();
    for (String text :
        List.of(
            "format f { block 4; q: u4[4]; decode(b, i) = b.q[i] }",
            "format f { block 4; q: u9[4]; decode(b, i) = f32(b.q[i]) }",
            "format f { block 4; q: u4[4] at i * 3; decode(b, i) = f32(b.q[i]) }",
            "format f { block 4; q: u4[4] at i * 8; decode(b, i) = f32(b.q[i]) }",
            "format f { block 4; q: u4[4]; decode(b, i) = f32(b.z[i]) }",
            "format f { block 4; q: u4[4]; decode(b, i) = decode(b, i) }",
            "format f { q: u4[4]; decode(b, i) = f32(b.q[i]) }",
            "format f { block 4; q: u4[4] }")) {
      TersorException e = assertThrows(TersorException.class, () -> FormatDef.parse(text), text);
      assertTrue(String.valueOf(e.getMessage()).contains("line 1 column"), e.getMessage());
      codes.add(e.code());
    }
    assertEquals(
        List.of(
            "TSR-1004",
            "TSR-1004",
            "TSR-1004",
            "TSR-1004",
            "TSR-1003",
            "TSR-1003",
            "TSR-1001",
            "TSR-1003"),
        codes);
    FormatDef q = FormatDef.parse("format f { block 4; q: u4[4]; decode(b, i) = f32(b.q[i]) }");
    assertEquals(
        "TSR-1005",
        assertThrows(
                TersorException.class,
                () -> q.pack(q.sections().getFirst(), Map.of("q", new double[] {0, 1, 16, 0})))
            .code());
  }

  @Test
  void definitionsThatMultiplyAreRefused() {
    StringBuilder text =
        new StringBuilder("format f { block 4; q: u4[4]; a0(b, i) = b.q[i] + b.q[i];");
    for (int n = 1; n < 60; n++) {
      text.append("a%d(b, i) = a%d(b, i) + a%d(b, i);".formatted(n, n - 1, n - 1));
    }
    text.append("decode(b, i) = f32(a59(b, i)) }");
    assertEquals(
        "TSR-1002",
        assertThrows(TersorException.class, () -> FormatDef.parse(text.toString())).code());
  }
}
