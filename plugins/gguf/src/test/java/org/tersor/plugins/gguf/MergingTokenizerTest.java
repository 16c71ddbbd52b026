package org.tersor.plugins.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.tersor.ir.spi.Tokenizer;

class MergingTokenizerTest {
  private static Vocabulary vocabulary(String... pieces) {
    List<String> tokens = new ArrayList<>(List.of("<unk>", "<s>", "</s>"));
    List<Integer> types = new ArrayList<>(List.of(2, 3, 3));
    for (int b = 0; b < 256; b++) {
      tokens.add("<0x%02X>".formatted(b));
      types.add(6);
    }
    for (String piece : pieces) {
      tokens.add(piece);
      types.add(1);
    }
    float[] scores = new float[tokens.size()];
    for (int i = 0; i < pieces.length; i++) {
      scores[259 + i] = -i;
    }
    return new Vocabulary(
        tokens,
        scores,
        types.stream().mapToInt(t -> t).toArray(),
        Optional.of(1),
        Optional.of(2),
        true,
        true);
  }

  /** "ab" goes before "bc" because of its score, then nothing joins with "c". */
  @Test
  void theHighestScoreGoesFirst() {
    Tokenizer tokenizer =
        new MergingTokenizer(vocabulary("ab", "bc", "\u2581a", "a", "b", "c", "\u2581", "abb"));
    assertArrayEquals(new int[] {265, 259, 264}, tokenizer.encode("abc"));
    assertArrayEquals(new int[] {265, 259, 259}, tokenizer.encode("abab"));
    assertArrayEquals(new int[] {265, 266}, tokenizer.encode("abb"));
    assertArrayEquals(new int[] {265, 260}, tokenizer.encode("bc"));
    assertArrayEquals(new int[] {}, tokenizer.encode(""));
  }

  @Test
  void equalScoresGoFromTheLeft() {
    Vocabulary v = vocabulary("aa", "a", "\u2581");
    assertArrayEquals(new int[] {261, 259, 260}, new MergingTokenizer(v).encode("aaa"));
  }

  /** What no token covers is written in bytes, and comes back. */
  @Test
  void anyTextComesBack() {
    Tokenizer tokenizer = new MergingTokenizer(vocabulary("th", "the", "\u2581", "e", "t", "h"));
    Random random = new Random(1);
    for (int round = 0; round < 200; round++) {
      StringBuilder text = new StringBuilder();
      int length = 1 + random.nextInt(12);
      for (int i = 0; i < length; i++) {
        text.appendCodePoint(
            random.nextBoolean()
                ? "the ".charAt(random.nextInt(4))
                : 32 + random.nextInt(70000 - 32));
      }
      String clean =
          new String(text.toString().getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8)
              .replace('\u2581', '_');
      assertEquals(clean, decoded(tokenizer, tokenizer.encode(clean)));
    }
  }

  private static String decoded(Tokenizer tokenizer, int[] ids) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int i = 0; i < ids.length; i++) {
      out.writeBytes(tokenizer.bytes(ids[i], i == 0));
    }
    return out.toString(StandardCharsets.UTF_8);
  }

  /** The vocabulary of a real file; ids as its makers' tokenizer gives them. */
  @Test
  void aRealVocabulary() {
    Path file =
        Path.of(System.getProperty("tersor.testdata", "../../../shared"))
            .resolve("models/gguf-stories260K/stories260K.gguf");
    Assumptions.assumeTrue(Files.exists(file), "there is no " + file);
    Map<String, String> metadata = new GgufFrontend().read(file, Map.of()).metadata();
    Tokenizer tokenizer = new GgufTokenizers().read(metadata).orElseThrow();
    assertEquals(512, tokenizer.size());
    assertEquals(Optional.of(1), tokenizer.begin());
    assertEquals(List.of(2), tokenizer.ends());
    int[] ids = tokenizer.encode("Once upon a time, there was a little girl named Lily.");
    assertEquals("Once upon a time, there was a little girl named Lily.", decoded(tokenizer, ids));
    assertTrue(ids.length < 25, ids.length + " tokens");
    assertEquals(403, ids[0], "the token of ' Once'");
  }
}
