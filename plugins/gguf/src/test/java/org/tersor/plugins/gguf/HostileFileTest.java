package org.tersor.plugins.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tersor.runtime.TersorException;

class HostileFileTest {
  @TempDir Path folder = Path.of("");

  private TersorException refused(byte[] bytes) {
    Path file = folder.resolve("bad.gguf");
    try {
      Files.write(file, bytes);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return assertThrows(TersorException.class, () -> new GgufFrontend().read(file, Map.of()));
  }

  private void refused(String code, String part, Consumer<GgufWriter> change) {
    GgufWriter writer = new TinyLlama("f32", 1).file;
    change.accept(writer);
    TersorException e = refused(writer.bytes());
    assertTrue(e.getMessage().contains(part), e.getMessage());
    assertEquals(code, e.code());
  }

  @Test
  void brokenHeadersAndMetadata() {
    refused("TSR-0233", "version 1", w -> w.version = 1);
    refused("TSR-0233", "big-endian", w -> w.version = 0x03000000);
    refused("TSR-0231", "twice", w -> w.text("general.architecture", "llama"));
    refused("TSR-0231", "is of type 77", w -> w.raw("x", 77, new byte[8]));
    refused(
        "TSR-0231",
        "more than fit",
        w -> w.raw("x", 8, GgufWriter.little(8).putLong(Long.MAX_VALUE).array()));
    refused(
        "TSR-0231",
        "more than fit",
        w -> w.raw("x", 9, GgufWriter.little(12).putInt(10).putLong(1L << 60).array()));
    refused(
        "TSR-0231",
        "no UTF-8",
        w -> w.raw("x", 8, GgufWriter.little(10).putLong(2).put((byte) -1).put((byte) -2).array()));
    refused("TSR-0231", "general.alignment", w -> w.u32("general.alignment", 24));
    byte[] nested = new byte[12 * 6];
    for (int i = 0; i < 6; i++) {
      System.arraycopy(GgufWriter.little(12).putInt(9).putLong(1).array(), 0, nested, 12 * i, 12);
    }
    refused("TSR-0232", "nested", w -> w.raw("x", 9, nested));
  }

  @Test
  void brokenTensors() {
    long[] small = {32};
    refused("TSR-0231", "twice", w -> w.tensor("output_norm.weight", small, 0, new byte[128]));
    refused("TSR-0231", "bytes of tensors", w -> w.tensor("x", new long[] {999}, 0, new byte[4]));
    refused(
        "TSR-0231",
        "larger than any file",
        w -> w.tensor("x", new long[] {1L << 40, 1L << 40}, 0, new byte[4]));
    refused("TSR-0231", "a dimension of", w -> w.tensor("x", new long[] {-1}, 0, new byte[4]));
    refused("TSR-0231", "dimensions", w -> w.tensor("x", new long[5], 0, new byte[4]));
    refused("TSR-0233", "is of type 5", w -> w.tensor("x", small, 5, new byte[128]));
    refused("TSR-0231", "blocks of 32", w -> w.tensor("x", new long[] {33}, 2, new byte[36]));
    refused(
        "TSR-0231",
        "overlap",
        w -> {
          w.tensor("x", small, 0, new byte[128]);
          w.offsetOfLast = 0;
        });
    refused(
        "TSR-0231",
        "alignment",
        w -> {
          w.tensor("x", small, 0, new byte[128]);
          w.offsetOfLast = 4;
        });
  }

  @Test
  void modelsThatAreNotWhatTheySay() {
    GgufWriter other = new GgufWriter().text("general.architecture", "mamba");
    TersorException e = refused(other.bytes());
    assertTrue(e.getMessage().contains("'mamba' is not supported"), e.getMessage());
    assertTrue(refused(new GgufWriter().bytes()).getMessage().contains("general.architecture"));
    refused("TSR-0233", "experts", w -> w.u32("llama.expert_count", 8));
    refused("TSR-0233", "rotary", w -> w.text("llama.rope.scaling.type", "yarn"));
    GgufWriter many = new GgufWriter().text("general.architecture", "llama");
    for (String key : new String[] {"embedding_length", "attention.head_count", "block_count"}) {
      many.u32("llama." + key, 1 << 27);
    }
    many.f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    e = refused(many.bytes());
    assertEquals("TSR-0234", e.code(), e.getMessage());
    refused(
        "TSR-0235",
        "scores",
        w ->
            w.text("tokenizer.ggml.model", "llama")
                .texts("tokenizer.ggml.tokens", java.util.List.of("a", "b"))
                .floats("tokenizer.ggml.scores", 0)
                .ints("tokenizer.ggml.token_type", 1, 1));
  }

  /** Every prefix and thousands of damaged copies end in a result or a diagnostic. */
  @Test
  void damagedFilesAreDiagnosed() throws IOException {
    byte[] good = new TinyLlama("q4_0", 1).file.bytes();
    Path file = folder.resolve("damaged.gguf");
    Random random = new Random(3);
    int refused = 0;
    for (int round = 0; round < 1500; round++) {
      byte[] bytes = good.clone();
      if (round < 300) {
        bytes = Arrays.copyOf(good, random.nextInt(3000));
      } else {
        for (int i = 0; i < 1 + round % 4; i++) {
          bytes[random.nextInt(2600)] = (byte) random.nextInt(256);
        }
      }
      Files.write(file, bytes);
      try {
        new GgufFrontend().read(file, Map.of());
      } catch (TersorException e) {
        refused++;
        assertTrue(e.code().startsWith("TSR-02"), e.code());
      }
    }
    assertTrue(refused > 700, "only " + refused + " were refused");
  }

  @Test
  void somethingElse() {
    TersorException e = refused("not a model".getBytes(StandardCharsets.UTF_8));
    assertEquals("TSR-0231", e.code());
    assertEquals("TSR-0231", refused(new byte[0]).code());
    assertEquals(
        "TSR-0202",
        assertThrows(
                TersorException.class,
                () -> new GgufFrontend().read(folder.resolve("absent.gguf"), Map.of()))
            .code());
  }
}
