package org.tersor.passes.quant;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.tersor.ir.graph.Graph;
import org.tersor.passes.graph.Names;
import org.tersor.runtime.TersorException;

/**
 * Every decision of a quantization, as a text that a person can read, edit, compare and replay: the
 * number format of each weight, the method that chose its codes with a checksum of them, and the
 * format and parameters of each activation. Where a method learned from data its codes are kept in
 * a file beside the plan; else they follow from the weights.
 *
 * @param header facts: calibrator, samples, hash of the calibration data
 * @param activations by name of the value
 * @param weights id of the format, by name of the node that uses them
 * @param scales where channels are scaled before anything is coded, by name of the value
 * @param choices method of each weight that is not in here by plain rounding
 * @param biases corrected biases, by name of the node whose results they move
 */
public record QuantPlan(
    Map<String, String> header,
    Map<String, Activation> activations,
    Map<String, String> weights,
    Map<String, Choice> choices,
    Map<String, Choice> scales,
    Map<String, Choice> biases) {
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

  /**
   * Who chose the codes of a weight.
   *
   * @param method with its options
   * @param sha256 of codes, scales and zero points
   */
  public record Choice(String method, String sha256) {}

  /** A plan whose weights are all rounded to the nearest codes. */
  public QuantPlan(
      Map<String, String> header,
      Map<String, Activation> activations,
      Map<String, String> weights) {
    this(header, activations, weights, Map.of(), Map.of());
  }

  /** A plan without corrected biases. */
  public QuantPlan(
      Map<String, String> header,
      Map<String, Activation> activations,
      Map<String, String> weights,
      Map<String, Choice> choices,
      Map<String, Choice> scales) {
    this(header, activations, weights, choices, scales, Map.of());
  }

  /** The same with corrected biases; they replace those of the same layers. */
  QuantPlan withBiases(Map<String, Choice> corrected) {
    Map<String, Choice> all = new TreeMap<>(biases);
    all.putAll(corrected);
    return new QuantPlan(header, activations, weights, choices, scales, all);
  }

  /** Whether there is a line for something in a closed body, or in a body of it. */
  boolean isWithin(Graph body) {
    String path = new Names(body).path();
    return Stream.of(activations, weights, scales, biases)
        .flatMap(names -> names.keySet().stream())
        .anyMatch(name -> name.startsWith(path));
  }

  /** These lines and those of another graph of the same model. */
  QuantPlan and(QuantPlan other) {
    return new QuantPlan(
        both(header, other.header),
        both(activations, other.activations),
        both(weights, other.weights),
        both(choices, other.choices),
        both(scales, other.scales),
        both(biases, other.biases));
  }

  static <T> Map<String, T> both(Map<String, T> some, Map<String, T> others) {
    Map<String, T> all = new TreeMap<>(some);
    all.putAll(others);
    return all;
  }

  /** The same with more facts. */
  QuantPlan withHeader(Map<String, String> facts) {
    return new QuantPlan(both(header, facts), activations, weights, choices, scales, biases);
  }

  /** The same with other activations. */
  QuantPlan withActivations(Map<String, Activation> other) {
    return new QuantPlan(header, other, weights, choices, scales, biases);
  }

  /** The same with other factors between channels. */
  QuantPlan withScales(Map<String, Choice> other) {
    return new QuantPlan(header, activations, weights, choices, other, biases);
  }

  public QuantPlan {
    choices = Collections.unmodifiableMap(new TreeMap<>(choices));
    scales = Collections.unmodifiableMap(new TreeMap<>(scales));
    biases = Collections.unmodifiableMap(new TreeMap<>(biases));
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
    scales.forEach((name, choice) -> line(out, "scale ", name, choice));
    biases.forEach((name, choice) -> line(out, "bias ", name, choice));
    weights.forEach((name, format) -> {
      out.append("weight ").append(quote(name)).append(' ').append(format);
      Choice choice = choices.get(name);
      if (choice != null) {
        out.append(" method ").append(choice.method()).append(" sha256 ").append(choice.sha256());
      }
      out.append('\n');
    });
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

  private static void line(StringBuilder out, String kind, String name, Choice choice) {
    out.append(kind)
        .append(quote(name))
        .append(" method ")
        .append(choice.method())
        .append(" sha256 ")
        .append(choice.sha256())
        .append('\n');
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
    Map<String, Choice> choices = new TreeMap<>();
    Map<String, Choice> scales = new TreeMap<>();
    Map<String, Choice> biases = new TreeMap<>();
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
                case "scale" -> scales.put(name, scale(words)) != null;
                case "bias" -> biases.put(name, scale(words)) != null;
                case "weight" -> {
                  choice(words).ifPresent(choice -> choices.put(name, choice));
                  yield weights.put(name, words[0]) != null;
                }
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
    return new QuantPlan(header, activations, weights, choices, scales, biases);
  }

  private static Choice scale(String[] words) {
    if (words.length != 4 || !words[0].equals("method") || !words[2].equals("sha256")) {
      throw new IllegalArgumentException("'method M sha256 H' is expected after the name");
    }
    return new Choice(words[1], words[3]);
  }

  private static Optional<Choice> choice(String[] words) {
    if (words[0].isEmpty()) {
      throw new IllegalArgumentException("a format is expected after the name");
    }
    if (words.length == 1) {
      return Optional.empty();
    }
    if (words.length != 5 || !words[1].equals("method") || !words[3].equals("sha256")) {
      throw new IllegalArgumentException("'method M sha256 H' is expected after the format");
    }
    return Optional.of(new Choice(words[2], words[4]));
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

  static String quote(String name) {
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

  static int closing(String line, int open) {
    for (int i = open + 1; i < line.length(); i++) {
      if (line.charAt(i) == '\\') {
        i++;
      } else if (line.charAt(i) == '"') {
        return i;
      }
    }
    throw new IllegalArgumentException("the name is not closed");
  }

  static String unquote(String text) {
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
