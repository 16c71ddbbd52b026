package org.tersor.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.tersor.onnx.proto.GraphProto;
import org.tersor.onnx.proto.OperatorSetIdProto;
import org.tersor.onnx.proto.TensorProto;
import org.tersor.runtime.TersorException;

/**
 * Bytes that are no model, or no longer one: each must end in a diagnostic with the right code,
 * quickly and in bounded memory.
 */
@Timeout(20)
class HostileBytesTest extends HostileModels {
  @Test
  void randomBytes() throws IOException {
    Random random = new Random(1);
    for (int i = 0; i < 300; i++) {
      byte[] bytes = new byte[random.nextInt(i < 250 ? 64 : 20_000)];
      random.nextBytes(bytes);
      Path file = write(bytes);
      assertThrows(TersorException.class, () -> ONNX.read(file, Map.of()));
    }
  }

  @Test
  void everyTruncationAndManyFlippedBits() throws IOException {
    GraphProto.Builder graph = graph();
    byte[] large = new byte[5000 * 4];
    graph.addInitializer(
        TensorProto.newBuilder()
            .setName("v")
            .setDataType(1)
            .addDims(5000)
            .setRawData(ByteString.copyFrom(large)));
    byte[] small = model(graph()).build().toByteArray();
    byte[] whole = model(graph).build().toByteArray();
    for (int length = 0; length < small.length; length++) {
      spoilt(Arrays.copyOf(small, length), false);
    }
    for (int length = 1; length < whole.length; length += 997) {
      spoilt(Arrays.copyOf(whole, length), false);
    }
    Random random = new Random(2);
    for (int i = 0; i < 600; i++) {
      byte[] copy = (i % 4 == 0 ? whole : small).clone();
      for (int k = 0; k <= i % 3; k++) {
        copy[random.nextInt(Math.min(copy.length, 200))] ^= (byte) (1 << random.nextInt(8));
      }
      spoilt(copy, true);
    }
  }

  /** A diagnostic, or (where that may be) a graph; never another exception. */
  private void spoilt(byte[] bytes, boolean mayBeRead) throws IOException {
    Path file = write(bytes);
    try {
      ONNX.read(file, Map.of());
      assertTrue(mayBeRead, "a truncated file was read");
    } catch (TersorException e) {
      assertTrue(e.code().startsWith("TSR-02"), e.code());
    }
  }

  @Test
  void badUtf8() {
    byte[] bytes = model(graph().setName("ABCDEFG")).build().toByteArray();
    int at = new String(bytes, StandardCharsets.ISO_8859_1).indexOf("ABCDEFG");
    bytes[at] = (byte) 0xFF;
    TersorException e =
        assertThrows(TersorException.class, () -> ONNX.read(write(bytes), Map.of()));
    assertEquals("TSR-0203", e.code());
  }

  @Test
  void deepNesting() throws IOException {
    // Sequences of sequences, by hand: the library's own builder would overflow.
    byte[] inner = new byte[0];
    for (int i = 0; i < 3000; i++) {
      inner = field(i % 2 == 0 ? 1 : 4, inner);
    }
    byte[] info = concat(field(1, "x".getBytes(StandardCharsets.UTF_8)), field(2, inner));
    byte[] bytes = concat(model(graph()).build().toByteArray(), field(7, field(11, info)));
    TersorException e =
        assertThrows(TersorException.class, () -> ONNX.read(write(bytes), Map.of()));
    assertEquals("TSR-0203", e.code());
    // Bodies in bodies.
    byte[] body = new byte[5000];
    for (int i = 0; i < 400; i++) {
      body = field(1, field(5, field(6, body)));
    }
    byte[] bodies = concat(model(graph()).build().toByteArray(), field(7, body));
    assertEquals(
        "TSR-0203",
        assertThrows(TersorException.class, () -> ONNX.read(write(bodies), Map.of())).code());
  }

  private static byte[] field(int number, byte[] data) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(number << 3 | 2);
    int length = data.length;
    while (length > 127) {
      out.write((length & 127) | 128);
      length >>>= 7;
    }
    out.write(length);
    out.writeBytes(data);
    return out.toByteArray();
  }

  private static byte[] concat(byte[] a, byte[] b) {
    byte[] both = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }

  @Test
  void header() {
    refused("TSR-0205", model(graph()).clearIrVersion());
    refused("TSR-0205", model(graph()).setIrVersion(0));
    refused("TSR-0205", model(graph()).setIrVersion(99));
    refused("TSR-0205", model(graph()).clearOpsetImport());
    refused("TSR-0205", model(graph()).clearGraph());
    refused(
        "TSR-0205",
        model(graph()).setOpsetImport(0, OperatorSetIdProto.newBuilder().setVersion(-1)));
    refused(
        "TSR-0205",
        model(graph()).setOpsetImport(0, OperatorSetIdProto.newBuilder().setVersion(1L << 40)));
    refused(
        "TSR-0205",
        model(graph())
            .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("ai.onnx").setVersion(16)));
    refused(
        "TSR-0205",
        model(graph())
            .addMetadataProps(TensorWriter.entry("a", "1"))
            .addMetadataProps(TensorWriter.entry("a", "2")));
  }

  @Test
  void filesThatAreNone() {
    assertEquals(
        "TSR-0202",
        assertThrows(
                TersorException.class, () -> ONNX.read(folder.resolve("absent.onnx"), Map.of()))
            .code());
    assertEquals(
        "TSR-0202", assertThrows(TersorException.class, () -> ONNX.read(folder, Map.of())).code());
  }
}
