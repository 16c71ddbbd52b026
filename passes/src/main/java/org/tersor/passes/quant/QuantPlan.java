package org.tersor.passes.quant;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collections;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import org.tersor.runtime.DType;
import org.tersor.runtime.TersorException;

/**
 * Every decision of a quantization, as a text that a person can read, edit, compare and replay.
 * Weights list their scheme; their scales follow from the weights.
 *
 * @param header facts: calibrator, samples, hash of the calibration data
 * @param activations by name of the value
 * @param weights by name of the node that uses them
 */
public record QuantPlan(
    Map<String, String> header,
    Map<String, Affine> activations,
    Map<String, WeightScheme> weights) {
  private static final String FIRST_LINE = "tersor quantization plan 1";

  /**
   * How a weight is coded: symmetric, restricted range.
   *
   * @param axis channel axis, or -1 for one scale per tensor
   */
  public record WeightScheme(DType codes, int axis) {}

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
    weights.forEach((name, scheme) ->
        out.append("weight ")
            .append(quote(name))
            .append(' ')
            .append(scheme.codes().text())
            .append(scheme.axis() < 0 ? " per-tensor" : " axis " + scheme.axis())
            .append('\n'));
    activations.forEach((name, affine) ->
        out.append("activation ")
            .append(quote(name))
            .append(' ')
            .append(affine.codes().text())
            .append(" scale ")
            .append(affine.scale())
            .append(" zero ")
            .append(affine.zeroPoint())
            .append('\n'));
    return out.toString();
  }

  /** Reads the text form; a line that cannot be read is a diagnostic with its number. */
  public static QuantPlan parse(String text) {
    Map<String, String> header = new TreeMap<>();
    Map<String, Affine> activations = new TreeMap<>();
    Map<String, WeightScheme> weights = new TreeMap<>();
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
          DType codes = DType.of(words[0]);
          if (kind.equals("weight") && words[1].equals("per-tensor")) {
            weights.put(name, new WeightScheme(codes, -1));
          } else if (kind.equals("weight") && words[1].equals("axis")) {
            weights.put(name, new WeightScheme(codes, Integer.parseInt(words[2])));
          } else if (kind.equals("activation")
              && words[1].equals("scale")
              && words[3].equals("zero")) {
            activations.put(
                name, activation(codes, Float.parseFloat(words[2]), Long.parseLong(words[4])));
          } else {
            throw new IllegalArgumentException("unknown kind of line");
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

  private static Affine activation(DType codes, float scale, long zero) {
    if (!(scale > 0)
        || !Float.isFinite(scale)
        || zero < codes.minValue()
        || zero > codes.maxValue()) {
      throw new IllegalArgumentException("the scale must be positive and the zero point a code");
    }
    return new Affine(codes, scale, zero);
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
