package org.tersor.plugins.gguf;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * A vocabulary as text entries of a graph's metadata: tokens one a line, with the line feed and the
 * backslash escaped; scores and types by blanks. It comes from a file once and from an exported
 * model ever after.
 *
 * @param tokens with U+2581 for the blank
 * @param scores the pair with the highest one is merged first
 * @param types numbers as in the file: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6
 *     byte
 */
record Vocabulary(
    List<String> tokens,
    float[] scores,
    int[] types,
    Optional<Integer> begin,
    Optional<Integer> end,
    boolean addsBegin,
    boolean addsBlank) {
  static final int NORMAL = 1;
  static final int UNKNOWN = 2;
  static final int CONTROL = 3;
  static final int USER = 4;
  static final int BYTE = 6;

  private static final String KEY = "tokenizer.ggml.";
  private static final String KIND = "llama";

  Vocabulary {
    tokens = List.copyOf(tokens);
    if (scores.length != tokens.size() || types.length != tokens.size()) {
      throw Diag.error(
          Diag.VOCABULARY,
          "there are "
              + tokens.size()
              + " tokens, "
              + scores.length
              + " scores and "
              + types.length
              + " types; they must be as many");
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Vocabulary v && tokens.equals(v.tokens) && begin.equals(v.begin);
  }

  @Override
  public int hashCode() {
    return tokens.hashCode();
  }

  /** Arrays of the file as texts; none if it has no tokenizer of this kind. */
  static Map<String, String> metadata(GgufFile file, int size) {
    if (!file.text(KEY + "model").equals(Optional.of(KIND))) {
      return Map.of();
    }
    if (!(file.metadata().get(KEY + "tokens") instanceof GgufValue.Texts tokens)) {
      throw Diag.error(Diag.VOCABULARY, "metadata '" + KEY + "tokens' is no array of strings");
    }
    if (tokens.values().size() > size) {
      throw Diag.error(
          Diag.VOCABULARY,
          "there are " + tokens.values().size() + " tokens, and the model knows " + size);
    }
    Map<String, String> texts = new TreeMap<>();
    texts.put(
        KEY + "tokens",
        String.join("\n", tokens.values().stream().map(Vocabulary::escape).toList()));
    if (file.metadata().get(KEY + "scores") instanceof GgufValue.Reals scores) {
      StringBuilder out = new StringBuilder();
      for (double score : scores.values()) {
        out.append(out.isEmpty() ? "" : " ").append(Float.toString((float) score));
      }
      texts.put(KEY + "scores", out.toString());
    }
    if (file.metadata().get(KEY + "token_type") instanceof GgufValue.Wholes types) {
      StringBuilder out = new StringBuilder();
      for (long type : types.values()) {
        out.append(out.isEmpty() ? "" : " ").append(type);
      }
      texts.put(KEY + "token_type", out.toString());
    }
    of(texts); // a broken one is told now and not when a text is cut
    return texts;
  }

  /** From metadata. */
  static Optional<Vocabulary> read(Map<String, String> metadata) {
    return KIND.equals(metadata.get(KEY + "model")) && metadata.containsKey(KEY + "tokens")
        ? Optional.of(of(metadata))
        : Optional.empty();
  }

  private static Vocabulary of(Map<String, String> metadata) {
    List<String> tokens = new ArrayList<>();
    for (String line : metadata.getOrDefault(KEY + "tokens", "").split("\n", -1)) {
      tokens.add(unescape(line));
    }
    String[] scores = words(metadata, "scores");
    float[] numbers = new float[scores.length];
    String[] types = words(metadata, "token_type");
    int[] kinds = new int[types.length];
    try {
      for (int i = 0; i < scores.length; i++) {
        numbers[i] = Float.parseFloat(scores[i]);
      }
      for (int i = 0; i < types.length; i++) {
        kinds[i] = Integer.parseInt(types[i]);
      }
    } catch (NumberFormatException e) {
      throw Diag.error(
          Diag.VOCABULARY, "scores and types of tokens must be numbers: " + e.getMessage());
    }
    return new Vocabulary(
        tokens,
        numbers,
        kinds,
        id(metadata, "bos_token_id", tokens.size()),
        id(metadata, "eos_token_id", tokens.size()),
        !"false".equals(metadata.get(KEY + "add_bos_token")),
        !"false".equals(metadata.get(KEY + "add_space_prefix")));
  }

  private static String[] words(Map<String, String> metadata, String key) {
    String text = metadata.get(KEY + key);
    if (text == null) {
      throw Diag.error(Diag.VOCABULARY, "metadata '" + KEY + key + "' is missing or no array");
    }
    return text.isEmpty() ? new String[0] : text.split(" ", -1);
  }

  /** An id; numbers beyond the vocabulary stand for none. */
  private static Optional<Integer> id(Map<String, String> metadata, String key, int size) {
    try {
      return Optional.ofNullable(metadata.get(KEY + key))
          .map(Long::parseLong)
          .filter(id -> id >= 0 && id < size)
          .map(Long::intValue);
    } catch (NumberFormatException e) {
      throw Diag.error(Diag.VOCABULARY, "metadata '" + KEY + key + "' must be a whole number");
    }
  }

  private static String escape(String token) {
    return token.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r");
  }

  private static String unescape(String line) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < line.length(); i++) {
      char c = line.charAt(i);
      if (c == '\\' && i + 1 < line.length()) {
        char next = line.charAt(++i);
        out.append(next == 'n' ? '\n' : next == 'r' ? '\r' : next);
      } else {
        out.append(c);
      }
    }
    return out.toString();
  }
}
