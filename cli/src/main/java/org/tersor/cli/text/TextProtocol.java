package org.tersor.cli.text;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.tersor.ir.spi.Tokenizer;
import org.tersor.runtime.TersorException;

/**
 * Which texts are taken from a folder and how they become tokens.
 *
 * @param separator between texts of a file
 * @param longer texts of this many bytes or fewer are left out
 * @param first number of the first text taken, of those that are long enough
 * @param count how many are taken
 * @param context tokens of a text, the first one of the tokenizer included; the rest is cut off
 */
public record TextProtocol(String separator, int longer, int first, int count, int context) {
  /** The first 60 texts between end-of-text marks that have more than 100 bytes. */
  public static final TextProtocol DEFAULT = new TextProtocol("<|endoftext|>", 100, 0, 60, 512);

  /** Stories that {@link #DEFAULT} does not evaluate. */
  public static final TextProtocol CALIBRATION =
      new TextProtocol("<|endoftext|>", 100, 200, 128, 512);

  public TextProtocol {
    if (separator.isEmpty() || longer < 0 || first < 0 || count < 1 || context < 2) {
      throw new TersorException(
          "TSR-0906",
          "a protocol needs a separator, longer and first from 0, count from 1, context from 2");
    }
  }

  /** Changes this one by {@code name=value} pairs between commas. */
  public TextProtocol with(String text) {
    Map<String, String> given = new LinkedHashMap<>();
    for (String part : text.split(",", -1)) {
      int equals = part.indexOf('=');
      if (equals < 1) {
        throw wrong(text);
      }
      given.put(part.substring(0, equals).strip(), part.substring(equals + 1));
    }
    TextProtocol result = this;
    for (Map.Entry<String, String> entry : given.entrySet()) {
      TextProtocol p = result;
      String value = entry.getValue();
      result =
          switch (entry.getKey()) {
            case "separator" -> new TextProtocol(value, p.longer, p.first, p.count, p.context);
            case "longer" ->
                new TextProtocol(p.separator, number(text, value), p.first, p.count, p.context);
            case "first" ->
                new TextProtocol(p.separator, p.longer, number(text, value), p.count, p.context);
            case "count" ->
                new TextProtocol(p.separator, p.longer, p.first, number(text, value), p.context);
            case "context" ->
                new TextProtocol(p.separator, p.longer, p.first, p.count, number(text, value));
            default -> throw wrong(text);
          };
    }
    return result;
  }

  private static int number(String text, String value) {
    try {
      return Integer.parseInt(value.strip());
    } catch (NumberFormatException e) {
      throw wrong(text);
    }
  }

  private static TersorException wrong(String text) {
    return new TersorException(
        "TSR-0906",
        "a protocol is written separator=TEXT,longer=BYTES,first=N,count=N,context=TOKENS (any of"
            + " them), not '"
            + text
            + "'");
  }

  /** {@link #with} reads it. */
  public String text() {
    return "separator="
        + separator
        + ",longer="
        + longer
        + ",first="
        + first
        + ",count="
        + count
        + ",context="
        + context;
  }

  /** The texts of a file, or of the .txt files of a folder in the order of their names. */
  public List<String> texts(Path data) throws IOException {
    List<Path> files;
    if (Files.isDirectory(data)) {
      try (Stream<Path> list = Files.list(data)) {
        // What tells where the data is from is no data.
        files =
            list.filter(f -> f.getFileName().toString().endsWith(".txt"))
                .filter(f -> !f.getFileName().toString().equals("PROVENANCE.txt"))
                .sorted()
                .toList();
      }
    } else {
      files = List.of(data);
    }
    if (files.isEmpty() || !Files.isReadable(files.getFirst())) {
      throw new TersorException("TSR-0902", "there is no text file at " + data);
    }
    List<String> texts = new ArrayList<>();
    for (Path file : files) {
      // Text may be cut in the middle of a character; whatever is broken becomes U+FFFD.
      String all = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
      Arrays.stream(all.split(java.util.regex.Pattern.quote(separator), -1))
          .map(String::strip)
          .filter(t -> t.getBytes(StandardCharsets.UTF_8).length > longer)
          .forEach(texts::add);
    }
    if (texts.size() < first + count) {
      throw new TersorException(
          "TSR-0906",
          "the protocol takes texts "
              + first
              + " to "
              + (first + count - 1)
              + "; "
              + data
              + " has "
              + texts.size()
              + " that are long enough");
    }
    return texts.subList(first, first + count);
  }

  /** Tokens of each text. */
  public List<int[]> tokens(Path data, Tokenizer tokenizer) throws IOException {
    return texts(data).stream().map(text -> tokens(text, tokenizer)).toList();
  }

  private int[] tokens(String text, Tokenizer tokenizer) {
    int[] ids = tokenizer.encode(text);
    int[] begin = tokenizer.begin().stream().mapToInt(id -> id).toArray();
    int[] all = new int[Math.min(context, begin.length + ids.length)];
    for (int i = 0; i < all.length; i++) {
      all[i] = i < begin.length ? begin[i] : ids[i - begin.length];
    }
    return all;
  }
}
