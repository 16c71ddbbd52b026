package org.tersor.passes.quant;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import org.tersor.runtime.TersorException;

/**
 * Every decision of a quantization, as a text that a person can read, edit, compare and replay: the
 * number format of each weight, and the format and parameters of each activation. Codes and scales
 * of weights follow from the weights and the format.
 *
 * @param header facts: calibrator, samples, hash of the calibration data
 * @param activations by name of the value
 * @param weights id of the format, by name of the node that uses them
 */
public record QuantPlan(
    Map<String, String> header, Map<String, Activation> activations, Map<String, String> weights) {
  private static final String FIRST_LINE = "tersor quantization plan 2";

  /**
   * How an activation is coded.
   *
   * @param format id of a number format
   * @param parameters its fields, by name, in the order of the format
   */
  public record Activation(String format, Map<String, Double> parameters) {
    public Activation {
      Map<String, Double> stored = new LinkedHashMap<>();
      // No field is finer than float32, and so the text reads back as it was written.
      parameters.forEach((field, value) ->
          stored.put(field, value == Math.rint(value) ? value : (double) value.floatValue()));
      parameters = Collections.unmodifiableMap(stored);
    }
  }

  public QuantPlan {
    header = Collections.unmodifiableMap(new TreeMap<>(header));
    activations = Collections.unmodifiableMap(new TreeMap<>(activations));
    weights = Collections.unmodifiableMap(new TreeMap<>(weights));
  }

  /** The text form. */
  public String text() {
    StringBuilder out = new StringBuilder(FIRST_LINE).append('\n');
    header.forEach((key, value) ->
        out.append("# ")
            .append(key)
            .append(": ")
            .append(value.replaceAll("\\s+", " "))
            .append('\n'));
    weights.forEach((name, format) ->
        out.append("weight ").append(quote(name)).append(' ').append(format).append('\n'));
    activations.forEach((name, activation) -> {
      out.append("activation ").append(quote(name)).append(' ').append(activation.format());
      activation
          .parameters()
          .forEach(
              (field, value) -> out.append(' ').append(field).append(' ').append(number(value)));
      out.append('\n');
    });
    return out.toString();
  }

  /** Whole numbers without a point; floats as short as they read back. */
  private static String number(double value) {
    if (value == Math.rint(value) && Math.abs(value) < 1e15) {
      return Long.toString((long) value);
    }
    return Float.toString((float) value);
  }

  /** Reads the text form; a line that cannot be read is a diagnostic with its number. */
  public static QuantPlan parse(String text) {
    Map<String, String> header = new TreeMap<>();
    Map<String, Activation> activations = new TreeMap<>();
    Map<String, String> weights = new TreeMap<>();
    String[] lines = text.split("\r?\n", -1);
    if (!lines[0].strip().equals(FIRST_LINE)) {
      throw new TersorException(
          "TSR-0411", "this is no quantization plan: its first line must be '" + FIRST_LINE + "'");
    }
    for (int n = 1; n < lines.length; n++) {
      String line = lines[n].strip();
      try {
        if (line.startsWith("#")) {
          int colon = line.indexOf(':');
          if (colon > 0) {
            header.put(line.substring(1, colon).strip(), line.substring(colon + 1).strip());
          }
        } else if (!line.isEmpty()) {
          int open = line.indexOf('"');
          int close = closing(line, open);
          String kind = line.substring(0, open).strip();
          String name = unquote(line.substring(open + 1, close));
          String[] words = line.substring(close + 1).strip().split("\\s+", -1);
          boolean twice =
              switch (kind) {
                case "weight" -> weights.put(name, weight(words)) != null;
                case "activation" -> activations.put(name, activation(words)) != null;
                default -> throw new IllegalArgumentException("unknown kind of line");
              };
          if (twice) {
            throw new IllegalArgumentException("there is a line for this name already");
          }
        }
      } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
        throw new TersorException(
            "TSR-0411",
            "line "
                + (n + 1)
                + " of the quantization plan cannot be read ("
                + e.getMessage()
                + "): "
                + line,
            e);
      }
    }
    return new QuantPlan(header, activations, weights);
  }

  private static String weight(String[] words) {
    if (words.length != 1 || words[0].isEmpty()) {
      throw new IllegalArgumentException("one format is expected after the name");
    }
    return words[0];
  }

  private static Activation activation(String[] words) {
    if (words[0].isEmpty() || words.length % 2 == 0) {
      throw new IllegalArgumentException("a format and pairs of field and number are expected");
    }
    Map<String, Double> parameters = new LinkedHashMap<>();
    for (int i = 1; i < words.length; i += 2) {
      double value = Double.parseDouble(words[i + 1]);
      if (!Double.isFinite(value) || parameters.put(words[i], value) != null) {
        throw new IllegalArgumentException("field " + words[i] + " needs one finite number");
      }
    }
    return new Activation(words[0], parameters);
  }

  /** SHA-256 of the text form, in hexadecimal digits. */
  public String hash() {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(text().getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String quote(String name) {
    StringBuilder out = new StringBuilder("\"");
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < ' ' || c == '\u2028' || c == '\u2029' || c == '\u0085') {
        out.append(String.format("\\u%04x", (int) c));
      } else {
        out.append(c);
      }
    }
    return out.append('"').toString();
  }

  private static int closing(String line, int open) {
    for (int i = open + 1; i < line.length(); i++) {
      if (line.charAt(i) == '\\') {
        i++;
      } else if (line.charAt(i) == '"') {
        return i;
      }
    }
    throw new IllegalArgumentException("the name is not closed");
  }

  private static String unquote(String text) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c != '\\') {
        out.append(c);
      } else if (text.charAt(++i) == 'u') {
        out.append((char) Integer.parseInt(text.substring(i + 1, i + 5), 16));
        i += 4;
      } else {
        out.append(text.charAt(i));
      }
    }
    return out.toString();
  }
}
